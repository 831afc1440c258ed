//! Hashes of beginnings and ends of one text, many of them for little more than the price of one.
//!
//! The text is taken in words of eight bytes; the state after whole words is carried along, and a hash of any length
//! is one more step from the state before it. Reads past the end see zeros.

/// Odd constants without structure: the fraction digits of pi.
const STEP: u64 = 0x243f_6a88_85a3_08d3;
const LAST: u64 = 0x1319_8a2e_0370_7344;
const SPREAD: u64 = 0xa409_3822_299f_31d1;

/// Both halves of the product: every bit of both factors reaches the result.
#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ ((product >> 64) as u64)
}

/// Eight bytes from `at` on, little-endian, zeros past the end.
#[inline]
fn word_from(text: &[u8], at: usize) -> u64 {
    if let Some(bytes) = text.get(at..at + 8) {
        return u64::from_le_bytes(bytes.try_into().expect("the range is eight long"));
    }
    let Some(past) = (at + 8).checked_sub(text.len()).filter(|past| *past < 8) else {
        return 0;
    };
    match text.last_chunk::<8>() {
        Some(bytes) => u64::from_le_bytes(*bytes) >> (8 * past),
        None => text[at..]
            .iter()
            .rev()
            .fold(0, |word, byte| word << 8 | u64::from(*byte)),
    }
}

/// The eight bytes before `end`, little-endian, zeros before the beginning.
#[inline]
fn word_to(text: &[u8], end: usize) -> u64 {
    match end.checked_sub(8) {
        Some(at) => u64::from_le_bytes(text[at..end].try_into().expect("the range is eight long")),
        None => {
            text[..end]
                .iter()
                .rev()
                .fold(0u64, |word, byte| word << 8 | u64::from(*byte))
                << (8 * (8 - end))
        }
    }
}

