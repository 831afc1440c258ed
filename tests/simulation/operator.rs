//! The operator: changes rules and subscriptions, redrives, discards, rotates keys, while events flow.

use crate::fault::Fault;
use crate::model::apply;
use crate::plant::Plant;
use crate::sqs::Holds;
use crate::world::{EPOCH, State};
use carillon_core::delivery::DeadLetterContent;
use carillon_core::envelope::Packer;
use carillon_core::event::{Product, Timestamp};
use carillon_core::ports::{Change, Stage};
use carillon_core::rule::{
    Clause, EventTypePattern, EventTypes, ResourcePattern, Resources, Rule, RuleName,
};
use carillon_core::topic::{
    ContentFormat, NotifyStrategy, QueueName, Subscription, SubscriptionName, Target, Topic,
    TopicName,
};
use std::sync::Arc;

const TYPES: [&str; 8] = [
    "ObjectCreated:*",
    "ObjectCreated:*",
    "ObjectCreated:PutObject",
    "ObjectCreated:CopyObject",
    "ObjectRemoved:*",
    "ObjectRemoved:DeleteObject",
    "ObjectModified:*",
    "BucketQueried:GetBucketReferer",
];

impl State {
    /// The rules that stand when the run begins.
    pub(crate) fn first_rules(&mut self) {
        let mut changes = Vec::new();
        let mut number = self.known.len();
        for _ in 0..self.rng.between(1, 5) {
            changes.extend(self.new_rule(None, &mut number));
        }
        if self.rng.chance(7_000) {
            changes.extend(self.new_rule(Some("DefaultEnRule"), &mut number));
        }
        let records = apply(&self.newest(), &changes);
        self.commit(records.version - 1, records);
    }

    fn new_rule(&mut self, name: Option<&str>, number: &mut usize) -> Vec<Change> {
        let tag = self.id();
        let name = name.map_or_else(|| format!("r{tag}"), str::to_owned);
        let topic = TopicName::parse(&format!("t{tag}")).expect("it is a name");
        let mut types: Vec<EventTypePattern> = Vec::new();
        let mut alternatives = Vec::new();
        let is_default = name == "DefaultEnRule";
        if !is_default {
            for _ in 0..self.rng.between(1, 3) {
                let text = *self.rng.pick(&TYPES);
                types.push(EventTypePattern::parse(text).expect("they are patterns"));
            }
            for _ in 0..self.rng.between(1, 2) {
                alternatives.push(vec![self.clause()]);
                if self.rng.chance(2_000) {
                    let more = self.clause();
                    alternatives.last_mut().expect("one was pushed").push(more);
                }
            }
        }
        let rule = Rule {
            product: Product::Oss,
            name: RuleName::parse(&name).expect("it is a name"),
            event_types: EventTypes(types),
            resources: if is_default {
                Resources::All
            } else {
                Resources::AnyOf(alternatives)
            },
            endpoints: Vec::new(),
            enabled: true,
            topic: Some(topic.clone()),
            created: Timestamp::default(),
        };
        let mut changes = vec![
            Change::PutTopic(Topic {
                name: topic.clone(),
                made_for: Some((Product::Oss, rule.name.clone())),
                created: Timestamp::default(),
                modified: Timestamp::default(),
                max_message_size: Topic::MAX_MESSAGE_SIZE,
                logging: false,
            }),
            Change::PutRule(rule),
        ];
        for _ in 0..self.rng.between(1, 3) {
            changes.push(Change::PutSubscription(
                self.new_subscription(&topic, number),
            ));
        }
        changes
    }

    fn clause(&mut self) -> Clause {
        let bucket = *self.rng.pick(&["movie", "music", "movies"]);
        let pattern = match self.rng.below(6) {
            0 => ResourcePattern::Name(bucket.to_owned()),
            1 => ResourcePattern::Ends {
                prefix: format!("{bucket}/"),
                suffix: String::new(),
            },
            2 => ResourcePattern::Ends {
                prefix: String::new(),
                suffix: ".avi".into(),
            },
            3 => ResourcePattern::Ends {
                prefix: format!("{bucket}/new/"),
                suffix: ".jpg".into(),
            },
            4 => ResourcePattern::Ends {
                prefix: "mov".into(),
                suffix: String::new(),
            },
            _ => ResourcePattern::Ends {
                prefix: String::new(),
                suffix: String::new(),
            },
        };
        Clause {
            negated: self.rng.chance(800),
            pattern,
        }
    }

    /// A subscription whose endpoint bears its number.
    fn new_subscription(&mut self, topic: &TopicName, number: &mut usize) -> Subscription {
        let name = SubscriptionName::parse(&format!("s{number}")).expect("it is a name");
        let target = self.target(*number);
        let mut made = Subscription::auto(topic.clone(), name, target, Timestamp::default());
        if self.rng.chance(3_000) {
            made.strategy = NotifyStrategy::ExponentialDecayRetry;
        }
        if self.rng.chance(2_000) {
            made.format = *self.rng.pick(&[ContentFormat::Xml, ContentFormat::Json]);
        }
        if self.rng.chance(2_000) {
            made.dead_letter_queue = QueueName::parse(&format!("D{number}")).ok();
        }
        if self.rng.chance(500) {
            made.max_per_second = Some(2);
        }
        *number += 1;
        made
    }

    fn target(&mut self, number: usize) -> Target {
        match self.rng.below(10) {
            0..=2 => Target::Queue(QueueName::parse(&format!("Q{number}")).expect("it is a name")),
            3 => Target::Http(format!("https://rebind{number}.example.com/hook?a=b")),
            _ => Target::Http(format!("https://e{number}.example.com/hook")),
        }
    }

