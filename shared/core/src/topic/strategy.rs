//! The two retry strategies of MNS (`NotifyStrategy`).

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How a failed push is retried (HELP: NotifyStrategy).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum NotifyStrategy {
    /// Three retries, each 10 to 20 s after the failure before it; the default.
    #[default]
    BackoffRetry,
    /// 176 retries: 1, 2, 4 ... 256 s, then 512 s each; 86 015 s in all, about one day.
    ExponentialDecayRetry,
}

impl NotifyStrategy {
    /// Retries after the first attempt.
    #[must_use]
    pub const fn retries(self) -> u32 {
        match self {
            NotifyStrategy::BackoffRetry => 3,
            NotifyStrategy::ExponentialDecayRetry => 176,
        }
    }

    /// The gap before retry `n` (from 1), or none when there is no such retry. `draw` is a random number; only
    /// BACKOFF_RETRY uses it, to spread its gaps evenly over 10 to 20 s in steps of a millisecond.
    #[must_use]
    pub fn gap(self, n: u32, draw: u64) -> Option<Duration> {
        if n == 0 || n > self.retries() {
            return None;
        }
        Some(match self {
            NotifyStrategy::BackoffRetry => Duration::from_millis(10_000 + draw % 10_001),
            // 2^0 ... 2^8, then 2^9 for ever.
            NotifyStrategy::ExponentialDecayRetry => Duration::from_secs(1 << (n - 1).min(9)),
        })
    }

    /// `BACKOFF_RETRY` or `EXPONENTIAL_DECAY_RETRY`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            NotifyStrategy::BackoffRetry => "BACKOFF_RETRY",
            NotifyStrategy::ExponentialDecayRetry => "EXPONENTIAL_DECAY_RETRY",
        }
    }
}
