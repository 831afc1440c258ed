//! What arrived, by its shape. One readable place: the order of the tests is the order of the functions below.

use crate::decoder::{Decoder, SourceKind, Verdict, fits};
use crate::error::{DecodeError, MAX_DEPTH, MAX_RECORDS};
use crate::lenient::{Text, shorten};
use crate::source::{
    cloudtrail, envelope, eventbridge, mail, oss, recognition, s3_native, s3_scan, ses, vision,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use carillon_core::event::Product;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// The members by which bodies are told apart; each stays text until its source is known.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Shape<'a> {
    #[serde(borrow, rename = "Records")]
    records: Option<&'a RawValue>,
    #[serde(borrow, rename = "Event")]
    event: Option<&'a RawValue>,
    #[serde(borrow, rename = "detail-type")]
    detail_type: Option<&'a RawValue>,
    #[serde(borrow)]
    source: Option<&'a RawValue>,
    #[serde(borrow, rename = "Type")]
    sns_type: Option<&'a RawValue>,
    #[serde(borrow, rename = "TopicArn")]
    topic_arn: Option<&'a RawValue>,
    #[serde(borrow)]
    specversion: Option<&'a RawValue>,
    #[serde(borrow, rename = "eventType")]
    event_type: Option<&'a RawValue>,
    #[serde(borrow, rename = "notificationType")]
    notification_type: Option<&'a RawValue>,
    #[serde(borrow)]
    mail: Option<&'a RawValue>,
    #[serde(borrow, rename = "JobId")]
    notice_id: Option<&'a RawValue>,
    #[serde(borrow, rename = "Status")]
    notice_status: Option<&'a RawValue>,
    #[serde(borrow)]
    product: Option<&'a RawValue>,
    #[serde(borrow)]
    events: Option<&'a RawValue>,
    #[serde(borrow, rename = "eventName")]
    event_name: Option<&'a RawValue>,
    #[serde(borrow)]
    oss: Option<&'a RawValue>,
    #[serde(borrow, rename = "jobId")]
    job_id: Option<&'a RawValue>,
    #[serde(borrow, rename = "eventSource")]
    event_source: Option<&'a RawValue>,
    #[serde(borrow)]
    s3: Option<&'a RawValue>,
}

