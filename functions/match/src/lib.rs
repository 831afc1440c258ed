//! The match stage: which rules cover an event, and so who is told.
//!
//! ```no_run
//! # async fn example(ports: carillon_match::Ports, batch: Vec<carillon_core::ports::QueueRecord>) {
//! let outcome = carillon_match::handle(&ports, &batch).await;
//! assert!(outcome.failed.is_empty());
//! # }
//! ```
//!
//! # Exact rules
//!
//! * A batch is judged by one snapshot, and each delivery carries its version.
//! * An event goes to every rule that covers it (one, unless overlaps are allowed), else to the default rule, else to
//!   nobody.
//! * A pack that a replay made for one rule is judged like any other; that rule alone is told, if it covers the event.
//! * A rule publishes to its topic: one notification, whose id is derived from the event and the topic; one delivery
//!   for each subscription of the topic whose filter admits it.
//! * Deliveries of one subscription are packed together, and sent under the subscription's name as fair-queue group.
//! * A record that cannot be read goes to the dead letters at once, with the reason: coming again would not mend it. A
//!   record whose judging panics, or whose deliveries the queue did not take, fails alone and comes again.
//!
//! # What it will not do
//!
//! It attempts no delivery and parses no body: the rule's name is spliced into the text that ingest prepared.

use carillon_core::delivery::{DeadLetter, DeadLetterContent, Delivery, Notification};
use carillon_core::envelope::{RecordPacker, not_taken, open_pack};
use carillon_core::event::{Event, Timestamp};
use carillon_core::ports::{
    BatchOutcome, Clock, DeadLetterStore, OutgoingMessage, QueueRecord, Stage, StageSender,
};
use carillon_core::rule::{Rule, RuleName};
use carillon_core::ruleset::{Hits, Snapshot, SnapshotCache};
use carillon_core::topic::{SubscriptionName, TopicName};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// What the stage asks of the world.
#[derive(Clone)]
pub struct Ports {
    /// Rules, topics and subscriptions.
    pub snapshots: Arc<SnapshotCache>,
    /// Takes the deliveries.
    pub stages: Arc<dyn StageSender>,
    /// Takes what cannot be read.
    pub dead_letters: Arc<dyn DeadLetterStore>,
    /// Time of publishing.
    pub clock: Arc<dyn Clock>,
}

/// Judges a batch of packed events and sends their deliveries on.
pub async fn handle(ports: &Ports, batch: &[QueueRecord]) -> BatchOutcome {
    let snapshot = match ports.snapshots.current().await {
        Ok(snapshot) => snapshot,
        Err(error) => return fail_all(batch, &error.to_string()),
    };
    let now = ports.clock.now();
    let mut round = Round::new(&snapshot, now);
    let mut failed: BTreeMap<usize, String> = BTreeMap::new();
    let mut letters: Vec<(usize, DeadLetter)> = Vec::new();

    for (index, record) in batch.iter().enumerate() {
        let mut judge = || -> Result<Vec<DeadLetter>, DeadLetter> {
            let pack = open_pack(&record.body)
                .map_err(|error| unreadable(now, error.to_string(), &record.body))?;
            let only = pack.only.as_ref();
            Ok(pack
                .events
                .iter()
                .flat_map(|event| round.judge(index, event, only))
                .collect())
        };
        match catch_unwind(AssertUnwindSafe(&mut judge)) {
            Ok(Ok(refused)) => letters.extend(refused.into_iter().map(|letter| (index, letter))),
            Ok(Err(letter)) => letters.push((index, letter)),
            Err(_) => {
                failed.insert(index, "judging this record panicked".to_owned());
            }
        }
    }

    if !letters.is_empty() {
        let (records, letters): (Vec<usize>, Vec<DeadLetter>) = letters.into_iter().unzip();
        for letter in &letters {
            tracing::warn!(reason = letter.reason, "record refused");
        }
        if let Err(error) = ports.dead_letters.put(letters).await {
            failed.extend(
                records
                    .into_iter()
                    .map(|record| (record, error.to_string())),
            );
        }
    }

    // A record that will come again would send its deliveries twice: what it packed together with others cannot be
    // taken back, and the message ids let receivers drop the double. At least once, never less.
    let (messages, carried): (Vec<OutgoingMessage>, Vec<Vec<usize>>) =
        round.finish().into_iter().unzip();
    if !messages.is_empty() {
        let results = ports.stages.send(Stage::Deliver, messages).await;
        failed.extend(not_taken(&results, carried));
    }
    BatchOutcome {
        failed: failed
            .into_iter()
            .map(|(record, reason)| (batch[record].id.clone(), reason))
            .collect(),
    }
}

