//! Packing by record: which records of a batch must come again when a message is not taken.

use super::{Item, Packer, TooLarge};
use crate::ports::QueueError;

/// A [`Packer`] that remembers which records of the batch each message carries.
#[derive(Debug, Default)]
pub struct RecordPacker {
    packer: Packer,
    /// For each message of the packer, the records in it, ascending.
    records: Vec<Vec<usize>>,
}

/// A packed message, and the positions in the batch of the records whose items it carries.
pub type Carried = (String, Vec<usize>);

impl RecordPacker {
    /// An empty packer.
    #[must_use]
    pub fn new() -> Self {
        RecordPacker::default()
    }

    /// Adds an item of the record at position `record`. Records are added in ascending order. Gives the position, in
    /// [`finish`](Self::finish), of the message that will carry it.
    ///
    /// # Errors
    /// [`TooLarge`] when it fits no message; the items already packed are kept.
    pub fn push<T: Item>(&mut self, record: usize, item: &T) -> Result<usize, TooLarge> {
        let message = self.packer.push(item)?;
        if self.records.len() <= message {
            self.records.resize_with(message + 1, Vec::new);
        }
        let records = &mut self.records[message];
        if records.last() != Some(&record) {
            records.push(record);
        }
        Ok(message)
    }

    /// The messages, in order.
    #[must_use]
    pub fn finish(self) -> Vec<Carried> {
        self.packer.finish().into_iter().zip(self.records).collect()
    }
}

/// The records that must come again after sending, each with the reason: those of every message that was not taken.
/// `carried` holds, for each message sent, its records.
pub fn not_taken(
    results: &[Result<(), QueueError>],
    carried: Vec<Vec<usize>>,
) -> impl Iterator<Item = (usize, String)> {
    carried
        .into_iter()
        .enumerate()
        .flat_map(|(message, records)| {
            let reason = match results.get(message) {
                Some(Ok(())) => None,
                Some(Err(error)) => Some(error.to_string()),
                // A sender that says less than it was asked has promised nothing.
                None => Some("the queue gave no answer for this message".to_owned()),
            };
            reason.into_iter().flat_map(move |reason| {
                records
                    .clone()
                    .into_iter()
                    .map(move |record| (record, reason.clone()))
            })
        })
}
