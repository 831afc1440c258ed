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
    fn finish(&self, tail: u64, len: usize) -> u64 {
        fold(
            self.state ^ tail,
            LAST ^ (len as u64).wrapping_mul(SPREAD) ^ self.seed.rotate_left(32),
        )
    }

    /// Hash of `text[base..base + len]`. Lengths of one chain must not fall.
    #[inline]
    pub(in crate::ruleset) fn beginning(&mut self, text: &[u8], base: usize, len: usize) -> u64 {
        while self.words < len / 8 {
            self.state = fold(self.state ^ word_from(text, base + 8 * self.words), STEP);
            self.words += 1;
        }
        let rest = len % 8;
        let tail = word_from(text, base + 8 * self.words) & ((1u64 << (8 * rest)) - 1);
        self.finish(tail, len)
    }

    /// Hash of the last `len` bytes of `text`. Lengths of one chain must not fall.
    #[inline]
    pub(in crate::ruleset) fn end(&mut self, text: &[u8], len: usize) -> u64 {
        while self.words < len / 8 {
            self.state = fold(
                self.state ^ word_to(text, text.len() - 8 * self.words),
                STEP,
            );
            self.words += 1;
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
        assert_ne!(
            Chain::new(7).beginning(b"a", 0, 1),
            Chain::new(7).beginning(b"a\0", 0, 2)
        );
        assert_ne!(
            Chain::new(7).beginning(b"a", 0, 1),
            Chain::new(8).beginning(b"a", 0, 1)
        );
    }
}
