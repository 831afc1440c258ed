//! Bytes on the wire of a push, and which addresses a push may go to. Pure: nothing here dials, signs or waits.
//!
//! | file | holds |
//! |---|---|
//! | [`body`] | the bodies: XML, JSON and SIMPLIFIED, for HTTP and for queues |
//! | [`headers`] | the headers of an HTTP push, and the two styles of Content-MD5 |
//! | [`date`] | the dates of HTTP, written and read |
//! | [`guard`] | which URLs and addresses may be dialled |
//! | [`mns`] | what MNS's signature is computed over |
//! | [`webhooks`] | Standard Webhooks: what is signed, keys, headers |
//! | [`outcome`] | what an answer means: one table |
//! | [`retry_after`] | the endpoint's wish for a later attempt, within bounds |
//!
//! # Exact rules
//!
//! * Nothing is encoded here: whoever published the message encoded it, or did not (HELP: Message body encoding).
//! * Header names are lower case: HTTP says that case means nothing, HTTP/2 demands it, and the vendor's Python receiver
//!   looks for it.
//! * A retry carries the same bytes; only the date, the request id and the signatures differ.

pub mod body;
pub mod date;
pub mod guard;
pub mod headers;
pub mod mns;
pub mod outcome;
pub mod retry_after;
pub mod webhooks;

use crate::delivery::Notification;
use crate::topic::Subscription;

/// What a push says besides the message itself.
#[derive(Clone, Copy, Debug)]
pub struct Push<'a> {
    /// The message.
    pub notification: &'a Notification,
    /// Whom it goes to.
    pub subscription: &'a Subscription,
    /// Account that owns topic and subscription (`TopicOwner`, `Subscriber`): decimal digits. Carillon serves one
    /// account, so both are the same.
    pub account: &'a str,
}
