//! The key document, on a double of Secrets Manager that takes one value for a token (Secrets Manager, PutSecretValue:
//! `ClientRequestToken`). The emulator of `make test-cloud` takes any number, so what happens to those who race stands here.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

#[path = "services/mod.rs"]
mod double;

use carillon_aws::{Clients, Secret};
use double::{Double, Verdict};
use serde_json::json;
use std::collections::BTreeMap;

/// A double that keeps one secret. The first `together` reads after the first `before` all see what the first of them saw:
/// so many processes that have read before any of them writes.
async fn secret(before: usize, together: usize) -> (Secret, Double) {
    let double = Double::start();
    let mut versions: BTreeMap<String, String> = BTreeMap::new();
    let mut current: Option<String> = None;
    let mut reads = 0;
    let mut old = None;
    double.script(move |operation, body, _| {
        let refuse = |code: &str| Verdict::Answer(400, json!({ "__type": code }).to_string());
        if operation == "GetSecretValue" {
            let now = current.clone();
            if reads == before {
                old = now.clone();
            }
            let past = (before..before + together).contains(&reads);
            reads += 1;
            return match if past { old.clone() } else { now } {
                None => refuse("ResourceNotFoundException"),
                Some(version) => {
                    let text = &versions[&version];
                    let answer = json!({"VersionId": version, "SecretString": text});
                    Verdict::Answer(200, answer.to_string())
                }
            };
        }
        assert_eq!(operation, "PutSecretValue");
        let text = body["SecretString"].as_str().unwrap().to_owned();
        let token = body["ClientRequestToken"].as_str().unwrap().to_owned();
        assert!((32..=64).contains(&token.len()), "{token}");
        match versions.get(&token) {
            Some(held) if *held != text => refuse("ResourceExistsException"),
            // The same request once more: nothing happens, and it succeeds.
            Some(_) => Verdict::Answer(200, json!({ "VersionId": token }).to_string()),
            None => {
                versions.insert(token.clone(), text);
                current = Some(token.clone());
                Verdict::Answer(200, json!({ "VersionId": token }).to_string())
            }
        }
    });
    let clients = Clients::connect_to(&double.url).await;
    (Secret::new(&clients, "keys"), double)
}

#[tokio::test]
async fn of_those_who_find_it_empty_one_writes() {
    let (secret, _double) = secret(0, 3).await;
    for document in ["one", "two", "three"] {
        secret.create(document).await.unwrap();
    }
    assert_eq!(secret.read().await.unwrap().as_deref(), Some("one"));
}

#[tokio::test]
async fn of_those_who_replace_one_text_at_once_one_succeeds() {
    // One read by whoever creates it, then three who replace it.
    let (secret, _double) = secret(1, 3).await;
    secret.create("one").await.unwrap();
    let mut writers = Vec::new();
    for writer in 0..3 {
        let secret = secret.clone();
        writers.push(tokio::spawn(async move {
            let text = format!("of writer {writer}");
            secret.replace("one", &text).await.unwrap().then_some(text)
        }));
    }
    let mut won = Vec::new();
    for writer in writers {
        won.extend(writer.await.unwrap());
    }
    assert_eq!(won.len(), 1, "{won:?}");
    assert_eq!(secret.read().await.unwrap(), won.pop());
}
