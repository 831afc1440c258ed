//! What goes wrong in the simulated world, and how often: each run has a weather of its own.

use crate::rng::Rng;

macro_rules! faults {
    ($($name:ident: $text:literal,)*) => {
        /// One kind of trouble.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Fault { $($name),* }

        impl Fault {
            pub(crate) const ALL: &[Fault] = &[$(Fault::$name),*];

            pub(crate) fn text(self) -> &'static str {
                match self { $(Fault::$name => $text),* }
            }
        }
    };
}

faults! {
    SourceDuplicate: "source: an event is told twice",
    Poison: "source: a body that no stage can read",
    QueueDuplicate: "queue: a message is handed to two handlers at once",
    QueueReorder: "queue: messages overtake each other",
    QueueLate: "queue: a message comes late",
    QueueForgetsDelete: "queue: a deleted message comes again",
    VisibilityExpires: "queue: visibility runs out while the handler works",
    SendThrottled: "queue: part of a batch is not taken",
    SendAnswerLost: "queue: a message is taken and the answer lost",
    Killed: "handler: killed before or after an effect",
    Panicked: "handler: panics",
    Skewed: "handler: a clock up to two seconds off",
    StoreDown: "rules table: no answer",
    StoreStale: "rules table: a read up to thirty seconds old",
    CommitRaced: "rules table: somebody else committed first",
    LettersDown: "dead letters: no answer",
    LettersAnswerLost: "dead letters: kept and the answer lost",
    LogDown: "attempt log: no answer",
    SigningDown: "signer: no answer",
    UserQueueDown: "queue endpoint: part of a batch is not taken",
    UserQueueAnswerLost: "queue endpoint: taken and the answer lost",
    UserQueueGone: "queue endpoint: does not exist for a while",
    HttpError: "HTTP endpoint: 4xx or 5xx",
    HttpThrottled: "HTTP endpoint: 429 or 503 with an absurd Retry-After",
    HttpRedirect: "HTTP endpoint: 3xx",
    HttpGone: "HTTP endpoint: 410",
    HttpResetBefore: "HTTP endpoint: connection reset before processing",
    HttpResetAfter: "HTTP endpoint: processed, then connection reset",
    HttpHangs: "HTTP endpoint: no answer in time, processed or not",
    HttpSlow: "HTTP endpoint: an answer just in time",
    DiallerHangs: "HTTP dialler: never comes back",
    NoConnection: "HTTP endpoint: no name, no connection, or no TLS",
    RuleChanged: "operator: a rule or subscription made, changed, disabled or removed",
    Redriven: "operator: a dead letter sent again, also twice at once",
    KeyRotated: "operator: the signing key rotated",
    WindowDown: "duplicate window: no answer",
    WindowAnswerLost: "duplicate window: marked and the answer lost",
    ArchiveDown: "archive: a pack cannot be kept, and does not go on",
    Replayed: "operator: accepted events replayed, to all or for one rule",
}

impl Fault {
    /// How often it may strike in one run. What repeats a message is rationed: waiting deliveries are sent again every
    /// few seconds, and if a tenth of these sends doubled, a run would drown in copies and test nothing else.
    pub(crate) fn budget(self) -> u64 {
        match self {
            Fault::QueueDuplicate
            | Fault::QueueForgetsDelete
            | Fault::VisibilityExpires
            | Fault::SendAnswerLost
            | Fault::Panicked
            | Fault::DiallerHangs => 25,
            // Each may tell everything once more.
            Fault::Replayed => 3,
            _ => u64::MAX,
        }
    }
}

/// How often each fault strikes, of 10 000 chances.
#[derive(Clone, Debug)]
pub(crate) struct Weather([u32; Fault::ALL.len()]);

impl Weather {
    /// Nothing goes wrong.
    pub(crate) fn calm() -> Self {
        Weather([0; Fault::ALL.len()])
    }

    /// Only these faults.
    pub(crate) fn only(faults: &[(Fault, u32)]) -> Self {
        let mut weather = Weather::calm();
        for &(fault, rate) in faults {
            weather.0[fault as usize] = rate;
        }
        weather
    }

    /// A different mix for every run: most bugs need a few faults together and the absence of others (Groce and others,
    /// "Swarm testing"). One run in eight has none.
    pub(crate) fn drawn(rng: &mut Rng) -> Self {
        let mut weather = Weather::calm();
        if rng.chance(1_250) {
            return weather;
        }
        let share = *rng.pick(&[2_000, 5_000, 8_000]);
        for fault in Fault::ALL {
            if rng.chance(share) {
                weather.0[*fault as usize] = *rng.pick(&[30, 100, 300, 1_000]);
            }
        }
        weather
    }

    pub(crate) fn rate(&self, fault: Fault) -> u32 {
        self.0[fault as usize]
    }
}

/// How often each fault struck.
#[derive(Clone, Debug)]
pub(crate) struct Struck(pub(crate) [u64; Fault::ALL.len()]);

impl Default for Struck {
    fn default() -> Self {
        Struck([0; Fault::ALL.len()])
    }
}

impl Struck {
    pub(crate) fn add(&mut self, other: &Struck) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine += theirs;
        }
    }

    pub(crate) fn count(&self, fault: Fault) -> u64 {
        self.0[fault as usize]
    }
}
