//! Dead letters in the table, spread over sixteen partitions, newest first.
//!
//! | pk | sk | further attributes |
//! |---|---|---|
//! | `dead#<0-f>` | `<time>-<hash>`, which is the id | `doc`: the letter as JSON; `expires`: the table's time to live |
//! | `dead#<id>` | `0000`, `0001` ... | `doc`: the letter piece by piece, where it is larger than an item; the item above then says `pieces` |
//!
//! They lie in the table and not in a queue of SQS, since an operator looks, filters and picks: a queue can do none of
//! these, and hides what was looked at. What Lambda itself gave up on (a function that crashes on a record again and
//! again) lies in the queues' own dead-letter queues, as SQS puts it there.

use crate::clients::Lazy;
use crate::store::{Item, explain_dynamo};
use crate::world::{SystemClock, SystemRandom};
use crate::{Clients, StageQueues};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use carillon_core::delivery::{DeadLetter, DeadLetterContent};
use carillon_core::envelope::Packer;
use carillon_core::event::IdentityHasher;
use carillon_core::ports::{
    Clock, DeadLetterAdmin, DeadLetterStore, KeptDeadLetter, OutgoingMessage, Page, Random,
    Selection, Stage, StageSender, StoreError,
};
use std::collections::VecDeque;
use std::time::Duration;
use tokio::task::JoinSet;

/// Partitions: one takes about fifteen letters of 64 KiB a second (DynamoDB: 1 000 write units a second).
const SHARDS: &str = "0123456789abcdef";
/// Most items of a BatchWriteItem (DynamoDB quotas).
const MAX_BATCH: usize = 25;
/// Most bytes of a letter in one item: DynamoDB takes items of 400 KB. A record of a megabyte, which SQS takes, is kept in
/// pieces: were it refused here, the letters beside it would be too.
const MAX_BYTES: usize = 380 * 1024;
/// How often letters that DynamoDB did not take are sent again.
const TRIES: u32 = 6;
/// Letters of one shard that one query asks for.
const STRIDE: usize = 100;

/// The dead letters.
#[derive(Clone, Debug)]
pub struct DynamoDeadLetters {
    client: Lazy<Client>,
    table: String,
    keep: Duration,
    stages: Option<StageQueues>,
}

impl DynamoDeadLetters {
    /// Dead letters in this table, kept for so many days.
    #[must_use]
    pub fn new(clients: &Clients, table: &str, days: u32) -> Self {
        DynamoDeadLetters {
            client: clients.dynamodb().clone(),
            table: table.to_owned(),
            keep: Duration::from_secs(u64::from(days) * 86_400),
            stages: None,
        }
    }

    /// The same, able to send letters again through these queues.
    #[must_use]
    pub fn with_stages(self, stages: StageQueues) -> Self {
        DynamoDeadLetters {
            stages: Some(stages),
            ..self
        }
    }

    /// A letter as items: the pieces first, where it needs any, so that no list shows a letter that is not whole.
    fn items(&self, letter: &DeadLetter) -> Vec<Item> {
        let doc = serde_json::to_string(letter).expect("a dead letter has only string keys");
        let id = id_of(letter, &doc);
        let expires = SystemClock.now().plus(self.keep).as_millis() / 1000;
        let item = |pk: String, sk: String| {
            Item::from([
                ("pk".to_owned(), AttributeValue::S(pk)),
                ("sk".to_owned(), AttributeValue::S(sk)),
                ("expires".to_owned(), AttributeValue::N(expires.to_string())),
            ])
        };
        let mut head = item(partition(shard_of(&id)), id.clone());
        if doc.len() <= MAX_BYTES {
            head.insert("doc".to_owned(), AttributeValue::S(doc));
            return vec![head];
        }
        let mut items: Vec<Item> = pieces(&doc, MAX_BYTES)
            .enumerate()
            .map(|(index, piece)| {
                let mut held = item(pieces_of(&id), format!("{index:04}"));
                held.insert("doc".to_owned(), AttributeValue::S(piece.to_owned()));
                held
            })
            .collect();
        let count = AttributeValue::N(items.len().to_string());
        head.insert("pieces".to_owned(), count);
        items.push(head);
        items
    }

