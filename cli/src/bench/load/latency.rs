//! Times by the million in little room: a histogram whose buckets are at most 3 % wide.

use std::sync::atomic::{AtomicU64, Ordering};

/// Buckets of each doubling.
const STEPS: u64 = 32;
/// Doublings: up to 2^40 microseconds, which is twelve days.
const DOUBLINGS: u64 = 36;

/// Microseconds, counted by size.
pub(super) struct Latencies {
    buckets: Vec<AtomicU64>,
}

impl Latencies {
    pub(super) fn new() -> Self {
        let count = usize::try_from(STEPS * DOUBLINGS).expect("a thousand or so");
        Latencies {
            buckets: (0..count).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    pub(super) fn count(&self, micros: u64) {
        let last = self.buckets.len() - 1;
        self.buckets[bucket(micros).min(last)].fetch_add(1, Ordering::Relaxed);
    }

    /// The time in milliseconds that the share `of` (0 to 1) of all stayed within; 0 when there is none.
    pub(super) fn millis(&self, of: f64) -> f64 {
        let counts: Vec<u64> = self
            .buckets
            .iter()
            .map(|bucket| bucket.load(Ordering::Relaxed))
            .collect();
        let total: u64 = counts.iter().sum();
        let wanted = (total as f64 * of).ceil() as u64;
        let mut seen = 0;
        for (index, count) in counts.iter().enumerate() {
            seen += count;
            if seen >= wanted && *count > 0 {
                return upper(index as u64) as f64 / 1000.0;
            }
        }
        0.0
    }
}

fn bucket(micros: u64) -> usize {
    let index = if micros < STEPS {
        micros
    } else {
        let doubling = u64::from(micros.ilog2()) - 5;
        (doubling + 1) * STEPS + ((micros >> doubling) - STEPS)
    };
    usize::try_from(index).unwrap_or(usize::MAX)
}

/// The largest value of a bucket.
fn upper(index: u64) -> u64 {
    if index < STEPS {
        return index;
    }
    let doubling = index / STEPS - 1;
    ((index % STEPS + STEPS + 1) << doubling) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_what_it_says() {
        for micros in (0..5_000).chain([99_999, 1_000_000, 3_600_000_000]) {
            let held = upper(bucket(micros) as u64);
            assert!(
                held >= micros && held <= micros + micros / 32,
                "{micros} in {held}"
            );
        }
    }

    #[test]
    fn shares_are_found() {
        let times = Latencies::new();
        assert_eq!(times.millis(0.5), 0.0);
        for micros in 1..=1_000 {
            times.count(micros * 1_000);
        }
        assert!(
            (times.millis(0.5) - 500.0).abs() < 16.0,
            "{}",
            times.millis(0.5)
        );
        assert!((times.millis(0.99) - 990.0).abs() < 32.0);
        assert!(times.millis(1.0) >= 1_000.0);
    }
}
