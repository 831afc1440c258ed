//! Queues with MNS semantics, in memory, under the stopped clock. A receive never waits: it gives what is there.

use super::StoppedClock;
use carillon_core::event::Timestamp;
use carillon_core::ports::{
    Clock as _, Message, OutgoingMessage, QueueAdmin, QueueAttributes, QueueConsumer, QueueError,
    QueueSender, QueueStatistics, Receipt, UserQueue,
};
use carillon_core::topic::QueueName;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

struct Held {
    message: Message,
    receipt: Option<String>,
    visible: Timestamp,
}

struct Queue {
    attributes: QueueAttributes,
    created: Timestamp,
    modified: Timestamp,
    messages: Vec<Held>,
}

pub struct MemoryQueues {
    clock: Arc<StoppedClock>,
    held: Mutex<(u64, BTreeMap<QueueName, Queue>)>,
}

impl MemoryQueues {
    pub fn new(clock: Arc<StoppedClock>) -> Self {
        MemoryQueues {
            clock,
            held: Mutex::default(),
        }
    }

    fn with<T>(
        &self,
        name: &QueueName,
        run: impl FnOnce(&mut u64, &mut Queue) -> T,
    ) -> Result<T, QueueError> {
        let mut held = self.held.lock().unwrap();
        let (counter, queues) = &mut *held;
        match queues.get_mut(name) {
            Some(queue) => Ok(run(counter, queue)),
            None => Err(QueueError::NotExist(name.as_str().to_owned())),
        }
    }
}

#[async_trait::async_trait]
impl QueueSender for MemoryQueues {
    async fn send(
        &self,
        queue: &QueueName,
        messages: Vec<OutgoingMessage>,
    ) -> Vec<Result<String, QueueError>> {
        let now = self.clock.now();
        messages
            .into_iter()
            .map(|outgoing| {
                self.with(queue, |counter, held| {
                    let limit = held.attributes.maximum_message_size;
                    if outgoing.size() > limit as usize {
                        let (queue, len) = (queue.as_str().to_owned(), outgoing.size());
                        return Err(QueueError::TooLarge { queue, len, limit });
                    }
                    *counter += 1;
                    let id = format!("{counter:032X}");
                    let standard = Duration::from_secs(u64::from(held.attributes.delay_seconds));
                    let delay = if outgoing.delay.is_zero() && !outgoing.at_once {
                        standard
                    } else {
                        outgoing.delay
                    };
                    let visible = now.plus(delay);
                    held.messages.push(Held {
                        message: Message {
                            id: id.clone(),
                            body: outgoing.body,
                            receipt: None,
                            enqueued: now,
                            first_received: now,
                            next_visible: visible,
                            receive_count: 0,
                            priority: outgoing.priority.unwrap_or(Message::DEFAULT_PRIORITY),
                            properties: outgoing.properties,
                        },
                        receipt: None,
                        visible,
                    });
                    Ok(id)
                })?
            })
            .collect()
    }
}

#[async_trait::async_trait]
impl QueueConsumer for MemoryQueues {
    async fn receive(
        &self,
        queue: &QueueName,
        max: usize,
        _: Option<Duration>,
    ) -> Result<Vec<Message>, QueueError> {
        let now = self.clock.now();
        self.with(queue, |counter, held| {
            let next = now.plus(Duration::from_secs(u64::from(
                held.attributes.visibility_timeout,
            )));
            held.messages.sort_by_key(|held| held.message.priority);
            let ready = held
                .messages
                .iter_mut()
                .filter(|held| held.visible <= now)
                .take(max);
            ready
                .map(|held| {
                    *counter += 1;
                    held.receipt = Some(format!("{}-r{counter}", held.message.priority));
                    held.visible = next;
                    held.message.receive_count += 1;
                    if held.message.receive_count == 1 {
                        held.message.first_received = now;
                    }
                    held.message.next_visible = next;
                    Message {
                        receipt: held.receipt.clone().map(Receipt),
                        ..held.message.clone()
                    }
                })
                .collect()
        })
    }

