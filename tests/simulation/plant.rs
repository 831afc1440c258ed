//! Known mistakes, planted on purpose in the world round the handlers: a suite that does not catch them proves nothing.

macro_rules! plants {
    ($($name:ident: $text:literal,)*) => {
        /// A planted mistake.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Plant { $($name),* }

        impl Plant {
            pub(crate) const ALL: &[Plant] = &[$(Plant::$name),*];

            pub(crate) fn text(self) -> &'static str {
                match self { $(Plant::$name => $text),* }
            }
        }
    };
}

plants! {
    DeletesBeforeHandling: "the host deletes the batch before the handler has done its work",
    IgnoresFailures: "the host deletes failed records too",
    PanicIsSuccess: "the host takes a panicking handler for a successful one",
    SwallowsPartialFailure: "the sender answers Ok for messages that the queue did not take",
    SendsFirstTen: "the sender passes on the first ten messages of a larger batch and answers Ok for all",
    MisordersResults: "the sender gives the results of a partial failure in another order",
    ForgetsVersion: "a process keeps the first rules it loaded for ever",
    TornRead: "the rules table is read without its newest subscription",
    ForgetsDisabled: "the rules table loses the switch that turns a rule off",
    EnumeratesWildcard: "ObjectCreated:* is stored as the list of today's names",
    CutsPrefixes: "the rules table cuts prefixes at four bytes",
    DefaultAlsoFires: "the default rule is stored as a rule that covers everything",
    UnconditionalCommit: "a commit does not check the version it was judged on",
    DropsLetters: "the dead-letter store answers Ok and keeps nothing",
    CutsLetters: "the dead-letter store keeps the first 64 bytes of a record",
    RetriesOnceMore: "a retry is sent with its attempt not counted, once",
    RetriesOnceLess: "a retry is sent with one attempt too many on its count",
    RetriesAtOnce: "the delay of a retry is lost",
    DoublesDelay: "the delay of a retry is doubled",
    ObeysRetryAfter: "a Retry-After may push a delivery a week away",
    DoublesRetries: "a retry is sent twice",
    DrawsIds: "the message id is drawn anew for every attempt",
    IdsFromArrival: "a duplicate from the source gets an id of its own",
    HeaderNotSent: "a header is signed and not sent",
    BodyChangedAfterSigning: "the body is changed after it was signed",
    RetiredKey: "a process keeps signing with a key that was rotated away",
    StaleDate: "the date of the first attempt is sent with every retry",
    FollowsRedirects: "the dialler follows redirects",
    ChecksFirstAddressOnly: "the dialler checks the first address of a name and dials another",
    TimeoutIsSuccess: "a timeout counts as an answer of 200",
    ErrorIsSuccess: "every answer counts as success",
    RetriesForEver: "an attempt is never counted",
    RedriveDeletesFirst: "a redrive deletes the letter before it is back in the queue",
    EncodesTwice: "the sender encodes bodies in Base64 once more",
    MarksOnAsking: "the duplicate window marks an event when it is asked for it, before it was sent",
    SilenceIsKnown: "a duplicate window that gives no answer counts as one that knows every event",
    MisordersWindow: "the duplicate window answers for the ids in another order",
    CopiesGoOn: "what the duplicate window answers is not heeded",
    ArchiveForgets: "the archive answers Ok and keeps nothing",
    ArchiveSkips: "each page of the archive leaves out its first pack",
    ReplayForgetsRule: "a replay for one rule loses the rule on the way, and tells all",
    ReplayDrawsIds: "a replay gives its events new ids",
    ReplaySwallowsRest: "a replay sends the first pack of a page and answers Ok for all",
    OverlongGapForgotten: "a message with a delay above five minutes is dropped",
}
