//! Many items into a table.

use crate::store::{Item, explain_dynamo};
use crate::world::SystemRandom;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{PutRequest, WriteRequest};
use carillon_core::ports::Random as _;
use std::time::Duration;

/// Most items of a BatchWriteItem (DynamoDB quotas).
const MAX_BATCH: usize = 25;
/// How often items that DynamoDB did not take are sent again.
const TRIES: u32 = 6;

/// Puts all of them, in requests of as many as there may be, one after another. No two may have one key. The error says why
/// some may not be there.
pub(crate) async fn put_all(client: &Client, table: &str, items: Vec<Item>) -> Result<(), String> {
    let mut items = items.into_iter().peekable();
    while items.peek().is_some() {
        let requests = items.by_ref().take(MAX_BATCH).map(|item| {
            let put = PutRequest::builder()
                .set_item(Some(item))
                .build()
                .expect("the item is set");
            WriteRequest::builder().put_request(put).build()
        });
        write(client, table, requests.collect()).await?;
    }
    Ok(())
}

async fn write(
    client: &Client,
    table: &str,
    mut requests: Vec<WriteRequest>,
) -> Result<(), String> {
    for attempt in 0..TRIES {
        let answer = client
            .batch_write_item()
            .request_items(table, requests)
            .send()
            .await
            .map_err(|error| explain_dynamo(&error))?;
        requests = answer
            .unprocessed_items
            .unwrap_or_default()
            .remove(table)
            .unwrap_or_default();
        if requests.is_empty() {
            return Ok(());
        }
        if attempt + 1 < TRIES {
            let spread = SystemRandom::default().draw() % 50;
            tokio::time::sleep(Duration::from_millis((50 << attempt) + spread)).await;
        }
    }
    Err("the table did not take everything: it is throttled".to_owned())
}
