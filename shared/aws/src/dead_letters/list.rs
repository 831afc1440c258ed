//! A page of dead letters: sixteen partitions, each sorted, made one list, the newest first.

use super::DynamoDeadLetters;
use super::item::{SHARDS, is_id, partition, text, time_of};
use crate::store::explain_dynamo;
use aws_sdk_dynamodb::types::AttributeValue;
use carillon_core::delivery::{DeadLetter, DeadLetterContent};
use carillon_core::ports::{KeptDeadLetter, Page, Selection, StoreError};
use std::collections::VecDeque;
use tokio::task::JoinSet;

/// Letters of one shard that one query asks for.
const STRIDE: usize = 100;

/// What one query gave.
#[derive(Default)]
struct Stride {
    letters: Vec<KeptDeadLetter>,
    /// The last id that was looked at, be there a letter or not; none at the shard's end.
    lowest: Option<String>,
}

impl DynamoDeadLetters {
    /// See [`DeadLetterAdmin::list`](carillon_core::ports::DeadLetterAdmin::list).
    pub(super) async fn page(
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

    /// Letters of one shard, newest first, at most [`STRIDE`], before (not including) `below`.
    async fn stride(&self, shard: char, above: &str, below: &str) -> Result<Stride, StoreError> {
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
        let mut stride = Stride::default();
        for item in answer.items.unwrap_or_default() {
            let id = text(&item, "sk");
            if id != below {
                stride.lowest = Some(id.to_owned());
                stride.letters.extend(self.read(&item).await?);
            }
        }
        Ok(stride)
    }
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

    fn fill(&mut self, stride: Stride) {
        match stride.lowest {
            Some(lowest) => self.below = lowest,
            None => self.ended = true,
        }
        self.held = stride.letters.into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use carillon_core::event::Timestamp;

    #[test]
    fn a_record_belongs_to_selections_that_ask_for_no_rule() {
        let letter = DeadLetter {
            at: Timestamp::from_millis(5),
            reason: "why".to_owned(),
            content: DeadLetterContent::Record {
                stage: "match".to_owned(),
                body: "a".to_owned(),
            },
        };
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
