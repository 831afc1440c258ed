//! Refusals, as the caller meets them.
//!
//! Every refusal has an HTTP status, a code in the vendor's style, and a message for a person: what, which rule and
//! field, which value, what to do. Codes that the vendor publishes are used where they fit (MNS help, "Error codes", and
//! those of its OpenAPI gateway: `InvalidAction.NotFound`, `InvalidVersion`, `SignatureNonceUsed`,
//! `IdempotentParameterMismatch`, `UnsupportedOperation`, `ServiceUnavailable`); those of our own are
//! `EventRuleAlreadyExist`, `EventRuleConflict`, `EventRuleNotExist`, `EventRuleExceedLimit`, `EventRuleDisabled`,
//! `EventRulesChanged`, `QueueExceedLimit`, `TopicExceedLimit`, `SubscriptionExceedLimit`, `TopicInUse`,
//! `DeadLetterNotExist`, `SigningKeyNotExist`, `SigningKeyInUse`, `SigningKeyConflict`, `MessageTooLarge`,
//! `RequestTooLarge`, `InvalidRequest`, `MissingAction`, `NotFound` and `MethodNotAllowed`.

use carillon_core::ports::{CommitError, QueueError, StoreError};
use carillon_core::rule::{Fault, RuleName};
use carillon_core::ruleset::Refusal;

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Refused {
    /// HTTP status, 4xx or 5xx.
    pub status: u16,
    /// Code: a word that programs compare.
    pub code: &'static str,
    /// For a person.
    pub message: String,
}

/// Longest part of a caller's value that a message repeats, in characters.
const SHOWN: usize = 128;

/// The beginning of a caller's value, quoted, fit for a message.
pub(crate) fn shown(value: &str) -> String {
    if value.chars().nth(SHOWN).is_none() {
        format!("{value:?}")
    } else {
        format!("{:?}...", value.chars().take(SHOWN).collect::<String>())
    }
}

impl Refused {
    pub(crate) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Refused {
            status,
            code,
            message: message.into(),
        }
    }

    /// A parameter that cannot be used.
    pub(crate) fn argument(field: &str, value: &str, cure: impl std::fmt::Display) -> Self {
        Self::new(
            400,
            "InvalidArgument",
            format!("{field}, value {}: {cure}", shown(value)),
        )
    }

    /// A parameter that is missing.
    pub(crate) fn missing(field: &str) -> Self {
        Self::new(
            400,
            "InvalidArgument",
            format!("{field} is missing: give it as a parameter of the request"),
        )
    }

    /// Who asks may not do this.
    pub(crate) fn denied(message: impl Into<String>) -> Self {
        Self::new(403, "AccessDenied", message)
    }

    pub(crate) fn no_queue(name: &str) -> Self {
        let cure = "create it with CreateQueue, or correct the name";
        Self::new(
            404,
            "QueueNotExist",
            format!("there is no queue {}: {cure}", shown(name)),
        )
    }

    pub(crate) fn no_topic(name: &str) -> Self {
        let cure = "create it with CreateTopic, or correct the name";
        Self::new(
            404,
            "TopicNotExist",
            format!("there is no topic {}: {cure}", shown(name)),
        )
    }

    pub(crate) fn no_subscription(topic: &str, name: &str) -> Self {
        let message = format!(
            "topic {} has no subscription {}: ListSubscriptionByTopic shows those it has",
            shown(topic),
            shown(name)
        );
        Self::new(404, "SubscriptionNotExist", message)
    }

    pub(crate) fn no_rule(product: &str, name: &str) -> Self {
        let message = format!(
            "product {} has no rule {}: ListEventRules shows those it has",
            shown(product),
            shown(name)
        );
        Self::new(404, "EventRuleNotExist", message)
    }

    /// The store, or a queue, did not answer: the caller may try again.
    pub(crate) fn internal(detail: impl std::fmt::Display) -> Self {
        Self::new(
            500,
            "InternalError",
            format!("{detail}; nothing is known to have changed: try again"),
        )
    }

    /// All that is wrong with a rule.
    pub(crate) fn faults(faults: &[Fault]) -> Self {
        let mut message = String::new();
        for fault in faults {
            if !message.is_empty() {
                message.push_str("; ");
            }
            message.push_str(&fault.to_string());
        }
        Self::new(400, "InvalidArgument", message)
    }

    pub(crate) fn exists(name: &RuleName) -> Self {
        let message = format!(
            "rule {:?} (field RuleName) exists already: delete it first, change it with UpdateEventRule, or choose \
             another name",
            name.as_str()
        );
        Self::new(409, "EventRuleAlreadyExist", message)
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Refused::internal(error)
    }
}

impl From<CommitError> for Refused {
    fn from(error: CommitError) -> Self {
        Refused::internal(error)
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Exists(name) => Refused::exists(&name),
            Refusal::Missing(name) => Refused::new(
                404,
                "EventRuleNotExist",
                format!("there is no rule {:?}", name.as_str()),
            ),
            Refusal::Conflict(conflict) => Refused::new(
                409,
                "EventRuleConflict",
                format!(
                    "rule {:?} (fields EventTypes and MatchRules) and rule {:?} would both claim the event {} on {:?}: \
                     narrow one of the two",
                    conflict.rule.as_str(),
                    conflict.other.as_str(),
                    conflict.witness.event_type,
                    conflict.witness.resource
                ),
            ),
            limit @ Refusal::Limit { .. } => {
                Refused::new(400, "EventRuleExceedLimit", limit.to_string())
            }
            Refusal::Faults(faults) => Refused::faults(&faults),
        }
    }
}

impl From<QueueError> for Refused {
    fn from(error: QueueError) -> Self {
        match error {
            QueueError::NotExist(name) => Refused::no_queue(&name),
            QueueError::AlreadyExist(name) => Refused::new(
                409,
                "QueueAlreadyExist",
                format!(
                    "queue {} exists already, with other attributes: change it with SetQueueAttributes, or choose \
                     another QueueName",
                    shown(&name)
                ),
            ),
            QueueError::ReceiptVoid => Refused::new(
                404,
                "MessageNotExist",
                "no message has this ReceiptHandle: it was deleted, or its visibility timeout ran out; receive it again",
            ),
            QueueError::ReceiptInvalid => Refused::new(
                400,
                "ReceiptHandleError",
                "this is no ReceiptHandle: give the one of the newest reception, unchanged",
            ),
            large @ QueueError::TooLarge { .. } => {
                Refused::new(400, "MessageTooLarge", large.to_string())
            }
            QueueError::Refused(reason) => Refused::new(400, "InvalidArgument", reason),
            QueueError::Unavailable(_) => Refused::internal(error),
        }
    }
}
