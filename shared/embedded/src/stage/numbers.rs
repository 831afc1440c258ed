//! How full the queues between stages are.

use super::{Stages, number};
use crate::Store;
use carillon_core::ports::Stage;
use std::sync::atomic::{AtomicU64, Ordering};

/// How full a stage's queue is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StageStatistics {
    /// Records in the queue, those being handled included.
    pub records: u64,
    /// Records being handled, or resting after a failure.
    pub leased: u64,
    /// Groups with records, and those whose last record left since their turn was given.
    pub groups: u64,
}

/// The numbers as the writer publishes them.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    records: AtomicU64,
    leased: AtomicU64,
    groups: AtomicU64,
}

impl Stages {
    pub(crate) fn publish(&self, numbers: &[Numbers; 3]) {
        for (queue, numbers) in self.queues.iter().zip(numbers) {
            numbers.records.store(queue.total, Ordering::Relaxed);
            numbers
                .leased
                .store(queue.leases.len() as u64, Ordering::Relaxed);
            numbers
                .groups
                .store(queue.groups.len() as u64, Ordering::Relaxed);
        }
    }
}

impl Store {
    /// How full a stage's queue is, as of the newest commit.
    #[must_use]
    pub fn stage_statistics(&self, stage: Stage) -> StageStatistics {
        let numbers = &self.inner.shared.stage_numbers[number(stage)];
        StageStatistics {
            records: numbers.records.load(Ordering::Relaxed),
            leased: numbers.leased.load(Ordering::Relaxed),
            groups: numbers.groups.load(Ordering::Relaxed),
        }
    }
}