/// What an object is, by its members. The order is that of the tests: the surest signs first.
enum Is<'a> {
    TestEvent,
    Records(&'a RawValue),
    EventBridge,
    Sns,
    CloudEvent,
    Ses,
    Recognition,
    Own {
        product: &'a RawValue,
        events: Option<&'a RawValue>,
    },
    OssEvents(&'a RawValue),
    OssEvent,
    Job,
    S3Record,
    CloudTrail,
    Unknown,
}

impl<'a> Shape<'a> {
    fn is(&self) -> Is<'a> {
        if let Some(records) = self.records {
            Is::Records(records)
        } else if self
            .event
            .is_some_and(|event| event.get() == r#""s3:TestEvent""#)
        {
            Is::TestEvent
        } else if self.detail_type.is_some() && self.source.is_some() {
            Is::EventBridge
        } else if self.sns_type.is_some() && self.topic_arn.is_some() {
            Is::Sns
        } else if self.specversion.is_some() {
            Is::CloudEvent
        } else if (self.event_type.is_some() || self.notification_type.is_some())
            && self.mail.is_some()
        {
            Is::Ses
        } else if self.notice_id.is_some() && self.notice_status.is_some() {
            Is::Recognition
        } else if let Some(product) = self.product {
            Is::Own {
                product,
                events: self.events,
            }
        } else if let Some(events) = self.events {
            Is::OssEvents(events)
        } else if self.event_name.is_some() && self.oss.is_some() {
            Is::OssEvent
        } else if self.job_id.is_some() {
            Is::Job
        } else if self.s3.is_some() && self.event_name.is_some() {
            Is::S3Record
        } else if self.event_source.is_some() && self.event_name.is_some() {
            Is::CloudTrail
        } else {
            Is::Unknown
        }
    }
}

impl Decoder<'_> {
    /// Reads a text, whatever it is. `depth` counts the envelopes taken off.
    pub(crate) fn text(&mut self, text: &str, depth: usize) -> Result<(), DecodeError> {
        if depth > MAX_DEPTH {
            return Err(DecodeError::TooDeep);
        }
        let asked = self.asked_product()?;
        let trimmed = text.trim_start_matches('\u{feff}').trim();
        if trimmed.is_empty() {
            return Err(DecodeError::UnknownSource {
                saw: "the body is empty".into(),
            });
        }
        let object = trimmed.starts_with('{');
        match asked {
            Some(product @ Product::Own(_)) if object => self.own_object(text, &product, depth),
            Some(product @ Product::Own(_)) => {
                self.own_bare(text, &product);
                Ok(())
            }
            _ if object => self.object(trimmed, depth),
            asked => self.plain(trimmed, asked.as_ref(), depth),
        }
    }

    fn object(&mut self, text: &str, depth: usize) -> Result<(), DecodeError> {
        if s3_scan::decode(text, self).is_some() {
            return Ok(());
        }
        self.object_of_any_kind(text, depth)
    }

    fn object_of_any_kind(&mut self, text: &str, depth: usize) -> Result<(), DecodeError> {
        if self.s3_fast(text) {
            return Ok(());
        }
        let shape: Shape<'_> = serde_json::from_str(text)
            .map_err(|error| DecodeError::json::<Shape<'_>>("body", "", text, &error))?;
        match shape.is() {
            Is::Records(records) => self.records(records, depth)?,
            Is::TestEvent => {
                let why = "s3:TestEvent: S3 tries a new notification configuration";
                self.take(
                    SourceKind::S3,
                    Ok(Verdict::Ignored(why.into())),
                    String::new,
                );
            }
            Is::EventBridge => eventbridge::decode(text, self)?,
            Is::Sns => envelope::sns(text, self, depth)?,
            Is::CloudEvent => envelope::cloud_event(text, self, depth)?,
            Is::Ses => ses::decode(text, "", None, self)?,
            Is::Recognition => {
                let verdict = recognition::decode(text, self);
                self.take(SourceKind::Recognition, verdict, || text.to_owned());
            }
            Is::Own { product, events } => self.own(text, Some(product), events, None, depth)?,
            Is::OssEvents(events) => self.oss_events(events)?,
            Is::OssEvent => {
                let raw: &RawValue = serde_json::from_str(text)
                    .map_err(|error| DecodeError::syntax(text, &error))?;
                let verdict = oss::decode(raw, "", self);
                self.take(SourceKind::Oss, verdict, || text.to_owned());
            }
            Is::Job => {
                let verdict = vision::decode(text, self);
                self.take(SourceKind::Job, verdict, || text.to_owned());
            }
            // One of `Records`, taken out: pipes and functions between pass them on so.
            Is::S3Record => {
                let verdict = s3_native::decode(text, "", self);
                self.take(SourceKind::S3, verdict, || text.to_owned());
            }
            Is::CloudTrail => {
                let verdict = cloudtrail::decode(text, "", self);
                self.take(SourceKind::CloudTrail, verdict, || text.to_owned());
            }
            Is::Unknown => return Err(DecodeError::UnknownSource { saw: members(text) }),
        }
        Ok(())
    }

    /// The second fastest road for the commonest body: S3's own notification with escapes or metadata, read in one parse.
    /// Anything unusual, and the general road reads it again from the beginning.
    fn s3_fast(&mut self, text: &str) -> bool {
        if !text.contains("\"Records\"") {
            return false;
        }
        let Ok(body) = serde_json::from_str::<s3_native::Notification<'_>>(text) else {
            return false;
        };
        if body.records.0.is_empty() || !body.records.0.iter().all(s3_native::Record::is_s3) {
            return false;
        }
        let read = |record: &s3_native::Record<'_>| record.decode("", self).and_then(fits);
        let Ok(verdicts) = body
            .records
            .0
            .iter()
            .map(read)
            .collect::<Result<Vec<_>, _>>()
        else {
            return false;
        };
        for verdict in verdicts {
            self.take(SourceKind::S3, Ok(verdict), String::new);
        }
        true
    }

    /// `Records`, each judged by itself: one that cannot be read takes none of the others with it.
    fn records(&mut self, records: &RawValue, depth: usize) -> Result<(), DecodeError> {
        const KIND: &str = "notification";
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Signs<'a> {
            #[serde(borrow, rename = "eventSource", alias = "EventSource")]
            source: Text<'a>,
            #[serde(borrow)]
            s3: Option<&'a RawValue>,
            #[serde(borrow)]
            ses: Option<&'a RawValue>,
        }
        let records: Vec<&RawValue> = serde_json::from_str(records.get()).map_err(|_| {
            DecodeError::value(KIND, "Records", records.get(), "an array of records")
        })?;
        not_too_many(records.len())?;
        if records.is_empty() {
            self.out.ignored.push("`Records` is empty".into());
        }
        for (index, raw) in records.into_iter().enumerate() {
            if self.is_flooded() {
                break;
            }
            let text = raw.get();
            let place = format!("Records[{index}]");
            let alone = || format!("{{\"Records\":[{raw}]}}");
            let signs: Signs<'_> = match serde_json::from_str(text) {
                Ok(signs) => signs,
                Err(error) => {
                    let error = DecodeError::json::<Signs<'_>>(KIND, &place, text, &error);
                    self.refuse(error, alone());
                    continue;
                }
            };
            let source = signs.source.as_str();
            let result = match source {
                _ if s3_native::is_s3_source(source)
                    || (source.is_empty() && signs.s3.is_some()) =>
                {
                    let verdict = s3_native::decode(text, &place, self);
                    self.take(SourceKind::S3, verdict, alone);
                    Ok(())
                }
                "aws:sqs" => envelope::sqs_record(text, self, depth),
                "aws:sns" => envelope::sns_record(text, self, depth),
                _ if source.ends_with(".amazonaws.com") => {
                    let verdict = cloudtrail::decode(text, &place, self);
                    self.take(SourceKind::CloudTrail, verdict, alone);
                    Ok(())
                }
                _ if source == "aws:ses" || signs.ses.is_some() => {
                    let why = "mail that SES received: only what became of sent mail is an event"
                        .to_owned();
                    self.take(SourceKind::Ses, Ok(Verdict::Ignored(why)), alone);
                    Ok(())
                }
                _ => Err(DecodeError::UnknownSource {
                    saw: format!("{place} has eventSource {:?}", shorten(source, 64)),
                }),
            };
            if let Err(error) = result {
                self.refuse(error, alone());
            }
        }
        Ok(())
    }

    /// `events` of an OSS body: an array, or one object (seed 002's second sample).
    pub(crate) fn oss_events(&mut self, events: &RawValue) -> Result<(), DecodeError> {
        let elements = elements(oss::KIND, events)?;
        if elements.is_empty() {
            self.out.ignored.push("`events` is empty".into());
            self.out.kind = Some(SourceKind::Oss);
        }
        for (index, raw) in elements.into_iter().enumerate() {
            if self.is_flooded() {
                break;
            }
            let verdict = oss::decode(raw, &format!("events[{index}]"), self);
            self.take(SourceKind::Oss, verdict, || {
                format!("{{\"events\":[{raw}]}}")
            });
        }
        Ok(())
    }

    /// A text that is no JSON object.
    fn plain(
        &mut self,
        text: &str,
        asked: Option<&Product>,
        depth: usize,
    ) -> Result<(), DecodeError> {
        let mail_asked =
            asked == Some(&Product::Mail) || self.hint.source == Some(SourceKind::Mail);
        if mail_asked || mail::is_mail(text) {
            let verdict = mail::decode(text, self);
            self.take(SourceKind::Mail, verdict, || text.to_owned());
            return Ok(());
        }
        // SES publishes this sentence once to a topic that was set up.
        if text.starts_with("Successfully validated SNS topic") {
            let why = "SES tries a new topic".to_owned();
            self.take(SourceKind::Ses, Ok(Verdict::Ignored(why)), String::new);
            return Ok(());
        }
        if let Some(inner) = base64_text(text) {
            return self.text(&inner, depth + 1);
        }
        if text.starts_with('[') {
            return self.array(text, depth);
        }
        Err(DecodeError::UnknownSource {
            saw: format!("a text that begins {:?}", shorten(text, 40)),
        })
    }

    /// An array of bodies, each judged by itself.
    fn array(&mut self, text: &str, depth: usize) -> Result<(), DecodeError> {
        let bodies: Vec<&RawValue> =
            serde_json::from_str(text).map_err(|error| DecodeError::syntax(text, &error))?;
        if bodies.is_empty() {
            return Err(DecodeError::UnknownSource {
                saw: "an empty array".into(),
            });
        }
        not_too_many(bodies.len())?;
        for body in bodies {
            if self.is_flooded() {
                break;
            }
            if let Err(error) = self.text(body.get(), depth + 1) {
                self.refuse(error, body.get().to_owned());
            }
        }
        Ok(())
    }
}