/// Which of the eight bytes are slashes: bit `n` for byte `n`.
#[inline]
fn slashes(word: u64) -> u64 {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    let differs = word ^ 0x2f2f_2f2f_2f2f_2f2f;
    // The upper bit of each byte that is zero, and of no other: no carry leaves a byte.
    let same = !(((differs & LOW) + LOW) | differs | LOW);
    // Each such bit to its place among the upper eight.
    (same >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56
}

/// The bucket of a resource, by the first slash: its length, and the hash of a [`Chain`] of this seed over it.
#[inline]
pub(super) fn bucket(seed: u64, resource: &[u8]) -> (usize, u64) {
    let mut chain = Chain::new(seed);
    loop {
        let at = 8 * chain.words;
        let word = word_from(resource, at);
        let slashes = slashes(word);
        let len = if slashes != 0 {
            at + slashes.trailing_zeros() as usize
        } else if at + 8 > resource.len() {
            resource.len()
        } else {
            chain.step(word);
            continue;
        };
        let tail = word & ((1 << (8 * (len - at))) - 1);
        return (len, chain.finish(tail, len));
    }
}

/// A key, read once: where its slashes are, and what hashing any beginning of it takes.
pub(super) struct Key {
    seed: u64,
    words: [u64; 8],
    states: [u64; 8],
    /// Bit `n`: the beginning of length `n` ends with a slash. Up to 63.
    pub(super) folders: u64,
}

impl Key {
    /// Reads up to 64 bytes of the key.
    #[inline]
    pub(super) fn read(seed: u64, key: &[u8]) -> Self {
        let (mut words, mut states) = ([0; 8], [0; 8]);
        let mut chain = Chain::new(seed);
        let mut found = 0;
        for (number, (word, state)) in words.iter_mut().zip(&mut states).enumerate() {
            *word = word_from(key, 8 * number);
            *state = chain.state;
            if 8 * number >= key.len() {
                break;
            }
            found |= slashes(*word) << (8 * number);
            chain.step(*word);
        }
        Key {
            seed,
            words,
            states,
            folders: found << 1,
        }
    }

    /// The hash that a [`Chain`] gives of the first `len` bytes, at most 63.
    #[inline]
    pub(super) fn hash(&self, len: usize) -> u64 {
        let number = len / 8 % 8;
        let tail = self.words[number] & ((1 << (8 * (len % 8))) - 1);
        finish(self.seed, self.states[number], tail, len)
    }
}

#[inline]
fn finish(seed: u64, state: u64, tail: u64, len: usize) -> u64 {
    fold(
        state ^ tail,
        LAST ^ (len as u64).wrapping_mul(SPREAD) ^ seed.rotate_left(32),
    )
}

/// A hash in the making: of longer and longer beginnings of `text[base..]`, or ends of `text`.
#[derive(Clone, Copy)]
pub(in crate::ruleset) struct Chain {
    seed: u64,
    state: u64,
    words: usize,
}

impl Chain {
    /// Starts a chain; hashes of different seeds are independent.
    #[inline]
    pub(in crate::ruleset) fn new(seed: u64) -> Self {
        Chain {
            seed,
            state: seed ^ SPREAD,
            words: 0,
        }
    }

    #[inline]
    fn step(&mut self, word: u64) {
        self.state = fold(self.state ^ word, STEP);
        self.words += 1;
    }

    #[inline]
    fn finish(&self, tail: u64, len: usize) -> u64 {
        finish(self.seed, self.state, tail, len)
    }

    /// Hash of `text[base..base + len]`. Lengths of one chain must not fall.
    #[inline]
    pub(in crate::ruleset) fn beginning(&mut self, text: &[u8], base: usize, len: usize) -> u64 {
        while self.words < len / 8 {
            self.step(word_from(text, base + 8 * self.words));
        }
        let rest = len % 8;
        let tail = word_from(text, base + 8 * self.words) & ((1u64 << (8 * rest)) - 1);
        self.finish(tail, len)
    }

    /// Hash of the last `len` bytes of `text`. Lengths of one chain must not fall.
    #[inline]
    pub(in crate::ruleset) fn end(&mut self, text: &[u8], len: usize) -> u64 {
        while self.words < len / 8 {
            self.step(word_to(text, text.len() - 8 * self.words));
        }
        let rest = len % 8;
        let tail = if rest == 0 {
            0
        } else {
            word_to(text, text.len() - 8 * self.words) >> (8 * (8 - rest))
        };
        self.finish(tail, len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_depends_on_the_bytes_alone() {
        let text = b"logs/2026/11/22/host-123/part-00042.parquet";
        for start in 0..text.len() {
            let mut chain = Chain::new(7);
            for len in 0..=text.len() - start {
                let part = &text[start..start + len];
                assert_eq!(
                    chain.beginning(text, start, len),
                    Chain::new(7).beginning(part, 0, len),
                    "{start} {len}"
                );
            }
        }
        let mut chain = Chain::new(9);
        for len in 0..=text.len() {
            let part = &text[text.len() - len..];
            assert_eq!(chain.end(text, len), Chain::new(9).end(part, len), "{len}");
        }
        let key = Key::read(7, text);
        for len in 0..=text.len() {
            assert_eq!(key.hash(len), Chain::new(7).beginning(text, 0, len));
            let folder = len > 0 && text[len - 1] == b'/';
            assert_eq!(key.folders >> len & 1 == 1, folder, "{len}");
        }
        assert_ne!(
            Chain::new(7).beginning(b"a", 0, 1),
            Chain::new(7).beginning(b"a\0", 0, 2)
        );
        assert_ne!(
            Chain::new(7).beginning(b"a", 0, 1),
            Chain::new(8).beginning(b"a", 0, 1)
        );
    }

    /// What an index is fast by: texts that differ little have hashes that share nothing. Each 32 bits of the hash decide
    /// by themselves, the upper where to look and the lower whether it is worth a comparison.
    #[test]
    fn hashes_of_texts_that_differ_little_are_spread() {
        let mut hashes = Vec::new();
        for number in 0..20_000_u32 {
            let text = format!("{number}/logs/{:05}/part-{number:05}", number % 7);
            for len in [1, 5, 8, 9, 16] {
                let part = &text.as_bytes()[text.len() - len.min(text.len())..];
                if len > 5 {
                    hashes.push(Chain::new(7).beginning(part, 0, part.len()));
                    hashes.push(Chain::new(11).end(part, part.len()));
                }
            }
            hashes.push(Chain::new(7).beginning(text.as_bytes(), 0, text.len()));
            hashes.push(Key::read(8, text.as_bytes()).hash(text.len()));
            hashes.push(Chain::new(9).end(text.as_bytes(), text.len()));
            hashes.push(Chain::new(u64::from(number)).beginning(b"same", 0, 4));
        }
        // Letters at any place, and no letter but the length.
        for len in 0..64 {
            hashes.push(Chain::new(5).beginning(&[0; 64], 0, len));
            for at in 0..len {
                let mut text = vec![b'a'; len];
                text[at] = b'b';
                hashes.push(Chain::new(5).beginning(&text, 0, len));
                hashes.push(Chain::new(6).end(&text, len));
            }
        }
        let all = hashes.len();
        let distinct = |of: &dyn Fn(u64) -> u64| {
            let mut found: Vec<u64> = hashes.iter().map(|hash| of(*hash)).collect();
            found.sort_unstable();
            found.dedup();
            found.len()
        };
        assert_eq!(distinct(&|hash| hash), all);
        // By chance some pairs of 32 bits agree: the square of their number over 2^33, here about 5.
        assert!(distinct(&|hash| hash >> 32) > all - 40);
        assert!(distinct(&|hash| hash & 0xffff_ffff) > all - 40);
    }

    #[test]
    fn slashes_are_found_among_any_bytes() {
        for filler in 0..=255u8 {
            for places in 0..256u64 {
                let bytes: [u8; 8] =
                    std::array::from_fn(|at| if places >> at & 1 == 1 { b'/' } else { filler });
                let want = if filler == b'/' { 255 } else { places };
                assert_eq!(slashes(u64::from_le_bytes(bytes)), want, "{bytes:?}");
            }
        }
    }

    #[test]
    fn a_bucket_ends_at_the_first_slash() {
        let long = "x".repeat(70);
        for bucket_text in [
            "",
            "a",
            "bucket",
            "eight-by",
            "eight-byt",
            "sixteen-letters-",
            &long,
        ] {
            for rest in ["", "/", "/k", "/key/of/some/length"] {
                let resource = format!("{bucket_text}{rest}");
                let len = bucket_text.len();
                let want = Chain::new(3).beginning(bucket_text.as_bytes(), 0, len);
                assert_eq!(bucket(3, resource.as_bytes()), (len, want), "{resource:?}");
            }
        }
    }
}