    /// One thing, or nothing.
    pub(crate) fn operate(&mut self) {
        // Operators come by seldom, so each visit has several chances.
        for _ in 0..6 {
            if self.strikes(Fault::RuleChanged) {
                self.change_rules();
            }
            if self.strikes(Fault::Redriven) {
                self.redrive();
            }
            if self.strikes(Fault::Replayed) {
                self.replay();
            }
        }
        if self.strikes(Fault::KeyRotated) {
            let now = self.clock.now;
            if let Some(last) = self.keys.last_mut() {
                last.1 = now + 120_000;
            }
            self.keys.push((now, u64::MAX));
            self.note(&[], || "operator: the signing key is rotated".into());
        }
    }

    fn change_rules(&mut self) {
        let records = self.newest();
        let rule = (!records.rules.is_empty()).then(|| self.rng.pick(&records.rules).clone());
        let held = (!records.subscriptions.is_empty())
            .then(|| self.rng.pick(&records.subscriptions).clone());
        let mut number = self.known.len();
        let what = self.rng.below(7);
        let changes = match (what, rule, held) {
            (0, ..) if records.rules.len() < 10 => self.new_rule(None, &mut number),
            (1, Some(rule), _) => {
                let topic = rule.topic.clone().expect("every rule here has a topic");
                let hers = records
                    .subscriptions
                    .iter()
                    .filter(|held| held.topic == topic);
                let mut changes: Vec<Change> = hers
                    .map(|held| Change::DeleteSubscription(held.topic.clone(), held.name.clone()))
                    .collect();
                changes.push(Change::DeleteTopic(topic));
                changes.push(Change::DeleteRule(rule.product, rule.name));
                changes
            }
            (2 | 3, Some(rule), _) => vec![Change::PutRule(Rule {
                enabled: !rule.enabled,
                ..rule
            })],
            (4, Some(rule), _) => {
                let topic = rule.topic.expect("every rule here has a topic");
                vec![Change::PutSubscription(
                    self.new_subscription(&topic, &mut number),
                )]
            }
            (5, _, Some(held)) => vec![Change::DeleteSubscription(held.topic, held.name)],
            (6, _, Some(mut held)) => {
                let number = held.name.as_str()[1..]
                    .parse()
                    .expect("subscriptions here are named by number");
                held.target = self.target(number);
                vec![Change::PutSubscription(held)]
            }
            _ => return,
        };
        self.note(&[], || format!("operator: {changes:?}"));
        let after = apply(&records, &changes);
        self.commit(records.version, after);
        // A second operator judged on the same version; the table must refuse him.
        if self.strikes(Fault::CommitRaced) && self.planted(Plant::UnconditionalCommit) {
            let mut theirs = (*records).clone();
            theirs.version += 2;
            self.commit(records.version, theirs);
        }
    }

    fn redrive(&mut self) {
        let ids: Vec<u64> = self.letters.keys().copied().collect();
        if ids.is_empty() {
            return;
        }
        let id = *self.rng.pick(&ids);
        let (letter, holds) = self.letters[&id].clone();
        if self.rng.chance(500) && !matches!(*holds, Holds::Poison) {
            self.note(&holds.events(), || {
                "operator: discards a dead letter".into()
            });
            self.letters.remove(&id);
            self.discard(&holds);
            return;
        }
        if self.planted(Plant::RedriveDeletesFirst) {
            self.letters.remove(&id);
            if self.rng.chance(3_000) {
                self.note(&holds.events(), || {
                    "operator: dies in the midst of a redrive".into()
                });
                return;
            }
        }
        let now = EPOCH + i64::try_from(self.clock.now).expect("runs are short");
        let now = Timestamp::from_millis(now);
        // Two operators at once both find it there.
        let times = if self.rng.chance(2_500) { 2 } else { 1 };
        for _ in 0..times {
            let (stage, body) = match &letter.content {
                DeadLetterContent::Delivery(delivery) => {
                    let again = (**delivery).clone().renewed(now);
                    let mut packer = Packer::new();
                    if packer.push(&again).is_err() {
                        return;
                    }
                    (Stage::Deliver, packer.finish().pop().unwrap_or_default())
                }
                DeadLetterContent::Record { stage, body } => {
                    let stage = crate::world::STAGES
                        .into_iter()
                        .find(|held| held.as_str() == stage);
                    (stage.expect("letters name a stage"), body.clone())
                }
            };
            self.note(&holds.events(), || {
                format!("operator: redrives a letter to {stage}")
            });
            let holds = match (&letter.content, &*holds) {
                (DeadLetterContent::Record { .. }, _) => holds.clone(),
                _ => Arc::new(self.holds(stage, &body)),
            };
            self.excuse(&holds, stage);
            if let Holds::Deliveries(items) = &*holds {
                for item in items {
                    self.fate(item.event, item.subscription).redriven = true;
                }
            }
            let only = crate::memory::only_of(&body);
            let id = self.enqueue(stage, body.into(), holds, 0);
            if only.is_some() {
                self.replays.insert(id, only);
            }
        }
        // An operator may die here; the letter stays, and may be redriven once more.
        if !self.rng.chance(1_000) {
            self.letters.remove(&id);
        }
    }

    fn discard(&mut self, holds: &Holds) {
        match holds {
            Holds::Deliveries(items) => {
                self.discarded
                    .extend(items.iter().map(|item| (item.event, item.subscription)));
            }
            Holds::Events(events) => self.judged.extend(events),
            Holds::Poison => {}
        }
    }
}
