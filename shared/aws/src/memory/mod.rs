//! What ingest remembers by an operator's choice: the sizes of objects, and which events were accepted lately.
//!
//! | pk | sk | further attributes |
//! |---|---|---|
//! | `object#<bucket>/<key>` | `history` | `doc`: the history as JSON; `seq`: the last sequencer; `expires`, once the object is gone |
//! | `accepted#<event id>` | `accepted` | `until`: milliseconds; `expires`: the same in seconds, the table's time to live |

mod sizes;
mod window;

pub use sizes::DynamoSizes;
pub use window::DynamoWindow;

use crate::store::{Item, explain_dynamo};
use crate::world::SystemRandom;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};
use carillon_core::ports::{Random as _, StoreError};
use std::time::Duration;

/// Longest time that a batch waits for what is remembered. Ingest goes on without an answer, and of its function's 30 s most
/// must be left for what it cannot go on without: were these to wait as long as their requests may take, a table that
/// does not answer would end the function instead, batch after batch, until SQS gives the events up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(4);
/// Most keys of a BatchGetItem (DynamoDB quotas).
const MAX_READ: usize = 100;
/// Tries of a request that the table takes only in part, or that another writer was before.
const TRIES: u32 = 6;

fn key(pk: &str, sk: &str) -> Item {
    Item::from([
        ("pk".to_owned(), AttributeValue::S(pk.to_owned())),
        ("sk".to_owned(), AttributeValue::S(sk.to_owned())),
    ])
}

fn text<'a>(item: &'a Item, name: &str) -> &'a str {
    item.get(name)
        .and_then(|value| value.as_s().ok())
        .map_or("", String::as_str)
}

/// A pause that grows with the number of tries, and differs between those who try.
async fn pause(attempt: u32) {
    let spread = SystemRandom::default().draw() % 20;
    tokio::time::sleep(Duration::from_millis((20 << attempt) + spread)).await;
}

/// The items under these keys, each named once, in no order.
async fn read(
    client: &Client,
    table: &str,
    mut keys: Vec<Item>,
    consistent: bool,
) -> Result<Vec<Item>, StoreError> {
    let failed = |why: &str| {
        StoreError(format!(
            "table {table:?}, reading what is remembered: {why}"
        ))
    };
    let mut items = Vec::with_capacity(keys.len());
    for attempt in 0..TRIES {
        let wanted = KeysAndAttributes::builder()
            .set_keys(Some(keys))
            .consistent_read(consistent)
            .build()
            .expect("the keys are set");
        let answer = client
            .batch_get_item()
            .request_items(table, wanted)
            .send()
            .await
            .map_err(|error| failed(&explain_dynamo(&error)))?;
        if let Some(mut found) = answer.responses {
            items.extend(found.remove(table).unwrap_or_default());
        }
        keys = answer
            .unprocessed_keys
            .unwrap_or_default()
            .remove(table)
            .map(|rest| rest.keys)
            .unwrap_or_default();
        if keys.is_empty() {
            return Ok(items);
        }
        pause(attempt).await;
    }
    Err(failed(
        "the table does not answer for every key: it is throttled",
    ))
}
