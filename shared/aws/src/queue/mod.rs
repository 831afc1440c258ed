//! SQS: the queues between the stages, and the queues of users.

mod admin;
mod batch;
mod consume;
mod names;
mod properties;
mod send;
mod text;

pub(crate) use batch::requests_within;
pub use batch::{MAX_ENTRIES, MAX_REQUEST_BYTES, requests, sqs_delay};
pub use names::Queues;
pub use send::StageQueues;
