//! Nonces seen: a request that was accepted once is not accepted again.

use super::WINDOW;
use carillon_core::event::Timestamp;
use sha2::{Digest as _, Sha256};
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// Most nonces kept in one generation; 16 bytes each.
const MOST: usize = 2_000_000;

/// What became of a nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nonce {
    /// Not seen before; it is now.
    Fresh,
    /// Seen before.
    Used,
    /// Too many are held to take another.
    Full,
}

/// Nonces in generations of one window each. A request's date may lie one window ahead and is sound until one window
/// after it, so a nonce must be held for two windows: this generation and the two before it.
#[derive(Default)]
pub(crate) struct Nonces(Mutex<Generations>);

#[derive(Default)]
struct Generations {
    number: i64,
    held: [HashSet<[u8; 16]>; 3],
}

impl Nonces {
    /// Takes a nonce of a key whose signature has been verified: others must not fill the memory.
    pub(crate) fn take(&self, key: &str, nonce: &str, now: Timestamp) -> Nonce {
        let mut hasher = Sha256::new();
        hasher.update((key.len() as u64).to_le_bytes());
        hasher.update(key.as_bytes());
        hasher.update(nonce.as_bytes());
        let mut id = [0; 16];
        id.copy_from_slice(&hasher.finalize()[..16]);

        let window = i64::try_from(WINDOW.as_millis()).expect("fifteen minutes fit");
        let number = now.as_millis().div_euclid(window);
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that goes back keeps what is held.
        for _ in 0..number.saturating_sub(all.number).clamp(0, 3) {
            all.held.rotate_right(1);
            all.held[0].clear();
        }
        all.number = all.number.max(number);
        if all.held.iter().any(|generation| generation.contains(&id)) {
            return Nonce::Used;
        }
        if all.held[0].len() >= MOST {
            return Nonce::Full;
        }
        all.held[0].insert(id);
        Nonce::Fresh
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_nonce_is_used_for_two_windows_and_fresh_long_after() {
        let nonces = Nonces::default();
        let start = Timestamp::from_millis(1_700_000_000_000);
        assert_eq!(nonces.take("k", "n", start), Nonce::Fresh);
        for minutes in [0, 1, 14, 16, 29] {
            let now = start.plus(Duration::from_secs(60 * minutes));
            assert_eq!(
                nonces.take("k", "n", now),
                Nonce::Used,
                "after {minutes} minutes"
            );
        }
        assert_eq!(
            nonces.take("k", "n", start.plus(Duration::from_secs(60 * 60))),
            Nonce::Fresh
        );
    }

    #[test]
    fn keys_have_nonces_of_their_own() {
        let nonces = Nonces::default();
        let now = Timestamp::from_millis(0);
        assert_eq!(nonces.take("a", "bn", now), Nonce::Fresh);
        assert_eq!(nonces.take("ab", "n", now), Nonce::Fresh);
    }
}
