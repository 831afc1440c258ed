//! What was accepted, kept for a while: the history that replay sends again and preview looks at.

use super::{Page, QueueError, StoreError};
use crate::event::Timestamp;

/// A pack of events as it was accepted: one message on its way to the match stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptPack {
    /// When it was accepted, by the archive's clock.
    pub at: Timestamp,
    /// The message, exactly; [`open_pack`](crate::envelope::open_pack) reads it.
    pub message: String,
}

/// Keeps accepted packs for a configurable time. It stands where packs are sent to the match stage, so that what was
/// accepted is kept and the other way round: a pack that cannot be kept is not accepted, and its record comes again.
///
/// Whole packs, never single events: keeping costs one more write a pack, however many events it carries.
#[async_trait::async_trait]
pub trait EventArchive: Send + Sync {
    /// At most `limit` packs accepted in `[since, until)`, oldest first, from `from` (the `next` of the page before). A
    /// page may hold fewer than asked, also none, and still name a next one. What is accepted while pages are read, and
    /// falls into the window, is found if its page comes later.
    ///
    /// # Errors
    /// When the archive does not answer, or `from` is of no page of it.
    async fn packs(
        &self,
        since: Timestamp,
        until: Timestamp,
        from: Option<&str>,
        limit: usize,
    ) -> Result<Page<KeptPack>, StoreError>;

    /// When the oldest pack that is still kept was accepted; none while nothing is.
    ///
    /// # Errors
    /// When the archive does not answer.
    async fn oldest(&self) -> Result<Option<Timestamp>, StoreError>;

    /// Sends packs to the match stage without keeping them once more. One result for each, in order, as
    /// [`StageSender::send`](super::StageSender::send) gives them.
    async fn send_again(&self, packs: Vec<String>) -> Vec<Result<(), QueueError>>;
}