    async fn write(&self, mut requests: Vec<WriteRequest>, doing: &str) -> Result<(), StoreError> {
        for attempt in 0..TRIES {
            let answer = self
                .client
                .batch_write_item()
                .request_items(&self.table, requests)
                .send()
                .await
                .map_err(|error| self.failed(doing, &explain_dynamo(&error)))?;
            requests = answer
                .unprocessed_items
                .unwrap_or_default()
                .remove(&self.table)
                .unwrap_or_default();
            if requests.is_empty() {
                return Ok(());
            }
            let spread = SystemRandom::default().draw() % 50;
            tokio::time::sleep(Duration::from_millis((50 << attempt) + spread)).await;
        }
        Err(self.failed(doing, "the table did not take everything: it is throttled"))
    }

    /// Letters of one shard, newest first, at most [`STRIDE`], before (not including) `below`.
    async fn stride(
        &self,
        shard: char,
        above: &str,
        below: &str,
    ) -> Result<Vec<KeptDeadLetter>, StoreError> {
        let answer = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk AND sk BETWEEN :above AND :below")
            .expression_attribute_values(":pk", AttributeValue::S(partition(shard)))
            .expression_attribute_values(":above", AttributeValue::S(above.to_owned()))
            .expression_attribute_values(":below", AttributeValue::S(below.to_owned()))
            .scan_index_forward(false)
            .limit(i32::try_from(STRIDE).expect("a hundred"))
            .send()
            .await
            .map_err(|error| self.failed("listing dead letters", &explain_dynamo(&error)))?;
        let mut letters = Vec::new();
        for item in answer.items.unwrap_or_default() {
            if text(&item, "sk") != below {
                letters.push(self.read(&item).await?);
            }
        }
        Ok(letters)
    }

    async fn read(&self, item: &Item) -> Result<KeptDeadLetter, StoreError> {
        let id = text(item, "sk").to_owned();
        let whole;
        let doc = match item.get("pieces") {
            None => text(item, "doc"),
            Some(_) => {
                whole = self.whole(&id).await?;
                &whole
            }
        };
        let letter = serde_json::from_str(doc).map_err(|error| {
            self.failed(&format!("reading dead letter {id:?}"), &error.to_string())
        })?;
        Ok(KeptDeadLetter { id, letter })
    }

    /// The text of a letter that is kept in pieces.
    async fn whole(&self, id: &str) -> Result<String, StoreError> {
        let mut pages = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", AttributeValue::S(pieces_of(id)))
            .into_paginator()
            .send();
        let mut doc = String::new();
        while let Some(page) = pages.next().await {
            let page = page
                .map_err(|error| self.failed("reading a dead letter", &explain_dynamo(&error)))?;
            for item in page.items.unwrap_or_default() {
                doc.push_str(text(&item, "doc"));
            }
        }
        Ok(doc)
    }

    /// Deletes a letter; whether there was one. What is left of its pieces after a failure goes when its time is over.
    async fn delete_one(&self, id: &str) -> Result<bool, StoreError> {
        let delete = |pk: String, sk: String| {
            self.client
                .delete_item()
                .table_name(&self.table)
                .key("pk", AttributeValue::S(pk))
                .key("sk", AttributeValue::S(sk))
        };
        let failed = |why: &str| self.failed("deleting a dead letter", why);
        let answer = delete(partition(shard_of(id)), id.to_owned())
            .return_values(aws_sdk_dynamodb::types::ReturnValue::AllOld)
            .send()
            .await
            .map_err(|error| failed(&explain_dynamo(&error)))?;
        let held = answer.attributes.unwrap_or_default();
        let pieces = held.get("pieces").and_then(|count| count.as_n().ok());
        let pieces: usize = pieces.and_then(|count| count.parse().ok()).unwrap_or(0);
        for index in 0..pieces {
            let sent = delete(pieces_of(id), format!("{index:04}")).send().await;
            sent.map_err(|error| failed(&explain_dynamo(&error)))?;
        }
        Ok(!held.is_empty())
    }

    fn failed(&self, doing: &str, why: &str) -> StoreError {
        StoreError(format!("table {:?}, {doing}: {why}", self.table))
    }
}

fn text<'a>(item: &'a Item, name: &str) -> &'a str {
    item.get(name)
        .and_then(|value| value.as_s().ok())
        .map_or("", String::as_str)
}

