//! What goes in beside the body, and what comes out.

use crate::error::{DecodeError, MAX_RESULTS};
use crate::settings::Settings;
use crate::storage::Facts;
use carillon_core::envelope::MAX_MESSAGE;
use carillon_core::event::{Body, Event, Product, Timestamp};
use carillon_core::rule::RuleName;
use std::fmt;
use std::str::FromStr;

/// What is known of a body besides its text. `Hint::default()` knows nothing: the body speaks for itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hint {
    /// `x-carillon-product`: `oss`, `dm`, `viapi` or a product of the user's own. A body that turns out to be of
    /// another product is refused.
    pub product: Option<String>,
    /// Headers that came with the body, names in lower case: CloudEvents in binary form say who and what by `ce-...`;
    /// `x-carillon-event-type` and `x-carillon-resource` name what a bare body of an own product does not.
    pub headers: Vec<(String, String)>,
    /// The shape to read the body as, instead of finding out (`--source`).
    pub source: Option<SourceKind>,
    /// When the body arrived: the time of events that do not say.
    pub received: Timestamp,
}

impl Hint {
    /// The value of a header, if it is there and not empty.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(have, _)| have.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
            .filter(|value| !value.is_empty())
    }
}

/// What came of a body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decoded {
    /// The events, in the body's order.
    pub events: Vec<Event>,
    /// What was understood and tells nobody anything, each with its reason: `s3:TestEvent`, a job still running, a
    /// failed operation.
    pub ignored: Vec<String>,
    /// Records that cannot be read, beside others that can. A body of which nothing can be read is an error instead.
    pub refused: Vec<Refused>,
    /// What the body was, envelopes taken off; of several, the last.
    pub kind: Option<SourceKind>,
    /// Of those events that a setting wants to complete, by their place in `events`, ascending.
    pub(crate) facts: Vec<(usize, Facts)>,
}

/// One record that cannot be read, in a body whose other records can.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// A body with this record alone, fit to be sent again once its fault is mended.
    pub body: String,
    /// Why.
    pub reason: DecodeError,
}

impl Decoded {
    /// For a publisher who is there to be told: the events, or the reason why one of them cannot be read.
    ///
    /// # Errors
    /// The first refused record's reason.
    pub fn all_or_nothing(mut self) -> Result<Self, DecodeError> {
        if self.refused.is_empty() {
            Ok(self)
        } else {
            Err(self.refused.swap_remove(0).reason)
        }
    }
}

macro_rules! source_kinds {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal,)+) => {
        /// What a body can be.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum SourceKind {
            $($(#[doc = $doc])+ $name,)+
        }

        impl SourceKind {
            /// All kinds, in the order of the documentation.
            pub const ALL: &[SourceKind] = &[$(SourceKind::$name,)+];

            /// The name, as `--source` takes it.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(SourceKind::$name => $text,)+
                }
            }
        }
    };
}

source_kinds! {
    /// S3's own notification, or that of MinIO or Ceph RGW: `Records` with an `eventSource` that ends in `:s3`.
    S3 = "s3",
    /// An EventBridge event from S3.
    EventBridgeS3 = "eventbridge-s3",
    /// A CloudTrail record of S3, in EventBridge or bare.
    CloudTrail = "cloudtrail",
    /// An OSS body (seed 000, 3.1).
    Oss = "oss",
    /// Mail text (seed 000, 2).
    Mail = "mail",
    /// A notification or an event of Amazon SES.
    Ses = "ses",
    /// A job result in the seeds' form (seed 000, 4.1).
    Job = "job",
    /// Completion of a Rekognition Video or Textract job.
    Recognition = "recognition",
    /// A MediaConvert job's change of state.
    MediaConvert = "mediaconvert",
    /// A Transcribe job's change of state.
    Transcribe = "transcribe",
    /// A Bedrock Data Automation job's change of state.
    Bedrock = "bedrock",
    /// An event of a product of the user's own.
    Own = "own",
}

impl fmt::Display for SourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for SourceKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        SourceKind::ALL
            .iter()
            .copied()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| {
                let known: Vec<&str> = SourceKind::ALL.iter().map(|kind| kind.as_str()).collect();
                format!(
                    "there is no source {text:?}: give one of {}",
                    known.join(", ")
                )
            })
    }
}

/// What one record turned out to be.
#[derive(Debug)]
pub(crate) enum Verdict {
    Event(Box<Event>),
    /// An event that a setting wants to complete.
    Incomplete(Box<(Event, Facts)>),
    Ignored(String),
}

impl Verdict {
    fn event(&self) -> Option<&Event> {
        match self {
            Verdict::Event(event) => Some(event),
            Verdict::Incomplete(incomplete) => Some(&incomplete.0),
            Verdict::Ignored(_) => None,
        }
    }
}

/// One decoding under way.
pub(crate) struct Decoder<'a> {
    pub(crate) hint: &'a Hint,
    pub(crate) settings: &'a Settings,
    pub(crate) context: Context,
    pub(crate) out: Decoded,
    /// Bytes that the results take, near enough.
    pub(crate) weight: usize,
}

/// What the envelopes that were taken off said, for bodies that do not say it themselves.
#[derive(Default)]
pub(crate) struct Context {
    /// Region of the SNS topic.
    pub(crate) region: Option<String>,
    /// Attributes of a CloudEvent in structured form, named as its headers would be in binary form.
    pub(crate) attributes: Vec<(&'static str, String)>,
}

impl<'a> Decoder<'a> {
    pub(crate) fn new(hint: &'a Hint, settings: &'a Settings) -> Self {
        Decoder {
            hint,
            settings,
            context: Context::default(),
            out: Decoded::default(),
            weight: 0,
        }
    }

