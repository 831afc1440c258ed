//! What SQS takes as text: the characters of XML 1.0, and no others.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Whether SQS takes this character in a body (SQS SendMessage: `#x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD |
/// #x10000 to #x10FFFF`).
fn is_taken(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

/// Whether SQS takes every character of it.
pub(super) fn is_sendable(text: &str) -> bool {
    text.chars().all(is_taken)
}

/// The body in a form that SQS takes. JSON is written with escapes in the places of characters that SQS refuses, and so
/// says the same; other text cannot be changed.
///
/// # Errors
/// The first character that SQS refuses, of text that is not JSON.
pub(super) fn sendable(body: &str) -> Result<Cow<'_, str>, char> {
    // Bytes first: nearly every body is clean, and bytes are checked many at a time. U+FFFE and U+FFFF are EF BF BE and
    // EF BF BF.
    let suspicious = body
        .bytes()
        .any(|byte| byte == 0xEF || (byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r')));
    if !suspicious {
        return Ok(Cow::Borrowed(body));
    }
    let Some(refused) = body.chars().find(|&c| !is_taken(c)) else {
        return Ok(Cow::Borrowed(body));
    };
    if serde_json::from_str::<serde::de::IgnoredAny>(body).is_err() {
        return Err(refused);
    }
    // Valid JSON holds such characters within its strings alone, where an escape means the same.
    let mut escaped = String::with_capacity(body.len() + 16);
    for c in body.chars() {
        if is_taken(c) {
            escaped.push(c);
        } else {
            write!(escaped, "\\u{:04x}", u32::from(c)).expect("writing to a string cannot fail");
        }
    }
    Ok(Cow::Owned(escaped))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn clean_text_is_not_copied() {
        for text in [
            "",
            "plain",
            "tab\tand\r\nline",
            "日本語 \u{FFFD} \u{1F600}",
            "\u{7f}\u{9f}",
        ] {
            assert!(
                matches!(sendable(text), Ok(Cow::Borrowed(same)) if same == text),
                "{text:?}"
            );
        }
    }

    #[test]
    fn text_that_is_not_json_names_the_character() {
        for (text, refused) in [
            ("a\u{0}b", '\0'),
            ("{\u{1}}", '\u{1}'),
            ("x\u{FFFE}", '\u{FFFE}'),
            ("\u{FFFF}", '\u{FFFF}'),
        ] {
            assert_eq!(sendable(text), Err(refused));
        }
    }

    #[test]
    fn json_is_escaped() {
        assert_eq!(
            sendable("{\"k\":\"a\u{FFFE}b\u{FFFF}\"}").unwrap(),
            r#"{"k":"a\ufffeb\uffff"}"#
        );
    }

    proptest! {
        #[test]
        fn what_is_sent_is_taken_and_says_the_same(text in any::<String>()) {
            let json = serde_json::to_string(&text).unwrap();
            let sent = sendable(&json).unwrap();
            prop_assert!(sent.chars().all(is_taken));
            prop_assert_eq!(serde_json::from_str::<String>(&sent).unwrap(), text);
        }
    }
}
