//! The rules table, the stages and the dead letters, in memory.

use carillon_core::ports::{
    AttemptQuery, AttemptRecord, Change, CommitError, DeadLetterAdmin, Followed, KeptDeadLetter,
    Page, Records, RuleStore, Selection, StoreError,
};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

#[derive(Default)]
pub struct MemoryStore {
    records: Mutex<Records>,
    /// How often everything was loaded.
    pub loads: AtomicUsize,
}

impl MemoryStore {
    pub fn version_now(&self) -> u64 {
        self.records.lock().unwrap().version
    }

    pub fn records(&self) -> Records {
        self.records.lock().unwrap().clone()
    }
}

#[async_trait::async_trait]
impl RuleStore for MemoryStore {
    async fn version(&self) -> Result<u64, StoreError> {
        // A yield where a real store would wait: racing requests interleave here.
        tokio::task::yield_now().await;
        Ok(self.records.lock().unwrap().version)
    }

    async fn load(&self) -> Result<Records, StoreError> {
        self.loads.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        Ok(self.records())
    }

    async fn commit(&self, expected: u64, changes: Vec<Change>) -> Result<u64, CommitError> {
        tokio::task::yield_now().await;
        let mut held = self.records.lock().unwrap();
        if held.version != expected {
            return Err(CommitError::Moved(held.version));
        }
        for change in changes {
            match change {
                Change::PutRule(rule) => {
                    held.rules
                        .retain(|old| old.product != rule.product || old.name != rule.name);
                    held.rules.push(rule);
                }
                Change::DeleteRule(product, name) => {
                    held.rules
                        .retain(|old| old.product != product || old.name != name);
                }
                Change::PutTopic(topic) => {
                    held.topics.retain(|old| old.name != topic.name);
                    held.topics.push(topic);
                }
                Change::DeleteTopic(name) => held.topics.retain(|old| old.name != name),
                Change::PutSubscription(subscription) => {
                    held.subscriptions.retain(|old| {
                        old.topic != subscription.topic || old.name != subscription.name
                    });
                    held.subscriptions.push(subscription);
                }
                Change::DeleteSubscription(topic, name) => {
                    held.subscriptions
                        .retain(|old| old.topic != topic || old.name != name);
                }
            }
        }
        held.version += 1;
        Ok(held.version)
    }
}

/// Dead letters and attempts.
#[derive(Default)]
pub struct MemoryDead {
    pub letters: Mutex<Vec<KeptDeadLetter>>,
    pub attempts: Mutex<Vec<AttemptRecord>>,
    /// What was sent again.
    pub redriven: Mutex<Vec<KeptDeadLetter>>,
}

fn page<T: Clone>(items: Vec<T>, from: Option<&str>, limit: usize) -> Page<T> {
    let start: usize = from
        .map_or(0, |from| from.parse().unwrap_or(0))
        .min(items.len());
    let end = (start + limit).min(items.len());
    Page {
        items: items[start..end].to_vec(),
        next: (end < items.len()).then(|| end.to_string()),
    }
}

#[async_trait::async_trait]
impl DeadLetterAdmin for MemoryDead {
    async fn list(
        &self,
        selection: &Selection,
        from: Option<&str>,
        limit: usize,
    ) -> Result<Page<KeptDeadLetter>, StoreError> {
        let letters = self.letters.lock().unwrap();
        let wanted = letters.iter().filter(|kept| match &kept.letter.content {
            carillon_core::delivery::DeadLetterContent::Delivery(delivery) => selection
                .rule
                .as_ref()
                .is_none_or(|rule| *rule == delivery.notification.rule),
            _ => selection.rule.is_none(),
        });
        let wanted = wanted.filter(|kept| {
            let at = kept.letter.at;
            selection.since.is_none_or(|since| at >= since)
                && selection.until.is_none_or(|until| at < until)
        });
        Ok(page(wanted.cloned().collect(), from, limit))
    }

    async fn get(&self, id: &str) -> Result<Option<KeptDeadLetter>, StoreError> {
        Ok(self
            .letters
            .lock()
            .unwrap()
            .iter()
            .find(|kept| kept.id == id)
            .cloned())
    }

    async fn delete(&self, ids: &[String]) -> Result<usize, StoreError> {
        let mut letters = self.letters.lock().unwrap();
        let before = letters.len();
        letters.retain(|kept| !ids.contains(&kept.id));
        Ok(before - letters.len())
    }

    async fn redrive(&self, ids: &[String]) -> Result<usize, StoreError> {
        let mut letters = self.letters.lock().unwrap();
        let (sent, kept) = letters
            .drain(..)
            .partition(|kept: &KeptDeadLetter| ids.contains(&kept.id));
        *letters = kept;
        self.redriven.lock().unwrap().extend::<Vec<_>>(sent);
        Ok(ids.len())
    }
}

#[async_trait::async_trait]
impl AttemptQuery for MemoryDead {
    async fn attempts(
        &self,
        selection: &Selection,
        from: Option<&str>,
        limit: usize,
    ) -> Result<Page<AttemptRecord>, StoreError> {
        let attempts = self.attempts.lock().unwrap();
        let wanted = attempts.iter().filter(|attempt| {
            selection
                .rule
                .as_ref()
                .is_none_or(|rule| *rule == attempt.rule)
                && selection
                    .class
                    .is_none_or(|class| class == attempt.attempt.outcome.class)
        });
        Ok(page(wanted.cloned().collect(), from, limit))
    }

    async fn follow(
        &self,
        selection: &Selection,
        after: Option<&str>,
        limit: usize,
        _wait: Duration,
    ) -> Result<Option<Followed>, StoreError> {
        let attempts = self.attempts.lock().unwrap();
        let start: usize = after.map_or(attempts.len(), |after| after.parse().unwrap());
        // They are held newest first.
        let newer = attempts.iter().rev().skip(start).take(limit);
        let wanted = newer.filter(|attempt| {
            selection
                .rule
                .as_ref()
                .is_none_or(|rule| *rule == attempt.rule)
        });
        Ok(Some(Followed {
            items: wanted.cloned().collect(),
            next: attempts.len().to_string(),
        }))
    }
}
