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
        if let Some(time) = usual(text) {
            return Ok(time);
        }
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

/// The form that almost every source writes, `2016-07-05T15:07:59.000Z`, read without a parser's generality; anything
/// else, sound or not, is left to one.
fn usual(text: &str) -> Option<Timestamp> {
    let bytes: &[u8; 24] = text.as_bytes().try_into().ok()?;
    let marks = [
        (4, b'-'),
        (7, b'-'),
        (10, b'T'),
        (13, b':'),
        (16, b':'),
        (19, b'.'),
        (23, b'Z'),
    ];
    if marks.iter().any(|(at, mark)| bytes[*at] != *mark) {
        return None;
    }
    let number = |from: usize, to: usize| {
        bytes[from..to].iter().try_fold(0_i64, |number, digit| {
            digit
                .is_ascii_digit()
                .then(|| number * 10 + i64::from(digit - b'0'))
        })
    };
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let millis = number(20, 23)?;
    // The last days of months differ, and so do leap seconds: those are left to the parser.
    if !(1..=12).contains(&month)
        || !(1..=28).contains(&day)
        || hour > 23
        || minute > 59
        || second > 59
    {
        return None;
    }
    // Days since 1970-01-01 in the proleptic Gregorian calendar; a year begins in March, so that leap days come last.
    let year = if month <= 2 { year - 1 } else { year };
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = year.div_euclid(400) * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year
        - 719_468;
    let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second;
    Some(Timestamp(seconds * 1000 + millis))
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// The short cut and the parser agree on every time.
        #[test]
        fn the_usual_form_is_read_as_the_parser_reads_it(millis in -62_135_596_800_000_i64..253_402_300_800_000) {
            let text = Timestamp(millis).to_iso();
            if let Some(time) = usual(&text) {
                prop_assert_eq!(time, Timestamp(millis), "{}", text);
            }
            prop_assert_eq!(Timestamp::parse(&text), Ok(Timestamp(millis)));
        }

        #[test]
        fn what_is_no_time_is_not_read(text in "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z") {
            if let Some(time) = usual(&text) {
                prop_assert_eq!(time.to_iso(), text);
            }
        }
    }
}
