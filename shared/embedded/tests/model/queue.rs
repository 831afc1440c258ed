//! Users' queues.

use super::World;
use carillon_core::event::Timestamp;
use carillon_core::ports::{
    Message, OutgoingMessage, QueueAdmin, QueueAttributes, QueueConsumer as _, QueueError,
    QueueStatistics, Receipt,
};
use carillon_core::topic::QueueName;
use proptest::prelude::*;
use std::time::Duration;

const QUEUES: [&str; 2] = ["orders", "orders-dead"];
const VISIBILITY: i64 = 3_000;
const RETENTION: i64 = 60_000;
const MOST: u32 = 2;

#[derive(Clone, Debug)]
enum Step {
    Send {
        queue: usize,
        delay: u64,
        priority: Option<u8>,
    },
    Receive {
        queue: usize,
        max: usize,
    },
    Peek {
        queue: usize,
        max: usize,
    },
    Delete {
        queue: usize,
        receipt: usize,
    },
    Change {
        queue: usize,
        receipt: usize,
        seconds: u64,
    },
    Advance {
        millis: u64,
    },
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let queue = || prop_oneof![4 => Just(0usize), 1 => Just(1)];
    let delay = prop_oneof![5 => Just(0u64), 1 => Just(2), 1 => Just(7)];
    let priority = prop_oneof![4 => Just(None), 1 => Just(Some(1)), 1 => Just(Some(16))];
    let time = prop_oneof![
        Just(1u64),
        Just(999),
        Just(1_000),
        Just(2_999),
        Just(3_000),
        Just(3_001),
        Just(20_000),
        Just(61_000)
    ];
    prop_oneof![
        8 => (queue(), delay, priority).prop_map(|(queue, delay, priority)| Step::Send { queue, delay, priority }),
        8 => (queue(), 1usize..4).prop_map(|(queue, max)| Step::Receive { queue, max }),
        2 => (queue(), 1usize..4).prop_map(|(queue, max)| Step::Peek { queue, max }),
        4 => (queue(), 0usize..6).prop_map(|(queue, receipt)| Step::Delete { queue, receipt }),
        3 => (queue(), 0usize..6, 0u64..8).prop_map(|(queue, receipt, seconds)| Step::Change { queue, receipt, seconds }),
        6 => time.prop_map(|millis| Step::Advance { millis }),
        1 => Just(Step::Reopen),
    ]
}

/// A message as the model has it.
#[derive(Clone, Debug)]
struct Held {
    queue: usize,
    id: String,
    body: String,
    priority: u8,
    due: i64,
    enqueued: i64,
    first: Option<i64>,
    count: u32,
    receipt: Option<Receipt>,
}

#[derive(Default)]
struct Model {
    now: i64,
    /// In the order of sending.
    messages: Vec<Held>,
    /// All receipts ever given, newest first.
    receipts: Vec<Receipt>,
}

impl Model {
    fn expire(&mut self) {
        let now = self.now;
        self.messages
            .retain(|message| message.enqueued > now - RETENTION);
    }

    /// Positions of the visible messages, in the order of receiving.
    fn visible(&self, queue: usize) -> Vec<usize> {
        let mut visible: Vec<usize> = (0..self.messages.len())
            .filter(|&index| {
                self.messages[index].queue == queue && self.messages[index].due <= self.now
            })
            .collect();
        visible.sort_by_key(|&index| {
            (
                self.messages[index].priority,
                self.messages[index].due,
                index,
            )
        });
        visible
    }

    fn receive(&mut self, queue: usize, max: usize) -> Vec<usize> {
        let mut taken = Vec::new();
        for index in self.visible(queue) {
            if taken.len() == max {
                break;
            }
            let now = self.now;
            let message = &mut self.messages[index];
            if queue == 0 && message.count >= MOST {
                *message = Held {
                    queue: 1,
                    due: now,
                    first: None,
                    count: 0,
                    receipt: None,
                    ..message.clone()
                };
            } else {
                message.due = now + VISIBILITY;
                message.first.get_or_insert(now);
                message.count += 1;
                taken.push(index);
            }
        }
        taken
    }

    fn held(&self, queue: usize, receipt: &Receipt) -> Option<usize> {
        self.messages
            .iter()
            .position(|message| message.queue == queue && message.receipt.as_ref() == Some(receipt))
    }

    fn statistics(&self, queue: usize) -> QueueStatistics {
        let mut numbers = QueueStatistics::default();
        for message in self
            .messages
            .iter()
            .filter(|message| message.queue == queue)
        {
            if message.due <= self.now {
                numbers.active += 1;
            } else if message.count > 0 {
                numbers.inactive += 1;
            } else {
                numbers.delayed += 1;
            }
        }
        numbers
    }
}

fn expected(message: &Held, receipt: Option<Receipt>) -> Message {
    Message {
        id: message.id.clone(),
        body: message.body.clone(),
        receipt,
        enqueued: Timestamp::from_millis(message.enqueued),
        first_received: Timestamp::from_millis(message.first.unwrap_or(message.enqueued)),
        next_visible: Timestamp::from_millis(message.due),
        receive_count: message.count,
        priority: message.priority,
        properties: Vec::new(),
    }
}