/// The elements of `events`: an array, or one object (seed 002's second sample).
pub(crate) fn elements<'a>(
    kind: &'static str,
    events: &'a RawValue,
) -> Result<Vec<&'a RawValue>, DecodeError> {
    match events.get().as_bytes().first() {
        Some(b'[') => {
            let elements: Vec<&RawValue> = serde_json::from_str(events.get())
                .map_err(|error| DecodeError::syntax(events.get(), &error))?;
            not_too_many(elements.len())?;
            Ok(elements)
        }
        Some(b'{') => Ok(vec![events]),
        _ => Err(DecodeError::value(
            kind,
            "events",
            events.get(),
            "an array of events",
        )),
    }
}

/// Each record costs memory, refused ones too.
fn not_too_many(count: usize) -> Result<(), DecodeError> {
    if count <= MAX_RECORDS {
        return Ok(());
    }
    Err(DecodeError::TooMany { count })
}

/// The text inside Base64, when `text` is Base64 of UTF-8 that is an object. Line breaks inside are passed over, as
/// MIME encoders set them.
fn base64_text(text: &str) -> Option<String> {
    let compact: String;
    let text = if text.bytes().any(|byte| byte.is_ascii_whitespace()) {
        compact = text.split_ascii_whitespace().collect();
        &compact
    } else {
        text
    };
    let inner = String::from_utf8(BASE64.decode(text).ok()?).ok()?;
    inner
        .trim_start_matches('\u{feff}')
        .trim_start()
        .starts_with('{')
        .then_some(inner)
}

