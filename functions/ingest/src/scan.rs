//! A reader for JSON as machines write it: no escapes in its texts, whole numbers without a sign. It gives up (`None`) at
//! anything else, valid or not, and leaves it to the general road; so what it reads, both read alike, and it has no
//! errors to tell.

/// Deepest nesting that is followed.
const DEEPEST: usize = 32;

/// A place in a text.
pub(crate) struct Scan<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scan<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Scan { text, at: 0 }
    }

    /// The next byte that is no blank.
    #[inline]
    fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        loop {
            let byte = *bytes.get(self.at)?;
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    #[inline]
    fn take(&mut self, wanted: u8) -> Option<()> {
        (self.peek()? == wanted).then(|| self.at += 1)
    }

    /// Whether nothing follows.
    pub(crate) fn is_at_end(&mut self) -> bool {
        self.peek().is_none()
    }

    /// A text.
    #[inline]
    pub(crate) fn string(&mut self) -> Option<&'a str> {
        self.take(b'"')?;
        let start = self.at;
        let bytes = self.text.as_bytes();
        let mut end = start;
        // Eight bytes at a time, up to the first that ends the text or cannot stand in it as it is.
        while let Some(word) = bytes.get(end..end + 8) {
            let word = u64::from_le_bytes(word.try_into().ok()?);
            let special = special(word);
            if special != 0 {
                end += (special.trailing_zeros() / 8) as usize;
                break;
            }
            end += 8;
        }
        loop {
            match *bytes.get(end)? {
                b'"' => break,
                b'\\' | 0..=0x1f => return None,
                _ => end += 1,
            }
        }
        self.at = end + 1;
        self.text.get(start..end)
    }

    /// A text, or `null`.
    #[inline]
    pub(crate) fn string_or_null(&mut self) -> Option<Option<&'a str>> {
        if self.peek()? == b'n' {
            self.word("null")?;
            return Some(None);
        }
        self.string().map(Some)
    }

    /// A whole number.
    pub(crate) fn whole(&mut self) -> Option<i64> {
        let first = self.peek()?;
        let bytes = self.text.as_bytes();
        let start = self.at;
        let mut number: i64 = 0;
        while let Some(digit) = bytes.get(self.at).filter(|byte| byte.is_ascii_digit()) {
            number = number
                .checked_mul(10)?
                .checked_add(i64::from(digit - b'0'))?;
            self.at += 1;
        }
        let digits = self.at - start;
        let ends = !matches!(bytes.get(self.at), Some(b'.' | b'e' | b'E'));
        (ends && digits > 0 && (digits == 1 || first != b'0')).then_some(number)
    }

    fn word(&mut self, word: &str) -> Option<()> {
        let rest = self.text.as_bytes().get(self.at..)?;
        rest.starts_with(word.as_bytes())
            .then(|| self.at += word.len())
    }

    /// An object; `member` is given each name, and reads its value.
    #[inline]
    pub(crate) fn object(
        &mut self,
        mut member: impl FnMut(&mut Self, &'a str) -> Option<()>,
    ) -> Option<()> {
        self.take(b'{')?;
        if self.peek()? == b'}' {
            self.at += 1;
            return Some(());
        }
        loop {
            let name = self.string()?;
            self.take(b':')?;
            member(self, name)?;
            match self.peek()? {
                b',' => self.at += 1,
                b'}' => {
                    self.at += 1;
                    return Some(());
                }
                _ => return None,
            }
        }
    }

    /// An array; `element` reads each of its values.
    #[inline]
    pub(crate) fn array(&mut self, mut element: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.take(b'[')?;
        if self.peek()? == b']' {
            self.at += 1;
            return Some(());
        }
        loop {
            element(self)?;
            match self.peek()? {
                b',' => self.at += 1,
                b']' => {
                    self.at += 1;
                    return Some(());
                }
                _ => return None,
            }
        }
    }

    /// Passes over a value.
    pub(crate) fn skip(&mut self) -> Option<()> {
        self.skip_at(0)
    }

    fn skip_at(&mut self, depth: usize) -> Option<()> {
        match self.peek()? {
            b'"' => self.string().map(drop),
            b'{' if depth < DEEPEST => self.object(|scan, _| scan.skip_at(depth + 1)),
            b'[' if depth < DEEPEST => self.array(|scan| scan.skip_at(depth + 1)),
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            _ => self.whole().map(drop),
        }
    }
}

/// The high bit of the lowest byte that is `"`, `\` or a control character; bits above it say nothing.
#[inline]
fn special(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let quote = word ^ (ONES * b'"' as u64);
    let slash = word ^ (ONES * b'\\' as u64);
    let zero = |word: u64| word.wrapping_sub(ONES) & !word;
    (zero(quote) | zero(slash) | (word.wrapping_sub(ONES * 0x20) & !word)) & HIGH
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn whole_text(text: &str) -> bool {
        let mut scan = Scan::new(text);
        scan.skip().is_some() && scan.is_at_end()
    }

    #[test]
    fn plain_json_is_read_and_the_rest_left_alone() {
        for text in [
            r#"{"a":1,"b":[true,false,null,"x"],"c":{}}"#,
            " [ ] ",
            "0",
            "\"Ω and more than eight bytes\"",
        ] {
            assert!(whole_text(text), "{text}");
        }
        for text in [
            "",
            "{",
            "[1,]",
            "{\"a\"}",
            "{\"a\":1,}",
            "01",
            "-1",
            "1.5",
            "1e3",
            "\"a\\n\"",
            "\"a\nb\"",
            "nul",
            "[1]]",
            "{\"a\":1 \"b\":2}",
            "\"open",
            "99999999999999999999",
        ] {
            assert!(!whole_text(text), "{text}");
        }
        assert!(!whole_text(&"[".repeat(100_000)));
    }

    proptest! {
        /// What is read here is JSON, and its texts are those that `serde_json` reads.
        #[test]
        fn what_is_read_is_json(text in r#"[\[\]{},:" \\"a01ntu-]{0,12}|"[ -~\u{80}-\u{2fff}\u{1f}]{0,20}""#) {
            let value = serde_json::from_str::<serde_json::Value>(&text);
            if whole_text(&text) {
                prop_assert!(value.is_ok(), "{text}");
            }
            if let Some(read) = Scan::new(&text).string() {
                let end = read.len() + 2 + text.find('"').unwrap_or(0);
                let same = serde_json::from_str::<String>(&text[..end]).unwrap();
                prop_assert_eq!(read, same);
            }
        }
    }
}
