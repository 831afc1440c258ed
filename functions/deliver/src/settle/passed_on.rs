//! Copies end here: what this process has put back into the queue, or delivered, it does not take up again.
//!
//! A send whose answer is lost is made once more, and leaves two messages that hold the same delivery. Were each of them
//! put back whenever its turn comes, every lost answer would double what is already double, for as long as the endpoint is
//! down. So each re-send carries a number ([`Delivery::resends`]), and a process that has put number `n + 1` back drops
//! whatever arrives with `n` or less: what it would become is in the queue already. Of all copies of one number each
//! process lets one through, so that there are at most as many as there are processes, however many answers are lost.
//!
//! What was never put back is never dropped: copies that a source or a queue made of it are not ours.
//!
//! A delivery is dropped only when its successor is known to be durable, by count and not by time: no clock can make this
//! lose one.

use carillon_core::delivery::Delivery;
use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, PoisonError};

/// Deliveries remembered at least; twice as many at most. Forgetting one costs copies with equal ids, never a delivery.
const REMEMBERED: usize = 50_000;
/// Stands for what was delivered.
const DELIVERED: u32 = u32::MAX;

/// How far this process has brought each delivery.
#[derive(Debug, Default)]
pub(crate) struct PassedOn {
    hasher: RandomState,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    young: HashMap<u128, u32>,
    /// What was young when it was last full; the next time it gives way.
    old: HashMap<u128, u32>,
}

/// Names one delivery among all, its copies with it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chain(u128);

impl PassedOn {
    /// Whether this process has already passed on, or delivered, what this delivery is a copy of.
    pub(crate) fn contains(&self, delivery: &Delivery) -> bool {
        if delivery.resends == 0 {
            return false;
        }
        let Chain(key) = self.chain(delivery);
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let reached = held.young.get(&key).or_else(|| held.old.get(&key));
        reached.is_some_and(|&reached| delivery.resends < reached)
    }

    /// The same for all copies of a delivery, and different when its message was published or redriven anew: 128 bits of a
    /// keyed hash, so that nobody can choose two that meet.
    pub(super) fn chain(&self, delivery: &Delivery) -> Chain {
        let named = (
            &delivery.topic,
            &delivery.subscription,
            delivery.notification.message_id,
            delivery.notification.published,
            delivery.redriven,
        );
        let half = |salt: u8| u128::from(self.hasher.hash_one((salt, named)));
        Chain(half(0) << 64 | half(1))
    }

    /// The delivery was put back into the queue, durably, as its `resends`-th time.
    pub(super) fn resent(&self, Chain(key): Chain, resends: u32) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let before = held.young.get(&key).or_else(|| held.old.get(&key));
        let reached = before.copied().unwrap_or(0).max(resends);
        if held.young.len() >= REMEMBERED {
            held.old = std::mem::take(&mut held.young);
        }
        held.young.insert(key, reached);
    }

    /// The delivery arrived. Of one that was never put back nothing is remembered: most are delivered at once, and the
    /// queue's own copies of those are its affair. Nothing is remembered of a dead letter either: whoever redrives it, by
    /// whatever means, must not find its door closed.
    pub(super) fn delivered(&self, delivery: &Delivery) {
        if delivery.resends > 0 {
            self.resent(self.chain(delivery), DELIVERED);
        }
    }
}