    async fn peek(&self, queue: &QueueName, max: usize) -> Result<Vec<Message>, QueueError> {
        let now = self.clock.now();
        self.with(queue, |_, held| {
            let ready = held
                .messages
                .iter()
                .filter(|held| held.visible <= now)
                .take(max);
            ready.map(|held| held.message.clone()).collect()
        })
    }

    async fn delete(
        &self,
        queue: &QueueName,
        receipts: &[Receipt],
    ) -> Result<Vec<Result<(), QueueError>>, QueueError> {
        self.with(queue, |_, held| {
            receipts
                .iter()
                .map(|receipt| {
                    let before = held.messages.len();
                    held.messages
                        .retain(|held| held.receipt.as_ref() != Some(&receipt.0));
                    if held.messages.len() < before {
                        Ok(())
                    } else {
                        Err(void(receipt))
                    }
                })
                .collect()
        })
    }

    async fn change_visibility(
        &self,
        queue: &QueueName,
        receipt: &Receipt,
        visibility: Duration,
    ) -> Result<(Receipt, Timestamp), QueueError> {
        let visible = self.clock.now().plus(visibility);
        self.with(queue, |counter, held| {
            let held = held
                .messages
                .iter_mut()
                .find(|held| held.receipt.as_ref() == Some(&receipt.0));
            let held = held.ok_or_else(|| void(receipt))?;
            *counter += 1;
            let fresh = format!("{}-r{counter}", held.message.priority);
            held.receipt = Some(fresh.clone());
            held.visible = visible;
            held.message.next_visible = visible;
            Ok((Receipt(fresh), visible))
        })?
    }
}

fn shown(name: &QueueName, queue: &Queue, now: Timestamp) -> UserQueue {
    let waiting = queue.messages.iter().filter(|held| held.visible > now);
    let delayed = waiting
        .clone()
        .filter(|held| held.message.receive_count == 0)
        .count();
    let inactive = waiting.count() - delayed;
    UserQueue {
        name: name.clone(),
        attributes: queue.attributes.clone(),
        created: queue.created,
        modified: queue.modified,
        statistics: QueueStatistics {
            active: (queue.messages.len() - delayed - inactive) as u64,
            inactive: inactive as u64,
            delayed: delayed as u64,
        },
    }
}

#[async_trait::async_trait]
impl QueueAdmin for MemoryQueues {
    async fn create(
        &self,
        queue: &QueueName,
        attributes: QueueAttributes,
    ) -> Result<bool, QueueError> {
        let now = self.clock.now();
        let mut held = self.held.lock().unwrap();
        match held.1.get(queue) {
            Some(held) if held.attributes == attributes => Ok(false),
            Some(_) => Err(QueueError::AlreadyExist(queue.as_str().to_owned())),
            None => {
                let new = Queue {
                    attributes,
                    created: now,
                    modified: now,
                    messages: Vec::new(),
                };
                held.1.insert(queue.clone(), new);
                Ok(true)
            }
        }
    }

    async fn set_attributes(
        &self,
        queue: &QueueName,
        attributes: QueueAttributes,
    ) -> Result<(), QueueError> {
        let now = self.clock.now();
        self.with(queue, |_, held| {
            held.attributes = attributes;
            held.modified = now;
        })
    }

    async fn get(&self, queue: &QueueName) -> Result<UserQueue, QueueError> {
        let now = self.clock.now();
        self.with(queue, |_, held| shown(queue, held, now))
    }

    async fn delete(&self, queue: &QueueName) -> Result<bool, QueueError> {
        Ok(self.held.lock().unwrap().1.remove(queue).is_some())
    }

    async fn list(&self, prefix: &str) -> Result<Vec<UserQueue>, QueueError> {
        let now = self.clock.now();
        let held = self.held.lock().unwrap();
        let wanted = held
            .1
            .iter()
            .filter(|(name, _)| name.as_str().starts_with(prefix));
        Ok(wanted
            .map(|(name, queue)| shown(name, queue, now))
            .collect())
    }
}

/// Receipts are `<priority>-r<number>`.
fn void(receipt: &Receipt) -> QueueError {
    if receipt.0.contains("-r") {
        QueueError::ReceiptVoid
    } else {
        QueueError::ReceiptInvalid
    }
}
