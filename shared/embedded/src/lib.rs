//! The ports of Carillon on SQLite, for one machine: rules, users' queues, the queues between stages, dead letters,
//! the attempt log and the history of events in one file; and the loop that plays the event source mapping.
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
//! * **Durable before acknowledged.** A write of a user is answered after its commit is on the disk. All writes that wait
//!   at one moment share one commit, and each of them fails alone. See "What survives what" below.
//! * **One owner.** A data directory belongs to one process; the claim ends with the process, however that ends.
//! * **Settled in memory.** What handlers hand on by [`HandOver`] is written only when it was not settled within
//!   [`Settings::hold`]; meanwhile the record that it was made from stays where it is.
//! * **At least once.** A record taken from a stage's queue and not settled comes again: at once when its process died or
//!   gave it up, else when its lease ends. Messages of users' queues keep their visibility timeout over a restart.
//! * **Poison is told from its neighbours.** A record that was in hand at two ends of the process is handled alone from then
//!   on, and written on before it is answered ([`LeasedRecord::is_alone`]). Only a record that meets further ends so goes
//!   to the dead letters as their cause; what merely was under way beside it is handled like any other.
//! * **Accepted is kept.** A pack of events on its way to match is put into the archive by the transaction that puts it on
//!   the queue, and lies there for [`Settings::keep_events`], or until [`Settings::keep_event_bytes`] are full of younger
//!   ones. What is replayed is not kept again.
//! * **The owner's alone.** Files are readable by the user that the process runs as; so is a directory that the store made.
//! * **In turn.** Receivers are served in the order they came; groups of records take turns, so that one group's backlog
//!   does not hold up another's.
//! * **By the clock it is given.** Delays, visibility, retention and long polls go by [`Settings::clock`]; with a
//!   [`ManualClock`] time stands still until the test moves it.
//! * **Order.** Messages of one priority come in the order in which they became visible; like SQS and MNS, no promise.
//!
//! # What survives what
//!
//! The writer commits to SQLite's write-ahead log without waiting for the disk (`synchronous=NORMAL`); another thread has
//! the system put the log on the disk, and then gives the answers that wait for it. A commit is found again after the
//! death of the process, and after a power cut once the log was put on the disk at any time later: the log is one file,
//! read from its beginning, so that nothing in it survives without what was committed before.
//!
//! | what | answered when | the process is killed | the power fails |
//! |---|---|---|---|
//! | accepted events and other records sent by [`Store`], messages sent by users, rules, queues, dead letters | on the disk | kept | kept |
//! | deletion of a message that was written | on the disk | stays deleted | stays deleted |
//! | reception of a message; its visibility timeout and count | committed | kept | may be undone: the message is visible again, the receipt void |
//! | what a handler hands on, by [`HandOver`] | taken over | made again from its record | made again from its record |
//! | deletion of a message that was handed on and never written | taken over | may come again | may come again |
//! | a settled record's deletion | (nobody asks) | it is handled again | it is handled again |
//!
//! Nothing is lost in any row, since the deletion of a record always follows, in the log, everything that was made from
//! it; or that was settled in memory by the one who wanted it. What comes again is bounded: by what was handed on within
//! twice [`Settings::hold`] before a kill, and before a power cut by that and what was committed since the disk was last
//! waited for.
//!
//! When putting the log on the disk fails, nothing is acknowledged any more until the store is opened anew: what the
//! system lost then, it does not tell again.
//!
//! # What this crate will not do
//!
//! It does not decide anything about events or deliveries, speak HTTP, or share a directory between processes or
//! machines: when one machine is outgrown, the engine is SQS, DynamoDB and Lambda. The file does not shrink by itself;
//! freed space is used again.

mod archive;
mod attempts;
mod clock;
mod hand_over;
mod letters;
mod mapping;
mod marks;
mod memory;
mod metrics;
mod queue;
mod rules;
mod settings;
mod stage;
mod store;

pub use clock::{ManualClock, SystemClock, SystemRandom, Timekeeper, Wake};
pub use hand_over::HandOver;
pub use mapping::{EventSourceMapping, MappingSettings};
pub use settings::{Durability, Settings, Sync};
pub use stage::{LeasedRecord, Settlement, StageStatistics};
pub use store::{OpenError, Store};
