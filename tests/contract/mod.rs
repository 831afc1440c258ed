//! What every adapter of the storage ports must do, written once over the ports alone.
//!
//! An adapter runs it by naming a function that makes fresh ports:
//!
//! ```text
//! carillon_tests::contract!(make_ports);
//! ```
//!
//! Each case becomes a test of its own. A case that needs what a backend does not have (SQS knows no priorities, and
//! cannot peek) asks [`Ports::can`] first and is then passed over, which the case says on its first line.

pub mod archive;
pub mod keys;
pub mod letters;
pub mod marks;
pub mod memory;
pub mod queues;
pub mod rules;
pub mod waits;

use carillon_core::event::Timestamp;
use carillon_core::ports::{
    Clock, DuplicateWindow, Marks, QueueAdmin, QueueConsumer, QueueSender, RuleStore, SizeIndex,
};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// Lets time pass: moves a stopped clock, or really waits.
pub type Pass = Arc<dyn Fn(Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// Something an adapter's backend may lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ability {
    /// Messages have priorities.
    Priority,
    /// Messages can be looked at without being received.
    Peek,
    /// Times beyond a few seconds can pass, since the clock is ours.
    LongTimes,
    /// Numbers of messages are exact at every moment.
    ExactStatistics,
    /// What stands beside a body counts for the largest size of a message.
    WholeSizes,
}

/// Fresh ports over an empty backend.
#[derive(Clone)]
pub struct Ports {
    /// Rules.
    pub rules: Arc<dyn RuleStore>,
    /// Sends to users' queues.
    pub sender: Arc<dyn QueueSender>,
    /// Receives from them.
    pub consumer: Arc<dyn QueueConsumer>,
    /// Makes them.
    pub admin: Arc<dyn QueueAdmin>,
    /// Remembers marks.
    pub marks: Arc<dyn Marks>,
    /// Remembers sizes of objects.
    pub sizes: Arc<dyn SizeIndex>,
    /// Remembers accepted events.
    pub window: Arc<dyn DuplicateWindow>,
    /// The backend's time.
    pub clock: Arc<dyn Clock>,
    /// Lets it pass.
    pub pass: Pass,
    /// What the backend lacks.
    pub lacks: Vec<Ability>,
    /// Kept until the case ends (a temporary directory, an emulator).
    pub keep: Option<Arc<dyn std::any::Any + Send + Sync>>,
}

impl Ports {
    /// Whether the backend can do that.
    #[must_use]
    pub fn can(&self, ability: Ability) -> bool {
        !self.lacks.contains(&ability)
    }

    /// Lets time pass.
    pub async fn pass(&self, time: Duration) {
        (self.pass)(time).await;
    }

    /// The backend's time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// Makes each case of the contract of [`archive`] a test; the argument names a function `fn() -> archive::Ports`.
#[macro_export]
macro_rules! archive_contract {
    ($make:ident) => {
        $crate::contract!(@archive $make: an_archive_of_nothing_is_empty, a_window_holds_what_was_accepted_in_it,
            pages_lose_nothing_and_give_nothing_twice, what_is_sent_again_is_not_kept_again,
            what_the_other_stages_are_sent_is_not_kept, a_place_of_no_page_is_refused);
    };
}

/// Makes each case of the contract of [`keys`] a test; the argument names a function `fn() -> keys::Ports`.
#[macro_export]
macro_rules! keys_contract {
    ($make:ident) => {
        $crate::contract!(@keys $make: the_first_document_stays, only_what_stands_there_is_replaced,
            a_document_comes_back_byte_for_byte);
    };
}

/// Makes each case of the contract of [`letters`] a test; the argument names a function `fn() -> letters::Ports`.
#[macro_export]
macro_rules! letters_contract {
    ($make:ident) => {
        $crate::contract!(@letters $make: letters_are_kept_whole_and_listed_newest_first, many_letters_at_once,
            selections_narrow_the_list, letters_are_looked_at_and_deleted_by_their_ids, what_is_sent_again_is_gone,
            a_place_of_no_page_is_refused);
    };
}

/// Makes each case of the contract a test; the argument names a function `fn() -> Ports`.
#[macro_export]
macro_rules! contract {
    ($make:ident) => {
        $crate::contract!(@rules $make: an_empty_store_is_of_version_zero, a_commit_stores_all_and_moves_the_version,
            a_commit_on_an_old_version_changes_nothing, of_racing_commits_one_succeeds);
        $crate::contract!(@queues $make: making_a_queue_twice, what_is_not_there, a_message_arrives_as_it_was_sent,
            a_body_too_large_fails_alone, a_received_message_is_invisible_for_a_while, receipts_become_void,
            changing_visibility_gives_a_new_receipt, delays_of_queue_and_message, messages_expire,
            received_too_often_goes_to_the_dead_letter_queue, priorities_come_first, properties_come_back, a_peek_takes_nothing,
            numbers_of_messages, lists_are_by_prefix_and_in_order, a_deleted_queue_takes_its_messages_along,
            attributes_change_and_are_kept);
        $crate::contract!(@waits $make: a_wait_ends_with_an_arrival, a_wait_ends_when_a_delay_does,
            a_wait_ends_when_a_visibility_timeout_does, a_wait_ends_empty_in_time, the_queue_knows_how_long_to_wait,
            each_message_goes_to_one_of_those_who_wait);
        $crate::contract!(@marks $make: a_mark_stands_until_its_time, of_many_who_set_a_mark_one_is_first);
        $crate::contract!(@memory $make: sizes_change_by_what_was_there_before,
            late_writes_and_duplicates_change_nothing, of_racing_writers_none_is_lost, many_keys_at_once,
            a_mark_stands_until_its_time, many_marks_at_once);
    };
    (@$module:ident $make:ident: $($case:ident),* $(,)?) => {
        mod $module {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    $crate::contract::$module::$case(super::$make()).await;
                }
            )*
        }
    };
}