/// Time first, so that ids sort by it; then what tells letters of one millisecond apart. The same letter kept twice has
/// the same id.
fn id_of(letter: &DeadLetter, doc: &str) -> String {
    let hash = IdentityHasher::new("dead letter").part(doc).finish();
    let hash = hash.message_id("").to_string().to_ascii_lowercase();
    format!("{}-{}", time_of(letter.at.as_millis()), &hash[..16])
}

fn time_of(millis: i64) -> String {
    format!("{:014}", millis.clamp(0, 99_999_999_999_999))
}

/// Whether this has the form of an id: a time, a hyphen, and a part of a hash.
fn is_id(id: &str) -> bool {
    id.split_once('-').is_some_and(|(time, hash)| {
        time.len() == 14
            && time.bytes().all(|byte| byte.is_ascii_digit())
            && hash.len() == 16
            && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

/// The shard is the id's last digit, a digit of the hash.
fn shard_of(id: &str) -> char {
    id.chars().next_back().unwrap_or('0')
}

fn partition(shard: char) -> String {
    format!("dead#{shard}")
}

/// The partition of a letter's pieces.
fn pieces_of(id: &str) -> String {
    format!("dead#{id}")
}

/// A text in pieces of at most `most` bytes, cut between characters.
fn pieces(mut text: &str, most: usize) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        let (piece, rest) = text.split_at(text.floor_char_boundary(most));
        text = rest;
        (!piece.is_empty()).then_some(piece)
    })
}

fn selected(selection: &Selection, letter: &DeadLetter) -> bool {
    fn fits<T: PartialEq>(wanted: &Option<T>, held: Option<&T>) -> bool {
        wanted.as_ref().is_none_or(|wanted| held == Some(wanted))
    }
    let delivery = match &letter.content {
        DeadLetterContent::Delivery(delivery) => Some(delivery),
        DeadLetterContent::Record { .. } => None,
    };
    let notification = delivery.map(|held| &held.notification);
    fits(
        &selection.message_id,
        notification.map(|held| &held.message_id),
    ) && fits(&selection.product, notification.map(|held| &held.product))
        && fits(&selection.rule, notification.map(|held| &held.rule))
        && fits(&selection.topic, delivery.map(|held| &held.topic))
        && fits(
            &selection.subscription,
            delivery.map(|held| &held.subscription),
        )
        && selection.since.is_none_or(|since| letter.at >= since)
        && selection.until.is_none_or(|until| letter.at < until)
}

#[async_trait::async_trait]
impl DeadLetterStore for DynamoDeadLetters {
    async fn put(&self, letters: Vec<DeadLetter>) -> Result<(), StoreError> {
        // One request names no item twice: the same letter twice is one.
        let mut all: Vec<Vec<Item>> = letters.iter().map(|letter| self.items(letter)).collect();
        let id = |items: &Vec<Item>| items.last().map(|item| text(item, "sk").to_owned());
        all.sort_by_cached_key(id);
        all.dedup_by_key(|items| id(items));
        let count = u64::try_from(all.len()).unwrap_or(u64::MAX);
        let items: Vec<Item> = all.into_iter().flatten().collect();
        for chunk in items.chunks(MAX_BATCH) {
            let requests = chunk.iter().map(|item| {
                let put = PutRequest::builder()
                    .set_item(Some(item.clone()))
                    .build()
                    .expect("the item is set");
                WriteRequest::builder().put_request(put).build()
            });
            self.write(requests.collect(), "keeping dead letters")
                .await?;
        }
        crate::metrics::emit(&crate::metrics::line(
            SystemClock.now(),
            &[&[]],
            &[],
            &[("DeadLetters", count, "Count")],
        ));
        Ok(())
    }
}

/// What sending a letter again is: the stage, and the message.
fn again(letter: &DeadLetter) -> Result<(Stage, OutgoingMessage), StoreError> {
    match &letter.content {
        DeadLetterContent::Delivery(delivery) => {
            let mut packer = Packer::new();
            let fits = packer.push(&delivery.as_ref().clone().renewed(SystemClock.now()));
            fits.map_err(|error| StoreError(error.to_string()))?;
            let body = packer.finish().pop().unwrap_or_default();
            // As match groups them, so that a large redrive holds up no other subscription.
            let group = format!("{}/{}", delivery.topic, delivery.subscription);
            let message = OutgoingMessage {
                group: Some(group),
                ..OutgoingMessage::new(body)
            };
            Ok((Stage::Deliver, message))
        }
        DeadLetterContent::Record { stage, body } => {
            let stages = [Stage::Ingest, Stage::Match, Stage::Deliver];
            let stage = stages.into_iter().find(|held| held.as_str() == stage);
            let stage = stage.ok_or_else(|| {
                StoreError("a dead letter names a stage that this release does not know".to_owned())
            })?;
            Ok((stage, OutgoingMessage::new(body.clone())))
        }
    }
}

