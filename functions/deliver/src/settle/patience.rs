//! How long a delivery waits in the queue that is not attempted now.

use carillon_core::event::Timestamp;
use std::time::Duration;

/// Why a delivery is not attempted now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// It has a time of its own: its place in a rate limit, a store that is behind, a batch that ran out of time.
    Exactly(Duration),
    /// Its endpoint is left alone; the next probe is due in so long.
    Probe(Duration),
    /// Its endpoint is not proven and has as many pushes under way as it gets.
    Busy,
}

/// Longest delay of a message (SQS).
const LONGEST: Duration = Duration::from_secs(900);
/// What is full is asked again no sooner, and no later, than this.
const BUSY: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));
/// Longest that a wait grows on a short outage (HELP: Push backoff policy: back to normal within about 100 s).
const UNHURRIED: Duration = Duration::from_secs(60);

impl Wait {
    /// How long it waits, for a delivery that has waited since `since`.
    ///
    /// Behind an endpoint that is left alone: until its probe is due, and no less than an eighth of what it has waited
    /// already. So the re-sends of one delivery grow with the logarithm of the outage: seven while the pauses grow to a
    /// minute, one a minute up to eight minutes, then each gap an eighth longer, up to the longest delay there is. After
    /// an outage it is back within a minute or an eighth of the outage, a quarter of an hour at most; and whatever is
    /// published meanwhile is younger, and finds the endpoint well before that.
    ///
    /// The result is rounded up to one of four steps to the doubling, so that what waits for about as long goes on
    /// travelling in one message.
    pub(super) fn delay(self, since: Timestamp, now: Timestamp) -> Duration {
        let age = now.since(since);
        match self {
            Wait::Exactly(delay) => delay.min(LONGEST),
            Wait::Busy => stepped((age / 2).clamp(BUSY.0, BUSY.1)),
            Wait::Probe(due) => {
                let grown = age / 8;
                if grown <= UNHURRIED {
                    due.min(LONGEST)
                } else {
                    stepped(due.max(grown)).min(LONGEST)
                }
            }
        }
    }

    /// How much later than [`delay`](Self::delay) a message may come, so that not all come at one moment of which one
    /// alone may probe: up to an eighth.
    pub(super) fn spread(self, delay: Duration, draw: u64) -> Duration {
        match self {
            Wait::Exactly(_) => delay,
            Wait::Probe(_) | Wait::Busy => {
                let room = u64::try_from(delay.as_millis() / 8).unwrap_or(u64::MAX);
                let more = Duration::from_millis(draw % room.saturating_add(1));
                (delay + more).min(LONGEST)
            }
        }
    }
}

/// The next of the steps 1, 1 1/4, 1 1/2, 1 3/4 times a power of two, in milliseconds.
fn stepped(delay: Duration) -> Duration {
    let millis = u64::try_from(delay.as_millis())
        .unwrap_or(u64::MAX / 4)
        .max(4);
    let quarter = 1 << (millis.ilog2() - 2);
    Duration::from_millis(millis.div_ceil(quarter) * quarter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_behind_a_dead_endpoint_is_few_re_sends() {
        let since = Timestamp::from_millis(0);
        let (mut now, mut sends, mut in_the_first_hour) = (since, 0, 0);
        let mut pause = Duration::from_millis(500);
        while now.since(since) < Duration::from_secs(86_400) {
            let delay = Wait::Probe(pause).delay(since, now);
            assert!(delay >= pause && delay <= LONGEST, "{delay:?}");
            now = now.plus(delay);
            sends += 1;
            in_the_first_hour += u32::from(now.since(since) <= Duration::from_secs(3_600));
            pause = (pause * 2).min(UNHURRIED);
        }
        // One a minute would be 1 447.
        assert!(
            in_the_first_hour <= 32,
            "{in_the_first_hour} in the first hour"
        );
        assert!(sends <= 130, "{sends} in a day");
    }

    #[test]
    fn times_of_their_own_are_kept_and_others_are_spread_by_an_eighth_at_most() {
        let (since, now) = (
            Timestamp::from_millis(0),
            Timestamp::from_millis(50_000_000),
        );
        let given = Duration::from_millis(1_234);
        let own = Wait::Exactly(given);
        assert_eq!(own.spread(own.delay(since, now), 99), given);
        for draw in 0..2_000 {
            let probe = Wait::Probe(given);
            let later = probe.spread(given, draw);
            assert!((given..=given + given / 8).contains(&later));
            assert_eq!(probe.spread(LONGEST, draw), LONGEST);
        }
    }

    #[test]
    fn steps_are_four_to_the_doubling() {
        for (millis, want) in [
            (0, 4),
            (4, 4),
            (5, 5),
            (9, 10),
            (17, 20),
            (1_000, 1_024),
            (61_000, 65_536),
        ] {
            assert_eq!(
                stepped(Duration::from_millis(millis)),
                Duration::from_millis(want)
            );
        }
    }
}
