//! The ports of Carillon on SQLite, for one machine: rules, users' queues, the queues between stages, dead letters and
//! the attempt log in one file; and the loop that plays the event source mapping.
//!
//! ```
//! use carillon_core::ports::{OutgoingMessage, QueueAdmin, QueueAttributes, QueueConsumer, QueueSender};
//! use carillon_core::topic::QueueName;
//! use carillon_embedded::{Settings, Store};
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let store = Store::open_temporary(Settings::default()).unwrap();
//! let queue = QueueName::parse("orders").unwrap();
//! QueueAdmin::create(&store, &queue, QueueAttributes::default()).await.unwrap();
//! QueueSender::send(&store, &queue, vec![OutgoingMessage::new("hello".to_owned())]).await;
//! let messages = store.receive(&queue, 10, None).await.unwrap();
//! assert_eq!(messages[0].body, "hello");
//! # });
//! ```
//!
//! # Exact rules
//!
//! * **Durable before acknowledged.** A write is answered after its commit is on the disk (WAL, `synchronous=FULL`). All
//!   writes that wait at one moment share one commit, and each of them fails alone.
//! * **One owner.** A data directory belongs to one process; the claim ends with the process, however that ends.
//! * **At least once.** A record taken from a stage's queue and not settled comes again: at once when its process died or
//!   gave it up, else when its lease ends. Messages of users' queues keep their visibility timeout over a restart.
//! * **In turn.** Receivers are served in the order they came; groups of records take turns, so that one group's backlog
//!   does not hold up another's.
//! * **By the clock it is given.** Delays, visibility, retention and long polls go by [`Settings::clock`]; with a
//!   [`ManualClock`] time stands still until the test moves it.
//! * **Order.** Messages of one priority come in the order in which they became visible; like SQS and MNS, no promise.
//!
//! # What this crate will not do
//!
//! It does not decide anything about events or deliveries, speak HTTP, or share a directory between processes or
//! machines: when one machine is outgrown, the engine is SQS, DynamoDB and Lambda. The file does not shrink by itself;
//! freed space is used again.

mod archive;
mod attempts;
mod clock;
mod letters;
mod mapping;
mod queue;
mod rules;
mod settings;
mod stage;
mod store;

pub use clock::{ManualClock, SystemClock, SystemRandom, Timekeeper, Wake};
pub use mapping::{EventSourceMapping, MappingSettings};
pub use settings::{Durability, Settings};
pub use stage::{LeasedRecord, Settlement, StageStatistics};
pub use store::{OpenError, Store};