#[async_trait::async_trait]
impl DeadLetterAdmin for DynamoDeadLetters {
    async fn list(
        &self,
        selection: &Selection,
        from: Option<&str>,
        limit: usize,
    ) -> Result<Page<KeptDeadLetter>, StoreError> {
        let above = time_of(selection.since.map_or(0, |since| since.as_millis()));
        if let Some(from) = from.filter(|from| !is_id(from)) {
            let from: String = from.chars().take(64).collect();
            return Err(StoreError(format!(
                "{from:?} is no place in a list: give `next` of the page before back as it is"
            )));
        }
        // `~` sorts behind every digit and hyphen; an id of the time `until` itself sorts behind the bare time.
        let newest = selection
            .until
            .map_or_else(|| "~".to_owned(), |until| time_of(until.as_millis()));
        let start = match from {
            Some(from) if from < newest.as_str() => from.to_owned(),
            _ => newest,
        };
        if above >= start {
            return Ok(Page {
                items: Vec::new(),
                next: None,
            });
        }
        let mut shards: Vec<Shard> = SHARDS
            .chars()
            .map(|name| Shard::new(name, &start))
            .collect();
        let mut items = Vec::new();
        loop {
            let mut fills = JoinSet::new();
            for (index, shard) in shards.iter().enumerate().filter(|(_, shard)| shard.wants()) {
                let (store, name) = (self.clone(), shard.name);
                let (above, below) = (above.clone(), shard.below.clone());
                fills.spawn(async move { (index, store.stride(name, &above, &below).await) });
            }
            while let Some(fill) = fills.join_next().await {
                let (index, stride) = fill.map_err(|error| StoreError(error.to_string()))?;
                shards[index].fill(stride?);
            }
            // The newest of all shards' newest; each shard is either filled or at its end.
            while shards.iter().all(|shard| !shard.wants()) {
                let newest = shards
                    .iter_mut()
                    .filter(|shard| !shard.held.is_empty())
                    .max_by(|a, b| a.held[0].id.cmp(&b.held[0].id));
                let Some(letter) = newest.and_then(|shard| shard.held.pop_front()) else {
                    return Ok(Page { items, next: None });
                };
                if items.len() == limit {
                    // One more exists: the next page begins below the last of this one.
                    let next = items.last().map(|last: &KeptDeadLetter| last.id.clone());
                    if selected(selection, &letter.letter) {
                        return Ok(Page { items, next });
                    }
                } else if selected(selection, &letter.letter) {
                    items.push(letter);
                }
            }
        }
    }

    async fn get(&self, id: &str) -> Result<Option<KeptDeadLetter>, StoreError> {
        if !is_id(id) {
            return Ok(None);
        }
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .key("pk", AttributeValue::S(partition(shard_of(id))))
            .key("sk", AttributeValue::S(id.to_owned()))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| self.failed("reading a dead letter", &explain_dynamo(&error)))?;
        match answer.item {
            None => Ok(None),
            Some(item) => self.read(&item).await.map(Some),
        }
    }

    async fn delete(&self, ids: &[String]) -> Result<usize, StoreError> {
        let mut deletes = JoinSet::new();
        let mut gone = 0;
        let mut waiting = ids.iter().filter(|id| is_id(id)).cloned();
        loop {
            while deletes.len() < 16
                && let Some(id) = waiting.next()
            {
                let store = self.clone();
                deletes.spawn(async move { store.delete_one(&id).await });
            }
            match deletes.join_next().await {
                None => return Ok(gone),
                Some(done) => {
                    gone += usize::from(done.map_err(|error| StoreError(error.to_string()))??);
                }
            }
        }
    }

    async fn redrive(&self, ids: &[String]) -> Result<usize, StoreError> {
        let Some(stages) = &self.stages else {
            return Err(self.failed(
                "sending dead letters again",
                "this process has no queues to send to",
            ));
        };
        let mut count = 0;
        for chunk in ids.chunks(MAX_BATCH) {
            let mut letters = Vec::with_capacity(chunk.len());
            for id in chunk {
                if let Some(kept) = self.get(id).await? {
                    let (stage, message) = again(&kept.letter)?;
                    letters.push((kept.id, stage, message));
                }
            }
            let mut sent = Vec::with_capacity(letters.len());
            let mut refused = None;
            for stage in [Stage::Ingest, Stage::Match, Stage::Deliver] {
                let (ids, messages): (Vec<String>, Vec<OutgoingMessage>) = letters
                    .iter()
                    .filter(|(_, held, _)| *held == stage)
                    .map(|(id, _, message)| (id.clone(), message.clone()))
                    .unzip();
                if ids.is_empty() {
                    continue;
                }
                for (id, result) in ids.into_iter().zip(stages.send(stage, messages).await) {
                    match result {
                        Ok(()) => sent.push(id),
                        Err(error) => refused = Some(error),
                    }
                }
            }
            // First sent, then deleted: what dies between the two is sent twice, under the same message id.
            self.delete(&sent).await?;
            count += sent.len();
            if let Some(error) = refused {
                return Err(self.failed(
                    "sending dead letters again",
                    &format!("{count} were sent, then: {error}"),
                ));
            }
        }
        Ok(count)
    }
}

