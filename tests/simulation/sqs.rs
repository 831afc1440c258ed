//! A standard queue as SQS promises it: at least once, in no order, with visibility, receive count and delay.

use crate::rng::Rng;
use carillon_core::event::{MessageId, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// One delivery in a message, as far as the checks need it.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) event: usize,
    pub(crate) subscription: usize,
    pub(crate) attempts: u32,
    pub(crate) version: u64,
    pub(crate) id: MessageId,
    /// When its last attempt ended, by the clock of who made it.
    pub(crate) ended: Option<Timestamp>,
    /// Its last attempt was one that no retry mends: it is a dead letter that could not be kept yet.
    pub(crate) hopeless: bool,
}

/// What a message holds, read once when it is sent.
#[derive(Clone, Debug)]
pub(crate) enum Holds {
    /// Events, by number: a raw body, or packed events.
    Events(Vec<usize>),
    /// Packed deliveries.
    Deliveries(Vec<Item>),
    /// A body that no stage can read.
    Poison,
}

impl Holds {
    /// The events in it.
    pub(crate) fn events(&self) -> Vec<usize> {
        match self {
            Holds::Events(events) => events.clone(),
            Holds::Deliveries(items) => items.iter().map(|item| item.event).collect(),
            Holds::Poison => Vec::new(),
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) id: u64,
    pub(crate) body: Arc<str>,
    pub(crate) holds: Arc<Holds>,
    pub(crate) receives: u32,
    visible_at: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    messages: BTreeMap<u64, Message>,
    by_time: BTreeSet<(u64, u64)>,
}

impl Queue {
    pub(crate) fn send(&mut self, id: u64, body: Arc<str>, holds: Arc<Holds>, visible_at: u64) {
        self.put(Message {
            id,
            body,
            holds,
            receives: 0,
            visible_at,
        });
    }

    /// As it was, visible at a time: a deleted message that comes again.
    pub(crate) fn restore(&mut self, message: Message, visible_at: u64) {
        self.put(Message {
            visible_at,
            ..message
        });
    }

    fn put(&mut self, message: Message) {
        self.by_time.insert((message.visible_at, message.id));
        self.messages.insert(message.id, message);
    }

    /// Takes one visible message, hidden until `hidden_until`; the oldest, or with `reorder` any.
    pub(crate) fn receive(
        &mut self,
        now: u64,
        hidden_until: u64,
        reorder: Option<&mut Rng>,
    ) -> Option<Message> {
        let mut visible = self.by_time.range(..=(now, u64::MAX));
        let &(at, id) = match reorder {
            Some(rng) => {
                let near: Vec<_> = visible.take(16).collect();
                *near.get(rng.below(near.len()))?
            }
            None => visible.next()?,
        };
        self.by_time.remove(&(at, id));
        self.by_time.insert((hidden_until, id));
        let message = self
            .messages
            .get_mut(&id)
            .expect("both indexes hold the same messages");
        message.visible_at = hidden_until;
        message.receives += 1;
        Some(message.clone())
    }

    /// Deletes; true when it was there.
    pub(crate) fn delete(&mut self, id: u64) -> bool {
        match self.messages.remove(&id) {
            Some(message) => self.by_time.remove(&(message.visible_at, id)),
            None => false,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    pub(crate) fn messages(&self) -> impl Iterator<Item = &Message> {
        self.messages.values()
    }
}
