//! Marks whose answers get lost, on a double of DynamoDB.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

#[path = "services/mod.rs"]
mod double;

use carillon_aws::{Clients, DynamoMarks};
use carillon_core::event::Timestamp;
use carillon_core::ports::Marks as _;
use double::{Double, Verdict};
use serde_json::json;

/// A double whose table holds the condition of a mark, tells what it met or not, and loses the first answer.
async fn marks(tells: bool) -> (DynamoMarks, Double) {
    let double = Double::start();
    let mut lost = false;
    double.script(move |operation, body, items| {
        if operation != "PutItem" {
            return Verdict::Go;
        }
        let item = &body["Item"];
        let key = |part: &str| item[part]["S"].as_str().unwrap().to_owned();
        match items.get(&(key("pk"), key("sk"))) {
            Some(held) => {
                let code = "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException";
                let mut refused = json!({ "__type": code });
                if tells {
                    refused["Item"] = held.clone();
                }
                Verdict::Answer(400, refused.to_string())
            }
            None if !lost => {
                lost = true;
                Verdict::LoseAnswer
            }
            None => Verdict::Go,
        }
    });
    let clients = Clients::connect_to(&double.url).await;
    (DynamoMarks::new(&clients, "t"), double)
}

#[tokio::test]
async fn a_mark_whose_answer_was_lost_is_still_one_s_own() {
    let (now, until) = (Timestamp::from_millis(1_000), Timestamp::from_millis(9_000));
    for tells in [true, false] {
        let (marks, double) = marks(tells).await;
        assert_eq!(marks.set("nonce", "", now, until).await, Ok(None));
        assert!(double.count("PutItem") > 1, "no answer was lost");
        // And nobody else's.
        let held = Ok(Some(String::new()));
        assert_eq!(marks.set("nonce", "", now, until).await, held);
    }
}