/// The first members of an object.
struct Names(Vec<String>);

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NamesVisitor;

        impl<'de> serde::de::Visitor<'de> for NamesVisitor {
            type Value = Names;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Names, A::Error> {
                let mut names = Vec::new();
                while let Some((name, IgnoredAny)) = map.next_entry::<Cow<'_, str>, _>()? {
                    if names.len() < 8 {
                        names.push(format!("`{}`", shorten(&name, 40)));
                    }
                }
                Ok(Names(names))
            }
        }

        deserializer.deserialize_map(NamesVisitor)
    }
}

/// The members of an object, for the error that says what was seen. However many there are, a few are kept.
fn members(text: &str) -> String {
    let names = serde_json::from_str::<Names>(text).map_or(Vec::new(), |names| names.0);
    if names.is_empty() {
        "an object without members".into()
    } else {
        format!("an object with members {}", names.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decoder::{Decoded, Hint};
    use crate::settings::Settings;

    /// The fast road is an optimisation that nothing else would miss.
    #[test]
    fn s3_s_own_notification_takes_the_fast_road() {
        let body = include_str!("../../../events/ingest/bodies/s3-object-created-put.json");
        let (hint, settings) = (Hint::default(), Settings::default());
        let mut decoder = Decoder::new(&hint, &settings);
        assert!(decoder.s3_fast(body));
        assert_eq!(decoder.out.events.len(), 1);
        let mut scanning = Decoder::new(&hint, &settings);
        assert!(s3_scan::decode(body, &mut scanning).is_some());
        assert_eq!(scanning.out, decoder.out);
        let mut scanning = Decoder::new(&hint, &settings);
        assert!(s3_scan::decode(&body.replace("2.1", "3.1"), &mut scanning).is_none());
        assert_eq!(scanning.out, Decoded::default());
        let mut decoder = Decoder::new(&hint, &settings);
        assert!(!decoder.s3_fast(&body.replace("2.1", "3.1")));
        assert!(decoder.out.events.is_empty());
    }

    /// Whatever the fast road takes, the others read alike: the samples, and the samples with bytes changed.
    #[test]
    fn the_fast_road_reads_what_the_others_read() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../events/ingest/bodies");
        let (hint, settings) = (Hint::default(), Settings::default());
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut draw = |below: usize| {
            // xorshift64*: which bytes change does not matter, only that many do.
            state ^= state >> 12;
            state ^= state << 25;
            state ^= state >> 27;
            (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % below
        };
        let (mut taken, mut tried) = (0, 0);
        for entry in std::fs::read_dir(folder).unwrap() {
            let sample = std::fs::read_to_string(entry.unwrap().path()).unwrap();
            if !sample.contains("\"Records\"") {
                continue;
            }
            // On the wire there are no blanks; texts here have none that matter.
            let sample: String = sample.split_inclusive('\n').map(str::trim).collect();
            for round in 0..400 {
                let mut bytes = sample.clone().into_bytes();
                for _ in 0..round % 4 {
                    let at = draw(bytes.len());
                    match draw(4) {
                        0 => bytes[at] = b"\"\\{}[],:0aA9 -.enu\x1f"[draw(19)],
                        1 => drop(bytes.remove(at)),
                        2 => bytes.insert(at, b"\"\\{}[],:0"[draw(9)]),
                        _ => {
                            let end = (at + draw(40)).min(bytes.len());
                            let piece = bytes[at..end].to_vec();
                            let to = draw(bytes.len());
                            bytes.splice(to..to, piece);
                        }
                    }
                }
                let Ok(text) = String::from_utf8(bytes) else {
                    continue;
                };
                tried += 1;
                let mut fast = Decoder::new(&hint, &settings);
                if s3_scan::decode(&text, &mut fast).is_none() {
                    assert_eq!(fast.out, Decoded::default(), "{text}");
                    continue;
                }
                taken += 1;
                let mut slow = Decoder::new(&hint, &settings);
                slow.object_of_any_kind(&text, 0).unwrap();
                assert_eq!(fast.out, slow.out, "{text}");
            }
        }
        assert!(taken > 1_000 && tried > taken + 1_000, "{taken} of {tried}");
    }
}
