//! Cutting messages into requests. Pure.

use std::ops::Range;
use std::time::Duration;

/// Most entries of a batch request (SQS quotas).
pub const MAX_ENTRIES: usize = 10;
/// Most bytes of all bodies of a batch request, and of one message (SQS quotas: 1 MiB).
pub const MAX_REQUEST_BYTES: usize = 1024 * 1024;
/// Longest delay of a message (SQS SendMessage: `DelaySeconds`).
const MAX_DELAY: u64 = 900;

/// A delay as SQS has it: whole seconds, rounded up so that nothing comes early, at most 900. A longer delay is cut: the
/// message comes early, and whoever receives it may send it on again with the rest.
#[must_use]
pub fn sqs_delay(delay: Duration) -> i32 {
    let up = delay
        .as_secs()
        .saturating_add(u64::from(delay.subsec_nanos() > 0));
    i32::try_from(up.min(MAX_DELAY)).expect("at most 900")
}

/// Cuts a run of messages of these sizes (bytes) into requests, in order: what every send does.
#[must_use]
pub fn requests(sizes: &[usize]) -> Vec<Range<usize>> {
    requests_within(sizes, MAX_REQUEST_BYTES)
}

/// The same, with another bound on the bytes of a request.
pub(crate) fn requests_within(sizes: &[usize], most: usize) -> Vec<Range<usize>> {
    let mut requests = Vec::with_capacity(sizes.len().div_ceil(MAX_ENTRIES));
    let (mut from, mut bytes) = (0, 0);
    for (index, size) in sizes.iter().enumerate() {
        if index > from && (index - from == MAX_ENTRIES || bytes + size > most) {
            requests.push(from..index);
            (from, bytes) = (index, 0);
        }
        bytes += size;
    }
    if from < sizes.len() {
        requests.push(from..sizes.len());
    }
    requests
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn delays_are_rounded_up_and_cut() {
        for (millis, seconds) in [
            (0, 0),
            (1, 1),
            (999, 1),
            (1000, 1),
            (1001, 2),
            (512_000, 512),
            (899_001, 900),
            (10_000_000, 900),
        ] {
            assert_eq!(
                sqs_delay(Duration::from_millis(millis)),
                seconds,
                "{millis} ms"
            );
        }
        assert_eq!(sqs_delay(Duration::MAX), 900);
    }

    proptest! {
        #[test]
        fn requests_hold_everything_in_order_within_both_bounds(
            sizes in proptest::collection::vec(prop_oneof![0usize..100, 60_000usize..66_000, 900_000usize..1_048_577], 0..60),
        ) {
            let cut = requests(&sizes);
            let all: Vec<usize> = cut.iter().cloned().flatten().collect();
            prop_assert_eq!(all, (0..sizes.len()).collect::<Vec<_>>());
            for request in cut {
                prop_assert!(!request.is_empty() && request.len() <= MAX_ENTRIES);
                prop_assert!(sizes[request].iter().sum::<usize>() <= MAX_REQUEST_BYTES);
            }
        }

        #[test]
        fn no_two_neighbours_would_have_fitted_one_request(sizes in proptest::collection::vec(1usize..300_000, 0..60)) {
            for pair in requests(&sizes).windows(2) {
                let first_of_next = pair[1].start;
                let bytes: usize = sizes[pair[0].start..=first_of_next].iter().sum();
                prop_assert!(pair[0].len() == MAX_ENTRIES || bytes > MAX_REQUEST_BYTES);
            }
        }
    }
}
