//! Vision and media jobs.

use carillon_core::event::EventType;

/// Placeholder for the selector table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    /// Value to look for.
    pub value: String,
    /// Event type that follows.
    pub event_type: EventType,
}
