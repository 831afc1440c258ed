//! Writing JSON by hand, where an event is written: the same text as `serde_json` writes, without its machinery.

/// Adds a text as a JSON string.
#[inline]
pub fn push_string(json: &mut String, text: &str) {
    json.push('"');
    push_text(json, text);
    json.push('"');
}

/// Adds what stands between the quotes of a JSON string.
#[inline]
pub fn push_text(json: &mut String, text: &str) {
    // Without a way out in the middle the loop runs on many bytes at a time.
    let plain = text.bytes().fold(true, |plain, byte| {
        plain & (byte >= 0x20) & (byte != b'"') & (byte != b'\\')
    });
    if plain {
        json.push_str(text);
    } else {
        push_escaped(json, text);
    }
}

#[cold]
fn push_escaped(json: &mut String, text: &str) {
    let quoted = serde_json::to_string(text).expect("a text can be written");
    json.push_str(&quoted[1..quoted.len() - 1]);
}

/// Adds a whole number.
pub fn push_number(json: &mut String, number: i64) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    let mut rest = number.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        json.push('-');
    }
    json.push_str(std::str::from_utf8(&digits[at..]).expect("digits are ASCII"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn texts_are_written_as_serde_json_writes_them(text in any::<String>(), number in any::<i64>()) {
            let mut json = String::new();
            push_string(&mut json, &text);
            prop_assert_eq!(json, serde_json::to_string(&text).unwrap());
            let mut json = String::new();
            push_number(&mut json, number);
            prop_assert_eq!(json, number.to_string());
        }
    }
}
