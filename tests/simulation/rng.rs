//! Random numbers that are the same on every machine and in every release: xoshiro256**, seeded by splitmix64 (Blackman
//! and Vigna, "Scrambled linear pseudorandom number generators").

/// A generator; equal seeds give equal runs.
#[derive(Clone, Debug)]
pub(crate) struct Rng([u64; 4]);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        let mut state = seed;
        Rng(std::array::from_fn(|_| {
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            z ^ (z >> 31)
        }))
    }

    pub(crate) fn next(&mut self) -> u64 {
        let s = &mut self.0;
        let result = s[1].wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// 0 to `n - 1`. The bias of the remainder is far below what a test could see.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n.max(1) as u64).expect("it is below a usize")
    }

    /// `from` to `to`, both included.
    pub(crate) fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.next() % (to - from + 1)
    }

    /// True in `rate` of 10 000.
    pub(crate) fn chance(&mut self, rate: u32) -> bool {
        rate > 0 && self.next() % 10_000 < u64::from(rate)
    }

    pub(crate) fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

#[test]
fn the_numbers_are_the_published_ones() {
    // State 1, 2, 3, 4: the first outputs of the authors' reference program.
    let mut rng = Rng([1, 2, 3, 4]);
    assert_eq!(
        [rng.next(), rng.next(), rng.next(), rng.next()],
        [11_520, 0, 1_509_978_240, 1_215_971_899_390_074_240]
    );
}
