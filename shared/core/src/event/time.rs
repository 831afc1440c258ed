//! Points in time, in milliseconds: the resolution of `eventTime` in the seeds and of `x-mns-publish-time`.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From epoch milliseconds.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Timestamp(millis)
    }

    /// Epoch milliseconds.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Reads ISO 8601 with any fraction and offset (`2016-07-05T15:07:59.000Z`). A time without an offset is read as
    /// UTC, as the console picture of seed 000 (3.3) prints one.
    ///
    /// # Errors
    /// [`InvalidTime`] when the text is not such a time.
    pub fn parse(text: &str) -> Result<Self, InvalidTime> {
        let invalid = || InvalidTime {
            value: text.chars().take(64).collect(),
        };
        if let Ok(instant) = text.parse::<jiff::Timestamp>() {
            return Ok(Timestamp(instant.as_millisecond()));
        }
        let civil: jiff::civil::DateTime = text.parse().map_err(|_| invalid())?;
        let zoned = civil
            .to_zoned(jiff::tz::TimeZone::UTC)
            .map_err(|_| invalid())?;
        Ok(Timestamp(zoned.timestamp().as_millisecond()))
    }

    /// `2016-07-05T15:07:59.000Z`: ISO 8601, milliseconds, UTC, as every `eventTime` of the seeds.
    #[must_use]
    pub fn to_iso(self) -> String {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(instant) => format!("{instant:.3}"),
            // Outside the years -9999 to 9999: no source sends such a time, yet printing must not fail.
            Err(_) => format!("{}ms", self.0),
        }
    }

    /// `self + delay`, saturating at the end of time.
    #[must_use]
    pub fn plus(self, delay: Duration) -> Self {
        let millis = i64::try_from(delay.as_millis()).unwrap_or(i64::MAX);
        Timestamp(self.0.saturating_add(millis))
    }

    /// How long after `earlier` this is; zero when it is not after it.
    #[must_use]
    pub fn since(self, earlier: Timestamp) -> Duration {
        u64::try_from(self.0.saturating_sub(earlier.0))
            .map_or(Duration::ZERO, Duration::from_millis)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_iso())
    }
}

/// A text that is no ISO 8601 time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{value:?} is not an ISO 8601 time: write it like 2016-07-05T15:07:59.000Z")]
pub struct InvalidTime {
    /// The beginning of the text.
    pub value: String,
}