/// The deliveries of one event by one snapshot: what `carillon invoke match` prints, and the naive form of what
/// [`handle`] packs.
#[must_use]
pub fn deliveries(snapshot: &Snapshot, event: &Event, now: Timestamp) -> Vec<Delivery> {
    let mut hits = Hits::new();
    let mut all = Vec::new();
    let set = snapshot.rule_set(&event.product);
    for rule in set.judge(event.event_type.as_str(), &event.resource, &mut hits) {
        let Some(topic) = &rule.topic else { continue };
        let notification = notification(event, rule, topic, now);
        let admitted = snapshot
            .subscriptions(topic)
            .iter()
            .filter(|held| held.admits(notification.tag.as_deref()));
        all.extend(admitted.map(|subscription| Delivery {
            topic: topic.clone(),
            subscription: subscription.name.clone(),
            version: snapshot.version(),
            notification: notification.clone(),
            attempts: 0,
            history: Vec::new(),
            redriven: None,
            resends: 0,
        }));
    }
    all
}

fn notification(event: &Event, rule: &Rule, topic: &TopicName, now: Timestamp) -> Notification {
    Notification {
        message_id: event.id.message_id(topic.as_str()),
        product: event.product.clone(),
        rule: rule.name.clone(),
        event_type: event.event_type.clone(),
        resource: event.resource.clone(),
        body: event.body.publish(rule.name.as_str()),
        published: now,
        tag: None,
    }
}

fn unreadable(now: Timestamp, reason: String, body: &str) -> DeadLetter {
    DeadLetter {
        at: now,
        reason,
        content: DeadLetterContent::Record {
            stage: Stage::Match.as_str().to_owned(),
            body: body.to_owned(),
        },
    }
}

fn fail_all(batch: &[QueueRecord], reason: &str) -> BatchOutcome {
    BatchOutcome {
        failed: batch
            .iter()
            .map(|record| (record.id.clone(), reason.to_owned()))
            .collect(),
    }
}

/// One batch in the making: a pack for each subscription, and which records each message came from.
struct Round<'a> {
    snapshot: &'a Snapshot,
    now: Timestamp,
    hits: Hits,
    packs: BTreeMap<(TopicName, SubscriptionName), RecordPacker>,
}

impl<'a> Round<'a> {
    fn new(snapshot: &'a Snapshot, now: Timestamp) -> Self {
        Round {
            snapshot,
            now,
            hits: Hits::new(),
            packs: BTreeMap::new(),
        }
    }

    /// Packs the deliveries of an event; gives those that no message can hold, as dead letters. With `only`, other rules
    /// that cover it too are passed over.
    fn judge(&mut self, record: usize, event: &Event, only: Option<&RuleName>) -> Vec<DeadLetter> {
        let mut refused = Vec::new();
        let set = self.snapshot.rule_set(&event.product);
        for rule in set.judge(event.event_type.as_str(), &event.resource, &mut self.hits) {
            if only.is_some_and(|only| *only != rule.name) {
                continue;
            }
            // A stored rule always names its topic; one that does not has nobody to tell.
            let Some(topic) = &rule.topic else { continue };
            let mut subscriptions = self.snapshot.subscriptions(topic).iter();
            let Some(first) = subscriptions.next() else {
                continue;
            };
            // One delivery, handed from subscription to subscription: the body is built once and never copied.
            let mut delivery = Delivery {
                topic: topic.clone(),
                subscription: first.name.clone(),
                version: self.snapshot.version(),
                notification: notification(event, rule, topic, self.now),
                attempts: 0,
                history: Vec::new(),
                redriven: None,
                resends: 0,
            };
            for subscription in std::iter::once(first).chain(subscriptions) {
                if !subscription.admits(delivery.notification.tag.as_deref()) {
                    continue;
                }
                delivery.subscription.clone_from(&subscription.name);
                let key = (topic.clone(), subscription.name.clone());
                let pack = self.packs.entry(key).or_default();
                if let Err(error) = pack.push(record, &delivery) {
                    refused.push(DeadLetter {
                        at: self.now,
                        reason: error.to_string(),
                        content: DeadLetterContent::Delivery(Box::new(delivery.clone())),
                    });
                }
            }
        }
        refused
    }

    fn finish(self) -> Vec<(OutgoingMessage, Vec<usize>)> {
        let mut all = Vec::new();
        for ((topic, subscription), pack) in self.packs {
            let group = format!("{topic}/{subscription}");
            all.extend(pack.finish().into_iter().map(|(body, records)| {
                let message = OutgoingMessage {
                    group: Some(group.clone()),
                    ..OutgoingMessage::new(body)
                };
                (message, records)
            }));
        }
        all
    }
}
