//! Keys of the archive's objects.

use carillon_core::event::Timestamp;

/// What every key begins with.
pub(super) const PREFIX: &str = "events/";
/// What every key ends with.
const SUFFIX: &str = ".jsonl.gz";

/// `events/2026/11/22/16/1795363200123`: what the keys of this millisecond begin with, and all later ones come after.
pub(super) fn first(at: Timestamp) -> String {
    // Thirteen digits reach from 1970 to the year 2286; no clock says otherwise.
    let millis = at.as_millis().clamp(0, 9_999_999_999_999);
    let iso = Timestamp::from_millis(millis).to_iso();
    // 2026-11-22T16:...
    let hour: String = iso.get(..13).unwrap_or_default().replace(['-', 'T'], "/");
    format!("{PREFIX}{hour}/{millis:013}")
}

/// The key of an object.
pub(super) fn key(at: Timestamp, random: u64) -> String {
    format!("{}-{random:016X}{SUFFIX}", first(at))
}

/// The time and the short name of an object: what stands behind the last slash, without the suffix. None of what is no
/// object of ours.
pub(super) fn read(key: &str) -> Option<(Timestamp, &str)> {
    let name = key.rsplit('/').next()?.strip_suffix(SUFFIX)?;
    let at = time(name)?;
    // The folders say the same time: else it would stand elsewhere in the listing.
    key.starts_with(&first(at)).then_some((at, name))
}

/// The key of a short name; none of what is none.
pub(super) fn key_of(name: &str) -> Option<String> {
    let at = time(name)?;
    let random = &name[14..];
    let sound = random.len() == 16 && random.bytes().all(|byte| byte.is_ascii_hexdigit());
    sound.then(|| format!("{}-{random}{SUFFIX}", first(at)))
}

fn time(name: &str) -> Option<Timestamp> {
    let (millis, _) = name.split_once('-')?;
    let sound = millis.len() == 13 && millis.bytes().all(|byte| byte.is_ascii_digit());
    millis
        .parse()
        .ok()
        .filter(|_| sound)
        .map(Timestamp::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_key_is_a_place_in_time() {
        let at = Timestamp::from_millis(1_795_363_200_123);
        let key = key(at, 0x0F3A_5C7E_9B1D_2468);
        assert_eq!(
            key,
            "events/2026/11/22/16/1795363200123-0F3A5C7E9B1D2468.jsonl.gz"
        );
        let name = "1795363200123-0F3A5C7E9B1D2468";
        assert_eq!(read(&key), Some((at, name)));
        assert_eq!(key_of(name), Some(key));
    }

    #[test]
    fn what_is_no_object_of_ours_is_none() {
        for key in [
            "",
            "events/",
            "events/notes.txt",
            "events/2026/11/22/16/1795363200123.jsonl.gz",
            "events/2026/11/22/17/1795363200123-0F3A5C7E9B1D2468.jsonl.gz",
            "other/2026/11/22/16/1795363200123-0F3A5C7E9B1D2468.jsonl.gz",
        ] {
            assert_eq!(read(key), None, "{key}");
        }
        for name in [
            "",
            "-",
            "1",
            "1795363200123",
            "1795363200123-é",
            "1795363200123-",
        ] {
            assert_eq!(key_of(name), None, "{name}");
        }
    }

    proptest! {
        #[test]
        fn keys_ascend_with_time(a in 0i64..9_999_999_999_999, b in 0i64..9_999_999_999_999, random in any::<u64>()) {
            let (a, b) = (a.min(b), a.max(b));
            let (at, until) = (Timestamp::from_millis(a), Timestamp::from_millis(b));
            // Neither an object of the moment before nor one of that moment stands wrong.
            prop_assert!(key(at, random) > first(at));
            prop_assert_eq!(key(at, random) < first(until), a < b);
        }

        #[test]
        fn no_text_panics(text in ".{0,60}") {
            let _ = (read(&text), key_of(&text));
        }
    }
}
