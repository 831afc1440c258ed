//! The wall (property 15): one installation serves one account, and nobody else's key opens it. Every action and every
//! path of an installation is asked for with the keys of another, and without any.

use crate::property::Property;
use crate::readers::targets::service::{run, support};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use carillon_manage::{ACTIONS, AccessKey, Role, Settings};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use support::{Answer, World};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Headers of an action or a publish, signed with ACS3-HMAC-SHA256.
fn signed(id: &str, secret: &str, action: &str, target: &str, nonce: u32) -> Vec<(String, String)> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let hash = hex(&Sha256::digest(b""));
    let mut headers: Vec<(String, String)> = [
        ("host", "127.0.0.1"),
        ("x-acs-action", action),
        ("x-acs-content-sha256", &hash),
        ("x-acs-date", "2026-11-22T12:00:00Z"),
        ("x-acs-signature-nonce", &format!("nonce-{nonce}")),
        ("x-acs-version", "2022-01-19"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec();
    let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
    let names = names.join(";");
    let lines: String = headers
        .iter()
        .map(|(name, value)| format!("{name}:{value}\n"))
        .collect();
    let canonical = format!("POST\n{path}\n{query}\n{lines}\n{names}\n{hash}");
    let text = format!("ACS3-HMAC-SHA256\n{}", hex(&Sha256::digest(canonical)));
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(text.as_bytes());
    let signature = hex(&mac.finalize().into_bytes());
    headers.push((
        "authorization".to_owned(),
        format!("ACS3-HMAC-SHA256 Credential={id},SignedHeaders={names},Signature={signature}"),
    ));
    headers
}

async fn ask(world: &World, method: &str, path: &str, headers: &[(String, String)]) -> Answer {
    let headers: Vec<(&str, &str)> = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    world.http(method, path, &headers, "").await
}

/// An installation whose every name bears `mark`, with one key.
async fn installation(mark: &str) -> World {
    // Furnished while it has no keys, on the store that the guarded one works with.
    let store = std::sync::Arc::new(support::MemoryStore::default());
    let open = support::world_over(store.clone(), Settings::default());
    let queue = format!("{mark}-queue");
    open.queue(&queue).await;
    let made = open.rule(&format!("{mark}-rule"), mark, &queue).await;
    assert_eq!(made.status, 200, "{}", made.body);
    let made = open
        .act("CreateTopic", &[("TopicName", &format!("{mark}-topic"))])
        .await;
    assert_eq!(made.status, 200, "{}", made.body);
    let key = AccessKey {
        id: format!("{mark}-key"),
        secret: format!("{mark}-secret"),
        role: Role::Admin,
    };
    let world = support::world_over(
        store,
        Settings {
            access_keys: vec![key],
            ..Settings::default()
        },
    );
    let target = format!("/?QueueName={queue}");
    let (id, secret) = (format!("{mark}-key"), format!("{mark}-secret"));
    let headers = signed(&id, &secret, "CreateQueue", &target, 0);
    let made = ask(&world, "POST", &target, &headers).await;
    assert_eq!(made.status, 200, "{}", made.body);
    world
}

const PATHS: &[(&str, &str)] = &[
    ("GET", "/"),
    ("PUT", "/"),
    ("POST", "/events"),
    ("GET", "/metrics"),
    ("GET", "/queues"),
    ("GET", "/queues/"),
    ("PUT", "/queues/blue-queue"),
    ("GET", "/queues/blue-queue"),
    ("DELETE", "/queues/blue-queue"),
    ("POST", "/queues/blue-queue/messages"),
    ("GET", "/queues/blue-queue/messages"),
    ("GET", "/queues/blue-queue/messages?peekonly=true"),
    (
        "DELETE",
        "/queues/blue-queue/messages?ReceiptHandle=1-blue-1",
    ),
];

#[test]
fn nobody_else_s_key_opens_an_installation() {
    let property = Property::Wall;
    run(async {
        let blue = installation("blue").await;
        let before = blue.store.version_now();
        let mut nonce = 0;
        let refused = |answer: &Answer, asked: &str| {
            assert!(
                matches!(answer.status, 400..=404),
                "{property}: {asked} answers {}: {}",
                answer.status,
                answer.body
            );
            for held in ["blue-queue", "blue-rule", "blue-topic", "blue-secret"] {
                // What was asked for may be repeated.
                assert!(
                    asked.contains(held) || !answer.body.contains(held),
                    "{property}: {asked} tells of {held}: {}",
                    answer.body
                );
            }
        };
        // A stranger's key, the owner's name over a stranger's secret, and nobody at all.
        let strangers = [
            ("red-key", "red-secret"),
            ("blue-key", "red-secret"),
            ("blue-key", ""),
        ];
        for action in ACTIONS {
            for (id, secret) in strangers {
                nonce += 1;
                let headers = signed(id, secret, action, "/", nonce);
                let answer = ask(&blue, "POST", "/", &headers).await;
                refused(&answer, &format!("{action} by {id} with {secret:?}"));
            }
            let bare = [
                ("host".to_owned(), "127.0.0.1".to_owned()),
                ("x-acs-action".to_owned(), (*action).to_owned()),
            ];
            refused(&ask(&blue, "POST", "/", &bare).await, action);
        }
        for (method, path) in PATHS {
            let plain = path.split('?').next().unwrap_or_default();
            for (id, secret) in strangers {
                nonce += 1;
                let basic = BASE64.encode(format!("{id}:{secret}"));
                let mns = format!("MNS {id}:{}", BASE64.encode(secret));
                let host = ("host".to_owned(), "127.0.0.1".to_owned());
                let date = (
                    "date".to_owned(),
                    "Sun, 22 Nov 2026 12:00:00 GMT".to_owned(),
                );
                let by = |value: String| ("authorization".to_owned(), value);
                for headers in [
                    vec![host.clone()],
                    vec![host.clone(), by(format!("Basic {basic}"))],
                    vec![host.clone(), date, by(mns)],
                    signed(id, secret, "PublishEvents", plain, nonce),
                ] {
                    let asked = format!("{method} {path} with {headers:?}");
                    refused(&ask(&blue, method, path, &headers).await, &asked);
                }
            }
        }
        assert_eq!(blue.store.version_now(), before, "{property}");

        // The owner's own key opens it: what was refused above was there to be had.
        for (action, held) in [
            ("ListEventRules?ProductName=oss", "blue-rule"),
            ("ListTopic", "blue-topic"),
            ("ListQueue", "blue-queue"),
        ] {
            nonce += 1;
            let (action, query) = action.split_once('?').unwrap_or((action, ""));
            let target = format!("/?{query}");
            let headers = signed("blue-key", "blue-secret", action, &target, nonce);
            let answer = ask(&blue, "POST", &target, &headers).await;
            assert!(
                answer.status == 200 && answer.body.contains(held),
                "{action}: {}",
                answer.body
            );
        }
    });
}