    /// What a header says, or the envelope's attribute of that name.
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.context
            .attributes
            .iter()
            .find(|(have, _)| *have == name)
            .map(|(_, value)| value.as_str())
            .or_else(|| self.hint.header(name))
    }

    pub(crate) fn event_type_of_headers(&self) -> Option<&str> {
        self.attribute("x-carillon-event-type")
            .or_else(|| self.attribute("ce-type"))
    }

    pub(crate) fn time_of_headers(&self) -> Option<Timestamp> {
        self.attribute("ce-time")
            .and_then(|time| Timestamp::parse(time).ok())
    }

    /// The product that `x-carillon-product` asks for.
    pub(crate) fn asked_product(&self) -> Result<Option<Product>, DecodeError> {
        self.hint
            .product
            .as_deref()
            .map(str::trim)
            .filter(|name| !name.is_empty())
            .map(|name| {
                Product::parse(name).map_err(|error| {
                    DecodeError::value("headers", "x-carillon-product", &error.value, error.want)
                })
            })
            .transpose()
    }

    /// An event must be of the product, and a body of the shape, that was asked for.
    fn as_asked(&self, kind: SourceKind, verdict: Verdict) -> Result<Verdict, DecodeError> {
        if let Some(asked) = self.hint.source
            && asked != kind
        {
            return Err(DecodeError::Unfit(format!(
                "the body is of source `{kind}`, and `{asked}` was asked for: leave --source out, or name `{kind}`"
            )));
        }
        if let Some(event) = verdict.event()
            && let Some(asked) = self.hint.product.as_deref().map(str::trim)
            && !asked.is_empty()
            && asked != event.product.as_str()
        {
            return Err(DecodeError::Unfit(format!(
                "the body is an event of product `{}` (source `{kind}`), and x-carillon-product says {asked:?}: send it \
                 without that header, or name `{}`",
                event.product, event.product
            )));
        }
        Ok(verdict)
    }

    /// Takes in what a source made of one record; `body` gives a body with that record alone, should it be refused.
    pub(crate) fn take(
        &mut self,
        kind: SourceKind,
        verdict: Result<Verdict, DecodeError>,
        body: impl FnOnce() -> String,
    ) {
        self.out.kind = Some(kind);
        // A body that unfolds without measure (one long answer told of thousands of recipients) is refused as a whole.
        if self.is_flooded() {
            return;
        }
        match verdict
            .and_then(|verdict| self.as_asked(kind, verdict))
            .and_then(fits)
        {
            Ok(Verdict::Event(event)) => {
                self.weight += weight(&event);
                self.out.events.push(*event);
            }
            Ok(Verdict::Incomplete(incomplete)) => {
                let (event, facts) = *incomplete;
                self.weight += 2 * weight(&event);
                self.out.facts.push((self.out.events.len(), facts));
                self.out.events.push(event);
            }
            Ok(Verdict::Ignored(why)) => {
                self.weight += LEAST + why.len();
                self.out.ignored.push(why);
            }
            Err(reason) => self.refuse(reason, body()),
        }
    }

    /// Puts a record aside that no source could read.
    pub(crate) fn refuse(&mut self, reason: DecodeError, body: String) {
        if self.is_flooded() {
            return;
        }
        self.weight += LEAST + body.len();
        self.out.refused.push(Refused { body, reason });
    }

    /// Whether the results are more than one body may give.
    pub(crate) fn is_flooded(&self) -> bool {
        self.weight > MAX_RESULTS
    }

    /// Ends the decoding: a body of which nothing at all could be read is refused as a whole.
    pub(crate) fn finish(self) -> Result<Decoded, DecodeError> {
        if self.is_flooded() {
            return Err(DecodeError::TooMuch);
        }
        let mut out = self.out;
        if !out.events.is_empty() || !out.ignored.is_empty() || out.refused.is_empty() {
            return Ok(out);
        }
        let more = out.refused.len() - 1;
        let first = out.refused.swap_remove(0).reason;
        Err(match more {
            0 => first,
            more => DecodeError::AllRefused {
                first: Box::new(first),
                more,
            },
        })
    }
}

/// What every result takes besides its texts.
const LEAST: usize = 256;

fn weight(event: &Event) -> usize {
    LEAST + event.resource.len() + event.body.published_len(0)
}

/// Whether the published form, with the longest rule name there can be, fits a message.
pub(crate) fn is_small_enough(body: &Body) -> bool {
    body.published_len(RuleName::MAX_LEN) <= MAX_MESSAGE
}

/// Refuses an event whose published form, with the longest rule name there can be, would not fit a message.
pub(crate) fn fits(verdict: Verdict) -> Result<Verdict, DecodeError> {
    let Some(event) = verdict.event() else {
        return Ok(verdict);
    };
    if is_small_enough(&event.body) {
        return Ok(verdict);
    }
    let len = event.body.published_len(RuleName::MAX_LEN);
    Err(DecodeError::TooLarge {
        event_type: event.event_type.to_string(),
        resource: crate::lenient::shorten(&event.resource, 128),
        len,
        limit: MAX_MESSAGE,
    })
}
