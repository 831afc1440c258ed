//! What must hold, by name. `PROPERTIES.md` says the same; a test holds the two together.

use std::fmt;

macro_rules! properties {
    ($($name:ident = $number:literal, $title:literal, $sentence:literal;)*) => {
        /// One property.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum Property { $($name),* }

        impl Property {
            pub(crate) const ALL: &[Property] = &[$(Property::$name),*];

            pub(crate) fn number(self) -> u32 {
                match self { $(Property::$name => $number),* }
            }

            pub(crate) fn title(self) -> &'static str {
                match self { $(Property::$name => $title),* }
            }

            pub(crate) fn sentence(self) -> &'static str {
                match self { $(Property::$name => $sentence),* }
            }
        }
    };
}

properties! {
    NoLoss = 1, "No loss",
        "Every accepted event and every rule that covered it in the snapshot it was judged by ends as delivered, as a dead letter, or as cancelled because its subscription was removed; when all is quiet there is nothing else.";
    BoundedDuplicates = 2, "Bounded duplicates",
        "An endpoint accepts a notification at most once, plus once for each fault that hides an answer, repeats a message or an event, or redrives a letter; without such faults exactly once, and every copy carries the same message id.";
    NoInvention = 3, "No invention",
        "Every push traces to an accepted event, to a rule that covers it in the snapshot named by the delivery, and to that rule's topic, and carries exactly the body that event publishes.";
    MatcherAgrees = 4, "The fast matcher is the naive matcher",
        "For every rule set and event, the index finds exactly the rules that a line-by-line reading of the seeds finds.";
    ExplainAgrees = 5, "Explain is match",
        "What explain says of a rule is what match does with it.";
    OverlapExact = 6, "Overlap is exact",
        "Two rules said to overlap come with an event that both claim; two rules said to be disjoint share no event of an exhaustive search.";
    DefaultRule = 7, "The default rule takes the rest",
        "The default rule is told of an event exactly when no other enabled rule covers it.";
    OneSnapshot = 8, "One snapshot per event, soon the newest",
        "All deliveries of one judging carry one version, and that version is at most thirty seconds behind the rules table.";
    RetryTimes = 9, "Retries come at the published times",
        "A retry waits at least the gap its strategy publishes, and no longer than the longest granted Retry-After; there are exactly as many retries as published, 3 or 176.";
    BatchIsolation = 10, "Batch isolation",
        "The failure list of a batch names exactly the records that must come again, for every combination of good, failing and unreadable records.";
    CrashAnywhere = 11, "Crash anywhere",
        "A handler killed at any poll, before or after any effect, loses nothing and invents nothing.";
    Settles = 12, "It settles",
        "Once faults stop, every delivery ends within the retry horizon of its strategy and a stated slack of virtual time.";
    Signature = 13, "What is sent is what was signed",
        "Every HTTP push reaches its endpoint with a signature of a current key over the very headers, target and body that arrive, and with the time of the attempt.";
    GuardedDials = 14, "Guarded dials",
        "No endpoint is dialled that the address guard refuses, whatever the resolver answers, and no redirect is followed.";
    Wall = 15, "The wall is the keys",
        "An installation serves one account: whoever asks without one of its keys reads nothing, changes nothing and learns no name of what is inside, by any action and any path.";
    FaithfulRedrive = 16, "A redrive is faithful",
        "A redriven letter is delivered with the bytes and the message id of the original, and is not gone from the dead letters before it is back in the queue.";
    Codecs = 17, "Codecs",
        "The decoders read back what the encoders write, and no input whatever makes a reader panic.";
    PoisonStaysSmall = 18, "Poison stays small",
        "A record that no stage can read becomes a dead letter with its exact body, and costs its healthy neighbours not one extra reception.";
    FaithfulReplay = 19, "A replay is faithful",
        "Where events are kept, each that went on to match is kept; a replay sends exactly those of its window and rule, under the ids they had, and one for a rule tells that rule alone.";
}

impl fmt::Display for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "property {} ({})", self.number(), self.title())
    }
}

/// A property that did not hold.
#[derive(Clone, Debug)]
pub(crate) struct Violation {
    pub(crate) property: Property,
    pub(crate) what: String,
    pub(crate) event: Option<usize>,
    pub(crate) at: u64,
}
