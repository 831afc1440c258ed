//! Reading the bucket, and sending from it.

use super::{EventBucket, names, object};
use crate::clients::explain;
use carillon_core::event::Timestamp;
use carillon_core::ports::{
    EventArchive, KeptPack, OutgoingMessage, Page, QueueError, Stage, StageSender as _, StoreError,
};
use tokio::task::JoinSet;

/// Most objects that one page reads, all at once.
const AT_ONCE: usize = 4;

#[async_trait::async_trait]
impl EventArchive for EventBucket {
    /// Gives whole objects: a page may hold more packs than asked, those of at most four objects.
    async fn packs(
        &self,
        since: Timestamp,
        until: Timestamp,
        from: Option<&str>,
        limit: usize,
    ) -> Result<Page<KeptPack>, StoreError> {
        let after = match from {
            None => names::first(since),
            Some(from) => names::key_of(from).ok_or_else(|| {
                StoreError(format!(
                    "{:?} is no place in the archive: give `next` of the page before back as it is",
                    from.chars().take(64).collect::<String>()
                ))
            })?,
        };
        let limit = limit.clamp(1, AT_ONCE);
        let (keys, truncated) = self.list(&after, limit).await?;
        let end = names::first(until);
        let listed = keys.len();
        let inside: Vec<String> = keys.into_iter().take_while(|key| *key < end).collect();
        let next = (truncated && inside.len() == listed)
            .then(|| inside.last().and_then(|key| names::read(key)))
            .flatten()
            .map(|(_, name)| name.to_owned());

        let mut tasks = JoinSet::new();
        for (index, key) in inside.into_iter().enumerate() {
            let bucket = self.clone();
            tasks.spawn(async move { (index, bucket.packs_of(&key).await) });
        }
        let mut objects = Vec::with_capacity(tasks.len());
        while let Some(done) = tasks.join_next().await {
            let (index, packs) = done.map_err(|error| StoreError(error.to_string()))?;
            objects.push((index, packs?));
        }
        objects.sort_by_key(|(index, _)| *index);
        Ok(Page {
            items: objects.into_iter().flat_map(|(_, packs)| packs).collect(),
            next,
        })
    }

    async fn oldest(&self) -> Result<Option<Timestamp>, StoreError> {
        let (keys, _) = self.list(names::PREFIX, 1).await?;
        Ok(keys
            .first()
            .and_then(|key| names::read(key))
            .map(|(at, _)| at))
    }

    async fn send_again(&self, packs: Vec<String>) -> Vec<Result<(), QueueError>> {
        let messages = packs.into_iter().map(OutgoingMessage::new);
        self.stages.send(Stage::Match, messages.collect()).await
    }
}

impl EventBucket {
    /// Keys of objects of ours after this one, at least one and about `limit`, and whether there may be more.
    async fn list(&self, after: &str, limit: usize) -> Result<(Vec<String>, bool), StoreError> {
        let mut after = after.to_owned();
        loop {
            let listed = self
                .client
                .list_objects_v2()
                .bucket(&self.bucket)
                .prefix(names::PREFIX)
                .start_after(&after)
                .max_keys(i32::try_from(limit).unwrap_or(1_000))
                .send()
                .await
                .map_err(|error| self.failed(&explain(&error)))?;
            let truncated = listed.is_truncated() == Some(true);
            let all: Vec<&str> = listed
                .contents()
                .iter()
                .filter_map(|object| object.key())
                .collect();
            let ours = all
                .iter()
                .filter(|key| names::read(key).is_some())
                .map(|key| (*key).to_owned())
                .collect::<Vec<_>>();
            match all.last() {
                // What somebody else put here is passed over.
                Some(last) if ours.is_empty() && truncated => after = (*last).to_owned(),
                _ => return Ok((ours, truncated)),
            }
        }
    }

    /// The packs of an object; none of one that the lifecycle rule took meanwhile.
    async fn packs_of(&self, key: &str) -> Result<Vec<KeptPack>, StoreError> {
        let Some((at, _)) = names::read(key) else {
            return Ok(Vec::new());
        };
        let got = self
            .client
            .get_object()
            .bucket(&self.bucket)
            .key(key)
            .send()
            .await;
        let object = match got {
            Ok(object) => object,
            Err(error) if error.as_service_error().is_some_and(|e| e.is_no_such_key()) => {
                return Ok(Vec::new());
            }
            Err(error) => return Err(self.failed(&format!("{key}: {}", explain(&error)))),
        };
        let body = object
            .body
            .collect()
            .await
            .map_err(|error| self.failed(&format!("{key}: {error}")))?;
        let packs = object::read(&body.into_bytes())
            .map_err(|error| self.failed(&format!("{key} is damaged: {error}")))?;
        Ok(packs
            .into_iter()
            .map(|message| KeptPack { at, message })
            .collect())
    }

    fn failed(&self, reason: &str) -> StoreError {
        StoreError(format!(
            "the archive of events (bucket {:?}): {reason}",
            self.bucket
        ))
    }
}