/// One shard while a page is made.
struct Shard {
    name: char,
    below: String,
    held: VecDeque<KeptDeadLetter>,
    ended: bool,
}

impl Shard {
    fn new(name: char, below: &str) -> Self {
        Shard {
            name,
            below: below.to_owned(),
            held: VecDeque::new(),
            ended: false,
        }
    }

    fn wants(&self) -> bool {
        self.held.is_empty() && !self.ended
    }

    fn fill(&mut self, stride: Vec<KeptDeadLetter>) {
        match stride.last() {
            Some(last) => self.below.clone_from(&last.id),
            None => self.ended = true,
        }
        self.held = stride.into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use carillon_core::event::Timestamp;

    fn record(at: i64, body: &str) -> DeadLetter {
        DeadLetter {
            at: Timestamp::from_millis(at),
            reason: "why".to_owned(),
            content: DeadLetterContent::Record {
                stage: "match".to_owned(),
                body: body.to_owned(),
            },
        }
    }

    fn id(at: i64, body: &str) -> String {
        let letter = record(at, body);
        id_of(&letter, &serde_json::to_string(&letter).unwrap())
    }

    #[test]
    fn ids_sort_by_time_are_equal_for_equal_letters_and_name_their_shard() {
        assert!(id(999, "z") < id(1_000, "a"));
        assert!(id(9_999_999_999_999, "z") < id(10_000_000_000_000, "a"));
        assert_eq!(id(5, "a"), id(5, "a"));
        assert_ne!(id(5, "a"), id(5, "b"));
        let one = id(5, "a");
        assert!(one.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'));
        assert!(SHARDS.contains(shard_of(&one)));
        assert!(is_id(&one) && is_id(&id(99_999_999_999_999, "b")));
        for other in ["", "-", &one[1..], &one[..30], &format!("{one}0")] {
            assert!(!is_id(other), "{other:?}");
        }
    }

    #[test]
    fn pieces_are_cut_between_characters_and_make_the_whole() {
        for (whole, most) in [("", 4), ("abcd", 4), ("abcde", 4), ("日本語日本語", 4)] {
            let cut: Vec<&str> = pieces(whole, most).collect();
            assert_eq!(cut.concat(), whole);
            assert!(
                cut.iter()
                    .all(|piece| !piece.is_empty() && piece.len() <= most)
            );
        }
    }

    #[test]
    fn a_record_belongs_to_selections_that_ask_for_no_rule() {
        let letter = record(5, "a");
        assert!(selected(&Selection::default(), &letter));
        let since = |at| Selection {
            since: Some(Timestamp::from_millis(at)),
            ..Selection::default()
        };
        assert!(selected(&since(5), &letter) && !selected(&since(6), &letter));
        let until = |at| Selection {
            until: Some(Timestamp::from_millis(at)),
            ..Selection::default()
        };
        assert!(selected(&until(6), &letter) && !selected(&until(5), &letter));
        let rule = Selection {
            rule: carillon_core::rule::RuleName::parse("r").ok(),
            ..Selection::default()
        };
        assert!(!selected(&rule, &letter));
    }
}
