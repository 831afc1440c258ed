//! Which generations of Standard Webhooks keys a subscription has. The keys themselves are derived where the secrets
//! are; here are only numbers and times.

use crate::event::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A generation of a subscription's webhook keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct WebhookGeneration {
    /// Its number, from 1.
    pub number: u32,
    /// When its successor was made; it signs beside it for [`WebhookGeneration::OVERLAP`] more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retired: Option<Timestamp>,
}

impl WebhookGeneration {
    /// What every subscription begins with.
    pub const FIRST: Self = WebhookGeneration {
        number: 1,
        retired: None,
    };

    /// A retired generation signs this long beside its successor (Standard Webhooks leaves the time to the sender).
    pub const OVERLAP: Duration = Duration::from_secs(7 * 86_400);

    /// Whether it still signs.
    #[must_use]
    pub fn signs(&self, now: Timestamp) -> bool {
        self.retired.is_none_or(|at| now < at.plus(Self::OVERLAP))
    }
}

/// The generations of one subscription, oldest first; never empty.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WebhookGenerations(Vec<WebhookGeneration>);

impl Default for WebhookGenerations {
    fn default() -> Self {
        WebhookGenerations(vec![WebhookGeneration::FIRST])
    }
}

impl WebhookGenerations {
    /// Whether nothing was ever rotated.
    #[must_use]
    pub fn is_first(&self) -> bool {
        matches!(self.0[..], [] | [WebhookGeneration::FIRST])
    }

    /// Those that sign, newest first. There is always one.
    pub fn signing(&self, now: Timestamp) -> impl Iterator<Item = WebhookGeneration> {
        let newest = self.newest();
        let older = self.0.iter().rev().skip(1).copied();
        std::iter::once(newest).chain(older.filter(move |held| held.signs(now)))
    }

    /// One generation further; the ones before sign beside it for a while.
    #[must_use]
    pub fn rotated(&self, now: Timestamp) -> Self {
        let number = self.newest().number.saturating_add(1);
        let mut held: Vec<_> = self.signing(now).collect();
        held.reverse();
        for generation in &mut held {
            generation.retired.get_or_insert(now);
        }
        held.push(WebhookGeneration {
            number,
            retired: None,
        });
        WebhookGenerations(held)
    }

    /// The newest alone: the ones before sign no more.
    #[must_use]
    pub fn newest_alone(&self) -> Self {
        WebhookGenerations(vec![self.newest()])
    }

    fn newest(&self) -> WebhookGeneration {
        // A record that lists none was never rotated.
        let newest = self.0.last().copied();
        newest.unwrap_or(WebhookGeneration::FIRST)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]
    use super::*;

    fn numbers(held: &WebhookGenerations, now: Timestamp) -> Vec<u32> {
        held.signing(now).map(|held| held.number).collect()
    }

    #[test]
    fn generations_overlap_for_a_week_and_end() {
        let at = |days: u64| Timestamp::default().plus(Duration::from_secs(days * 86_400));
        let first = WebhookGenerations::default();
        assert!(first.is_first());
        assert_eq!(numbers(&first, at(1_000)), [1]);
        let second = first.rotated(at(0));
        let third = second.rotated(at(3));
        assert!(!third.is_first());
        for (day, want) in [
            (3, &[3, 2, 1][..]),
            (6, &[3, 2, 1]),
            (7, &[3, 2]),
            (10, &[3]),
        ] {
            assert_eq!(numbers(&third, at(day)), want, "day {day}");
        }
        assert_eq!(numbers(&third.newest_alone(), at(3)), [3]);
        // What no longer signs is not carried on.
        assert_eq!(numbers(&third.rotated(at(11)), at(11)), [4, 3]);
        assert_eq!(
            serde_json::to_string(&second).unwrap(),
            r#"[{"number":1,"retired":0},{"number":2}]"#
        );
        assert_eq!(numbers(&serde_json::from_str("[]").unwrap(), at(0)), [1]);
    }
}
