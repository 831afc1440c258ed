//! The history of events, in memory.

use carillon_core::envelope::{EventPack, Packer, open_pack};
use carillon_core::event::{Event, Timestamp};
use carillon_core::ports::{EventArchive, KeptPack, Page, QueueError, StoreError};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

#[derive(Default)]
pub struct MemoryArchive {
    packs: Mutex<Vec<KeptPack>>,
    sent: Mutex<Vec<String>>,
    /// The match queue takes nothing.
    pub full: AtomicBool,
}

impl MemoryArchive {
    /// Keeps events as one pack; packs come in the order of their times.
    pub fn keep(&self, at: Timestamp, events: &[Event]) {
        let mut packer = Packer::new();
        for event in events {
            packer.push(event).unwrap();
        }
        for message in packer.finish() {
            self.keep_text(at, message);
        }
    }

    pub fn keep_text(&self, at: Timestamp, message: String) {
        self.packs.lock().unwrap().push(KeptPack { at, message });
    }

    /// Takes what was sent again.
    pub fn sent(&self) -> Vec<EventPack> {
        let sent = std::mem::take(&mut *self.sent.lock().unwrap());
        sent.iter()
            .map(|message| open_pack(message).unwrap())
            .collect()
    }
}

#[async_trait::async_trait]
impl EventArchive for MemoryArchive {
    async fn packs(
        &self,
        since: Timestamp,
        until: Timestamp,
        from: Option<&str>,
        limit: usize,
    ) -> Result<Page<KeptPack>, StoreError> {
        let from: usize = from.map_or(Ok(0), str::parse).unwrap();
        let packs = self.packs.lock().unwrap();
        let of_window = packs
            .iter()
            .enumerate()
            .skip(from)
            .filter(|(_, pack)| (since..until).contains(&pack.at));
        let mut found: Vec<(usize, KeptPack)> = of_window
            .map(|(index, pack)| (index, pack.clone()))
            .take(limit + 1)
            .collect();
        let next = (found.len() > limit).then(|| found[limit].0.to_string());
        found.truncate(limit);
        Ok(Page {
            items: found.into_iter().map(|(_, pack)| pack).collect(),
            next,
        })
    }

    async fn oldest(&self) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.packs.lock().unwrap().first().map(|pack| pack.at))
    }

    async fn send_again(&self, packs: Vec<String>) -> Vec<Result<(), QueueError>> {
        if self.full.load(Ordering::SeqCst) {
            let refused = packs
                .iter()
                .map(|_| Err(QueueError::Unavailable("full".into())));
            return refused.collect();
        }
        let results = packs.iter().map(|_| Ok(())).collect();
        self.sent.lock().unwrap().extend(packs);
        results
    }
}
