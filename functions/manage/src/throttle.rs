//! The rate of requests, held by a bucket that fills at the rate and holds one second's worth.

use crate::error::Refused;
use carillon_core::event::Timestamp;
use std::sync::{Mutex, PoisonError};

/// See the module.
#[derive(Default)]
pub(crate) struct Throttle(Mutex<Option<Bucket>>);

#[derive(Clone, Copy)]
struct Bucket {
    /// In thousandths of a request, so that a low rate fills evenly.
    left: u64,
    at: Timestamp,
}

impl Throttle {
    /// Takes one request out of the bucket.
    pub(crate) fn take(&self, rate: Option<u32>, now: Timestamp) -> Result<(), Refused> {
        let Some(rate) = rate else { return Ok(()) };
        let most = u64::from(rate) * 1000;
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = held.get_or_insert(Bucket {
            left: most,
            at: now,
        });
        let millis = u64::try_from(now.since(bucket.at).as_millis()).unwrap_or(u64::MAX);
        // A rate of n a second is n thousandths of a request a millisecond.
        bucket.left = bucket
            .left
            .saturating_add(millis.saturating_mul(u64::from(rate)))
            .min(most);
        bucket.at = bucket.at.max(now);
        if bucket.left < 1000 {
            return Err(Refused::new(
                429,
                "TooManyRequests",
                format!("more than {rate} requests came within a second: wait, then send fewer"),
            ));
        }
        bucket.left -= 1000;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_bucket_holds_a_second_and_fills_at_the_rate() {
        let throttle = Throttle::default();
        let start = Timestamp::from_millis(1_000_000);
        let taken = |now| {
            (0..100)
                .take_while(|_| throttle.take(Some(10), now).is_ok())
                .count()
        };
        assert_eq!(taken(start), 10);
        assert_eq!(taken(start), 0);
        assert_eq!(taken(start.plus(Duration::from_millis(250))), 2);
        assert_eq!(taken(start.plus(Duration::from_millis(300))), 1);
        // A clock that went back gives nothing.
        assert_eq!(taken(start), 0);
        assert_eq!(taken(start.plus(Duration::from_secs(3600))), 10);
        assert!((0..1000).all(|_| throttle.take(None, start).is_ok()));
    }
}
