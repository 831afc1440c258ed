//! User metadata of objects, by `HeadObject`.

use crate::Clients;
use crate::clients::{Lazy, explain};
use aws_sdk_s3::Client;
use carillon_core::ports::{ObjectMetadata, ObjectName, StoreError};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

/// Requests under way at a time.
const AT_ONCE: usize = 32;
/// Longest time that a batch waits for its objects. Ingest goes on without what is missing then, and needs the rest of its
/// function's 30 s for that. A thousand requests take a function of 256 MB about three seconds of what it has of a
/// processor.
const PATIENCE: Duration = Duration::from_secs(8);

/// Asks S3. Needs `s3:GetObject` on the objects, and `s3:GetObjectVersion` where buckets keep versions.
#[derive(Clone, Debug)]
pub struct S3ObjectMetadata {
    client: Lazy<Client>,
}

impl S3ObjectMetadata {
    /// Over these clients.
    #[must_use]
    pub fn new(clients: &Clients) -> Self {
        S3ObjectMetadata {
            client: clients.s3().clone(),
        }
    }
}

#[async_trait::async_trait]
impl ObjectMetadata for S3ObjectMetadata {
    async fn of(&self, objects: Vec<ObjectName>) -> Vec<Result<Vec<(String, String)>, StoreError>> {
        let mut answers: Vec<Result<Vec<(String, String)>, StoreError>> = objects
            .iter()
            .map(|_| Err(StoreError("S3 gave no answer in time".to_owned())))
            .collect();
        let deadline = Instant::now() + PATIENCE;
        let room = Arc::new(Semaphore::new(AT_ONCE));
        let mut tasks = JoinSet::new();
        for (index, object) in objects.into_iter().enumerate() {
            let (client, room) = (self.client.clone(), room.clone());
            tasks.spawn(async move {
                let _permit = room.acquire().await;
                (index, head(&client, object).await)
            });
        }
        while let Ok(Some(done)) = timeout_at(deadline, tasks.join_next()).await {
            if let Ok((index, answer)) = done {
                answers[index] = answer;
            }
        }
        answers
    }
}

async fn head(client: &Client, object: ObjectName) -> Result<Vec<(String, String)>, StoreError> {
    let what = format!("{}/{}", object.bucket, object.key);
    client
        .head_object()
        .bucket(object.bucket)
        .key(object.key)
        .set_version_id(object.version)
        .send()
        .await
        .map(|answer| answer.metadata.unwrap_or_default().into_iter().collect())
        .map_err(|error| {
            // An answer to HEAD has no body, so its status has to speak.
            let status = error
                .raw_response()
                .map_or(String::new(), |raw| format!(" (status {})", raw.status()));
            StoreError(format!(
                "HeadObject of {what:?}{status}: {}",
                explain(&error)
            ))
        })
}
