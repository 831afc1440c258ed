//! Dates of HTTP (RFC 9110, 5.6.7).

use crate::event::Timestamp;

/// `Wed, 29 Mar 2023 08:41:27 GMT`. Outside the years 1 to 9999 the epoch: such a time is no time of ours, and a header
/// must still be written.
#[must_use]
pub fn http_date(at: Timestamp) -> String {
    let instant =
        jiff::Timestamp::from_millisecond(at.as_millis()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    let date = instant.to_zoned(jiff::tz::TimeZone::UTC).datetime();
    let name = |names: &'static str, index: i8| {
        let start = usize::try_from(index).unwrap_or(0) * 3;
        names.get(start..start + 3).unwrap_or("Thu")
    };
    format!(
        "{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT",
        name(
            "MonTueWedThuFriSatSun",
            date.weekday().to_monday_zero_offset()
        ),
        date.day(),
        name("JanFebMarAprMayJunJulAugSepOctNovDec", date.month() - 1),
        date.year(),
        date.hour(),
        date.minute(),
        date.second(),
    )
}

/// Reads a date of HTTP in any of its three forms: the present one, RFC 850's and asctime's.
#[must_use]
pub fn parse_http_date(text: &str) -> Option<Timestamp> {
    const FORMS: [&str; 3] = [
        "%a, %d %b %Y %H:%M:%S GMT",
        "%A, %d-%b-%y %H:%M:%S GMT",
        "%a %b %e %H:%M:%S %Y",
    ];
    let text = text.trim();
    FORMS.iter().find_map(|form| {
        let civil = jiff::civil::DateTime::strptime(form, text).ok()?;
        // Reckoned by hand: an instant of jiff's ends hours before the year 9999 does, and `Retry-After` may well name
        // that moment.
        let since = civil.duration_since(jiff::civil::date(1970, 1, 1).at(0, 0, 0, 0));
        Some(Timestamp::from_millis(
            i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_forms_name_one_time() {
        // RFC 9110, 5.6.7: the same instant in each form.
        let at = Timestamp::parse("1994-11-06T08:49:37Z").unwrap();
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            assert_eq!(parse_http_date(text), Some(at), "{text}");
        }
        assert_eq!(http_date(at), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(parse_http_date("tomorrow"), None);
        assert_eq!(
            parse_http_date("Mon, 06 Nov 1994 08:49:37 GMT"),
            None,
            "that day was a Sunday"
        );
    }

    #[test]
    fn the_vendors_sample_is_written_as_it_stands() {
        let at = Timestamp::parse("2023-03-29T08:41:27.999Z").unwrap();
        assert_eq!(http_date(at), "Wed, 29 Mar 2023 08:41:27 GMT");
    }
}
