//! Dead letters larger than an item of DynamoDB, beside small ones, on a double.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

#[path = "services/mod.rs"]
mod double;

use carillon_aws::{Clients, DynamoDeadLetters};
use carillon_core::delivery::{DeadLetter, DeadLetterContent};
use carillon_core::event::Timestamp;
use carillon_core::ports::{DeadLetterAdmin as _, DeadLetterStore as _, Selection};
use double::{Double, Verdict};

/// DynamoDB quotas: size of an item.
const ITEM: usize = 400 * 1024;

fn letter(body: &str) -> DeadLetter {
    DeadLetter {
        at: Timestamp::from_millis(1_700_000_000_000),
        reason: "unreadable".to_owned(),
        content: DeadLetterContent::Record {
            stage: "ingest".to_owned(),
            body: body.to_owned(),
        },
    }
}

#[tokio::test]
async fn a_record_of_a_megabyte_is_kept_whole_and_takes_no_neighbour_with_it() {
    let double = Double::start();
    double.script(|_, body, _| {
        for requests in body["RequestItems"].as_object().into_iter().flatten() {
            for request in requests.1.as_array().unwrap() {
                let item = &request["PutRequest"]["Item"];
                let doc = item["doc"]["S"].as_str().unwrap_or_default();
                // Keys and names beside the text take less than a kilobyte.
                assert!(doc.len() < ITEM - 1024, "a text of {} bytes", doc.len());
            }
        }
        Verdict::Go
    });
    let clients = Clients::connect_to(&double.url).await;
    let letters = DynamoDeadLetters::new(&clients, "t", 1);
    // As much as SQS takes in one message; quotes double in JSON.
    let bodies = ["small", &"\"日\"".repeat(1024 * 1024 / 5), "also small"];
    let all = bodies.map(letter);
    letters.put(all.to_vec()).await.unwrap();

    let ids: Vec<String> = {
        let state = double.state.lock().unwrap();
        let keys = state.items.keys();
        let heads = keys.filter(|(pk, _)| pk.len() == "dead#0".len());
        heads.map(|(_, id)| id.clone()).collect()
    };
    assert_eq!(ids.len(), 3);
    let mut kept = Vec::new();
    for id in &ids {
        kept.push(letters.get(id).await.unwrap().unwrap().letter);
    }
    for one in &all {
        assert!(kept.contains(one), "a letter is missing, or not whole");
    }
    let listed = || async {
        let page = letters.list(&Selection::default(), None, 10).await;
        page.unwrap().items
    };
    assert_eq!(listed().await.len(), 3);

    // The table lets go of what is over one item after another: a letter without all of its pieces is gone, and hides none.
    let (one, piece) = {
        let mut state = double.state.lock().unwrap();
        let at = state.items.keys().find(|(pk, _)| pk.len() > "dead#0".len());
        let at = at.unwrap().clone();
        let piece = state.items.remove(&at).unwrap();
        (at, piece)
    };
    let id = one.0.strip_prefix("dead#").unwrap();
    assert_eq!(letters.get(id).await.unwrap(), None);
    let left = listed().await;
    assert_eq!(left.len(), 2);
    assert!(left.iter().all(|kept| kept.id != id));
    double.state.lock().unwrap().items.insert(one, piece);

    assert_eq!(letters.delete(&ids).await.unwrap(), 3);
    assert!(double.state.lock().unwrap().items.is_empty());
}
