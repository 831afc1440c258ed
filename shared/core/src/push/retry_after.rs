//! `Retry-After` (RFC 9110, 10.2.3): the endpoint's wish, held within bounds.

use super::date::parse_http_date;
use crate::event::Timestamp;
use std::time::Duration;

/// The longest wish that is granted: the longest delay of an SQS message. An endpoint cannot push a delivery into next
/// year; it can make a gap of its strategy longer by this much at most, and never shorter.
pub const LONGEST: Duration = Duration::from_secs(900);

/// Reads the header: seconds, or a date. A date is read against the answer's own `date` header, so that the endpoint's
/// clock need not be right; without one, against `now`. None for what is neither.
///
/// A time in the past is a wish of zero. Everything above [`LONGEST`] is [`LONGEST`], numbers too large for any integer
/// included.
#[must_use]
pub fn parse(value: &str, date: Option<&str>, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // Only a number too large for u64 fails here.
        let seconds = value.parse().unwrap_or(u64::MAX);
        return Some(Duration::from_secs(seconds).min(LONGEST));
    }
    let at = parse_http_date(value)?;
    let against = date.and_then(parse_http_date).unwrap_or(now);
    Some(at.since(against).min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_are_read_and_held_within_bounds() {
        let now = Timestamp::parse("2023-03-29T08:00:00Z").unwrap();
        let date = Some("Wed, 29 Mar 2023 09:00:00 GMT");
        let secs = |n| Some(Duration::from_secs(n));
        for (value, date, want) in [
            ("0", None, secs(0)),
            ("120", None, secs(120)),
            (" 120 ", None, secs(120)),
            ("900", None, secs(900)),
            ("901", None, secs(900)),
            ("31536000", None, secs(900)),
            ("99999999999999999999999999", None, secs(900)),
            ("-1", None, None),
            ("+5", None, None),
            ("1.5", None, None),
            ("1e3", None, None),
            ("", None, None),
            ("soon", None, None),
            ("Wed, 29 Mar 2023 08:01:00 GMT", None, secs(60)),
            ("Wed, 29 Mar 2023 07:59:00 GMT", None, secs(0)),
            ("Wed, 29 Mar 2023 09:01:00 GMT", date, secs(60)),
            (
                "Wed, 29 Mar 2023 09:01:00 GMT",
                Some("not a date"),
                secs(900),
            ),
            ("Fri, 31 Dec 9999 23:59:59 GMT", date, secs(900)),
        ] {
            assert_eq!(parse(value, date, now), want, "{value:?} against {date:?}");
        }
    }
}