fn names() -> [QueueName; 2] {
    QUEUES.map(|name| QueueName::parse(name).unwrap())
}

async fn make_queues(world: &World) {
    let [orders, dead] = names();
    let attributes = QueueAttributes {
        visibility_timeout: 3,
        message_retention_period: 60,
        ..QueueAttributes::default()
    };
    QueueAdmin::create(&world.store, &dead, attributes.clone())
        .await
        .unwrap();
    let attributes = QueueAttributes {
        max_receive_count: Some(MOST),
        dead_letter_queue: Some(dead),
        ..attributes
    };
    QueueAdmin::create(&world.store, &orders, attributes)
        .await
        .unwrap();
}

async fn play(
    world: &World,
    model: &mut Model,
    number: usize,
    step: &Step,
) -> Result<(), TestCaseError> {
    let names = names();
    let store = &world.store;
    match *step {
        Step::Send {
            queue,
            delay,
            priority,
        } => {
            let body = format!("message {number}");
            let message = OutgoingMessage {
                delay: Duration::from_secs(delay),
                priority,
                ..OutgoingMessage::new(body.clone())
            };
            let mut sent =
                carillon_core::ports::QueueSender::send(store, &names[queue], vec![message]).await;
            model.messages.push(Held {
                queue,
                id: sent.remove(0).unwrap(),
                body,
                priority: priority.unwrap_or(8),
                due: model.now + i64::try_from(delay).unwrap() * 1000,
                enqueued: model.now,
                first: None,
                count: 0,
                receipt: None,
            });
        }
        Step::Receive { queue, max } => {
            let received = store
                .receive(&names[queue], max, Some(Duration::ZERO))
                .await
                .unwrap();
            let taken = model.receive(queue, max);
            prop_assert_eq!(received.len(), taken.len());
            for (message, index) in received.into_iter().zip(taken) {
                let receipt = message.receipt.clone();
                prop_assert!(receipt.is_some());
                prop_assert_eq!(&message, &expected(&model.messages[index], receipt.clone()));
                model.receipts.splice(0..0, receipt.clone());
                model.messages[index].receipt = receipt;
            }
        }
        Step::Peek { queue, max } => {
            let seen = store.peek(&names[queue], max).await.unwrap();
            let visible = model.visible(queue);
            let expected: Vec<Message> = visible
                .into_iter()
                .take(max)
                .map(|index| expected(&model.messages[index], None))
                .collect();
            prop_assert_eq!(seen, expected);
        }
        Step::Delete { queue, receipt } => {
            let Some(receipt) = model.receipts.get(receipt).cloned() else {
                return Ok(());
            };
            let deleted = carillon_core::ports::QueueConsumer::delete(
                store,
                &names[queue],
                std::slice::from_ref(&receipt),
            )
            .await;
            let expected = match model.held(queue, &receipt) {
                Some(index) => {
                    model.messages.remove(index);
                    Ok(())
                }
                None => Err(QueueError::ReceiptVoid),
            };
            prop_assert_eq!(deleted, Ok(vec![expected]));
        }
        Step::Change {
            queue,
            receipt,
            seconds,
        } => {
            let Some(receipt) = model.receipts.get(receipt).cloned() else {
                return Ok(());
            };
            let visibility = Duration::from_secs(seconds);
            let changed = store
                .change_visibility(&names[queue], &receipt, visibility)
                .await;
            match model.held(queue, &receipt) {
                Some(index) => {
                    let (fresh, visible) = changed.unwrap();
                    let message = &mut model.messages[index];
                    message.due = model.now + i64::try_from(seconds).unwrap() * 1000;
                    prop_assert_eq!(visible.as_millis(), message.due);
                    message.receipt = Some(fresh.clone());
                    model.receipts.insert(0, fresh);
                }
                None => prop_assert_eq!(changed, Err(QueueError::ReceiptVoid)),
            }
        }
        Step::Advance { millis } => {
            world.advance(millis);
            model.now += i64::try_from(millis).unwrap();
            model.expire();
        }
        Step::Reopen => {}
    }
    for (queue, name) in names.iter().enumerate() {
        let numbers = QueueAdmin::get(store, name).await.unwrap().statistics;
        prop_assert_eq!(numbers, model.statistics(queue), "{}", name);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: super::cases(), max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_queue_does_what_its_model_does(steps in prop::collection::vec(step(), 1..60)) {
        let mut world = World::new();
        let mut model = Model { now: 1_700_000_000_000, ..Model::default() };
        world.runtime.block_on(make_queues(&world));
        for (number, step) in steps.iter().enumerate() {
            if matches!(step, Step::Reopen) {
                // Receptions outlast the process: the consumers are other processes.
                world.reopen();
            }
            world.runtime.block_on(play(&world, &mut model, number, step))?;
        }
    }
}
