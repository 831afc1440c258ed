//! What arrived, by its shape. One readable place: the order of the tests is the order of the functions below.

use crate::decoder::{Decoder, SourceKind, Verdict, fits};
use crate::error::{DecodeError, MAX_DEPTH};
use crate::lenient::{Text, shorten};
use crate::source::{oss, s3_native};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use serde_json::value::RawValue;

/// The members by which bodies are told apart; each stays text until its source is known.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Shape<'a> {
    #[serde(borrow, rename = "Records")]
    records: Option<&'a RawValue>,
    #[serde(borrow, rename = "Event")]
    event: Option<&'a RawValue>,
    #[serde(borrow)]
    events: Option<&'a RawValue>,
    #[serde(borrow, rename = "eventName")]
    event_name: Option<&'a RawValue>,
    #[serde(borrow)]
    oss: Option<&'a RawValue>,
}

impl Decoder<'_> {
    /// Reads a text, whatever it is. `depth` counts the envelopes taken off.
    pub(crate) fn text(&mut self, text: &str, depth: usize) -> Result<(), DecodeError> {
        if depth > MAX_DEPTH {
            return Err(DecodeError::TooDeep);
        }
        let text = text.trim_start_matches('\u{feff}').trim();
        match text.as_bytes().first() {
            Some(b'{') => self.object(text, depth),
            _ => self.plain(text, depth),
        }
    }

    fn object(&mut self, text: &str, _depth: usize) -> Result<(), DecodeError> {
        if self.s3_fast(text) {
            return Ok(());
        }
        let shape: Shape<'_> = serde_json::from_str(text)
            .map_err(|error| DecodeError::json::<Shape<'_>>("body", "", text, &error))?;
        if let Some(event) = shape.event
            && shape.records.is_none()
            && event.get() == r#""s3:TestEvent""#
        {
            self.take(
                SourceKind::S3,
                Ok(Verdict::Ignored(
                    "s3:TestEvent: S3 tries a new notification configuration".into(),
                )),
                String::new,
            );
            return Ok(());
        }
        if let Some(records) = shape.records {
            return self.records(records);
        }
        if let Some(events) = shape.events {
            return self.oss_events(events);
        }
        if shape.event_name.is_some() && shape.oss.is_some() {
            let raw: &RawValue =
                serde_json::from_str(text).map_err(|error| DecodeError::syntax(text, &error))?;
            let verdict = oss::decode(raw, "event", self);
            self.take(SourceKind::Oss, verdict, || text.to_owned());
            return Ok(());
        }
        Err(DecodeError::UnknownSource { saw: members(text) })
    }

    /// The fast road for the commonest body: S3's own notification, read in one parse. Anything unusual, and the
    /// general road reads it again from the beginning.
    fn s3_fast(&mut self, text: &str) -> bool {
        if !text.contains("\"Records\"") {
            return false;
        }
        let Ok(body) = serde_json::from_str::<s3_native::Notification<'_>>(text) else {
            return false;
        };
        if body.records.is_empty() || !body.records.iter().all(s3_native::Record::is_s3) {
            return false;
        }
        let read = |record: &s3_native::Record<'_>| record.decode(self).and_then(fits);
        let Ok(verdicts) = body.records.iter().map(read).collect::<Result<Vec<_>, _>>() else {
            return false;
        };
        for verdict in verdicts {
            self.take(SourceKind::S3, Ok(verdict), String::new);
        }
        true
    }

    /// `Records`, each judged by itself: one that cannot be read takes none of the others with it.
    fn records(&mut self, records: &RawValue) -> Result<(), DecodeError> {
        #[derive(Deserialize)]
        struct Source<'a> {
            #[serde(borrow, default, rename = "eventSource", alias = "EventSource")]
            source: Text<'a>,
        }
        let records: Vec<&RawValue> = serde_json::from_str(records.get()).map_err(|_| {
            DecodeError::value(
                "notification",
                "Records",
                records.get(),
                "an array of records",
            )
        })?;
        if records.is_empty() {
            self.out.ignored.push("`Records` is empty".into());
            return Ok(());
        }
        for (index, raw) in records.into_iter().enumerate() {
            let alone = || format!("{{\"Records\":[{raw}]}}");
            let place = format!("Records[{index}]");
            let source: Result<Source<'_>, _> = serde_json::from_str(raw.get());
            match source {
                Ok(source) if s3_native::is_s3_source(source.source.as_str()) => {
                    let verdict = serde_json::from_str::<s3_native::Record<'_>>(raw.get())
                        .map_err(|error| {
                            DecodeError::json::<s3_native::Record<'_>>(
                                s3_native::KIND,
                                &place,
                                raw.get(),
                                &error,
                            )
                        })
                        .and_then(|record| record.decode(self));
                    self.take(SourceKind::S3, verdict, alone);
                }
                Ok(source) => {
                    let saw = format!(
                        "{place} has eventSource {:?}",
                        shorten(source.source.as_str(), 64)
                    );
                    self.take(
                        SourceKind::S3,
                        Err(DecodeError::UnknownSource { saw }),
                        alone,
                    );
                }
                Err(error) => {
                    let error =
                        DecodeError::json::<Source<'_>>("notification", &place, raw.get(), &error);
                    self.take(SourceKind::S3, Err(error), alone);
                }
            }
        }
        Ok(())
    }

    /// `events` of an OSS body: an array, or one object (seed 002's second sample).
    fn oss_events(&mut self, events: &RawValue) -> Result<(), DecodeError> {
        let elements: Vec<&RawValue> = match events.get().as_bytes().first() {
            Some(b'[') => serde_json::from_str(events.get())
                .map_err(|error| DecodeError::syntax(events.get(), &error))?,
            Some(b'{') => vec![events],
            _ => {
                return Err(DecodeError::value(
                    oss::KIND,
                    "events",
                    events.get(),
                    "an array of events",
                ));
            }
        };
        if elements.is_empty() {
            self.out.ignored.push("`events` is empty".into());
            self.out.kind = Some(SourceKind::Oss);
        }
        for (index, raw) in elements.into_iter().enumerate() {
            let verdict = oss::decode(raw, &format!("events[{index}]"), self);
            self.take(SourceKind::Oss, verdict, || {
                format!("{{\"events\":[{raw}]}}")
            });
        }
        Ok(())
    }

    /// A text that is no JSON object.
    fn plain(&mut self, text: &str, depth: usize) -> Result<(), DecodeError> {
        if text.is_empty() {
            return Err(DecodeError::UnknownSource {
                saw: "the body is empty".into(),
            });
        }
        if let Some(inner) = base64_text(text) {
            return self.text(&inner, depth + 1);
        }
        Err(DecodeError::UnknownSource {
            saw: format!("a text that begins {:?}", shorten(text, 40)),
        })
    }
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

/// The members of an object, for the error that says what was seen.
fn members(text: &str) -> String {
    let names: Vec<String> =
        serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text)
            .map(|object| {
                object
                    .keys()
                    .take(8)
                    .map(|name| format!("`{}`", shorten(name, 40)))
                    .collect()
            })
            .unwrap_or_default();
    if names.is_empty() {
        "an object without members".into()
    } else {
        format!("an object with members {}", names.join(", "))
    }
}
