//! Lengths of time as a person writes them: `90s`, `15m`, `24h`, `7d`.

use std::time::Duration;

/// A text that is no length of time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{value:?} is not a length of time: write a whole number and s, m, h or d, for example 24h"
)]
pub struct InvalidSpan {
    /// The beginning of the text.
    pub value: String,
}

/// Reads a whole number and a unit: `s` seconds, `m` minutes, `h` hours or `d` days; at most ten thousand years. Zero
/// needs no unit.
///
/// # Errors
/// [`InvalidSpan`] when the text is no such length.
pub fn parse_span(text: &str) -> Result<Duration, InvalidSpan> {
    let read = || {
        if text == "0" {
            return Some(Duration::ZERO);
        }
        let unit = match text.as_bytes().last()? {
            b's' => 1,
            b'm' => 60,
            b'h' => 3_600,
            b'd' => 86_400,
            _ => return None,
        };
        let digits = &text[..text.len() - 1];
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let seconds = digits.parse::<u64>().ok()?.checked_mul(unit)?;
        (seconds <= 10_000 * 366 * 86_400).then(|| Duration::from_secs(seconds))
    };
    read().ok_or_else(|| InvalidSpan {
        value: text.chars().take(64).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read_and_everything_else_is_refused() {
        let read = |text| parse_span(text).ok().map(|span| span.as_secs());
        for (text, seconds) in [
            ("0", 0),
            ("0d", 0),
            ("90s", 90),
            ("15m", 900),
            ("24h", 86_400),
            ("7d", 604_800),
            ("3660000d", 3_660_000 * 86_400),
        ] {
            assert_eq!(read(text), Some(seconds), "{text}");
        }
        for text in [
            "",
            "h",
            "24",
            "-1h",
            "+1h",
            "1.5h",
            "1 h",
            "1H",
            "1y",
            "é",
            "99999999999999999999d",
            "9999999999d",
            "3660001d",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
