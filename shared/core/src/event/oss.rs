//! The OSS body: Base64 of `{"events":[{...}]}` (seed 000, 3.1), and its members.
//!
//! [`OssEvent`] is the typed form, written with the members in the seeds' order. [`OssBody`] is the form that travels:
//! the event's JSON text as it stands, with the place where the covering rule's name goes in. Match neither parses nor
//! copies members: it splices.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// `eventSource` of every OSS event (seed 000, 3.1).
pub const EVENT_SOURCE: &str = "acs:oss";
/// `eventVersion` (seed 000, 3.1).
pub const EVENT_VERSION: &str = "1.0";
/// `ossSchemaVersion` (seed 000, 3.1).
pub const SCHEMA_VERSION: &str = "1.0";

/// One element of the seeds' `events` array. Reading is tolerant: every member may be missing, unknown ones are passed
/// over. Writing leaves out what is not known, rather than inventing it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OssEvent {
    /// Event type, `Group:Name`.
    pub event_name: String,
    /// Always [`EVENT_SOURCE`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_source: Option<String>,
    /// ISO 8601, milliseconds, `Z`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_time: Option<String>,
    /// [`EVENT_VERSION`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_version: Option<String>,
    /// Bucket, object, schema version, rule.
    pub oss: Oss,
    /// Region of the bucket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Of the request that caused the event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_parameters: Option<RequestParameters>,
    /// Of the answer to that request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_elements: Option<ResponseElements>,
    /// Who made the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_identity: Option<UserIdentity>,
    /// Custom parameters of OSS Callback; the member is absent when there are none.
    #[serde(rename = "xVars", skip_serializing_if = "Option::is_none")]
    pub x_vars: Option<BTreeMap<String, String>>,
}

/// The `oss` member.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Oss {
    /// The bucket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bucket: Option<Bucket>,
    /// The object; absent on bucket-level events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<Object>,
    /// [`SCHEMA_VERSION`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oss_schema_version: Option<String>,
    /// Name of the rule that covers the event; written by match, ignored on the way in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule_id: Option<String>,
}

/// The `bucket` member.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Bucket {
    /// `acs:oss:region:uid:bucket`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arn: Option<String>,
    /// Name of the bucket.
    pub name: String,
    /// Account id of its owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner_identity: Option<String>,
}

/// The `object` member.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Object {
    /// Change of size in bytes; negative when an overwrite shrank the object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delta_size: Option<i64>,
    /// The store's own value, without quotes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub e_tag: Option<String>,
    /// The object's name.
    pub key: String,
    /// `ObjectCreated:AppendObject` only: where the append began, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<i64>,
    /// `ObjectDownloaded:GetObject` only: first byte read, 0 without a Range.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_from: Option<i64>,
    /// `ObjectDownloaded:GetObject` only: last byte read plus one; the size without a Range.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_to: Option<i64>,
    /// Size in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<i64>,
}

/// The `requestParameters` member. The schema of seed 000 once spells it `sourceIpAddress`; every sample says
/// `sourceIPAddress`, so that is what is written, and both are read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RequestParameters {
    /// Where the request came from.
    #[serde(rename = "sourceIPAddress", alias = "sourceIpAddress")]
    pub source_ip_address: String,
}

/// The `responseElements` member.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ResponseElements {
    /// Id of the request, as the caller saw it.
    pub request_id: String,
}

/// The `userIdentity` member.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UserIdentity {
    /// Account id of the requester.
    pub principal_id: String,
}

impl OssEvent {
    /// The resource that rules are matched against: `bucket/key`, `bucket` for a bucket-level event, empty when the
    /// event names no bucket.
    #[must_use]
    pub fn resource(&self) -> String {
        let bucket = self
            .oss
            .bucket
            .as_ref()
            .map_or("", |bucket| bucket.name.as_str());
        match &self.oss.object {
            Some(object) if !bucket.is_empty() => format!("{bucket}/{}", object.key),
            _ => bucket.to_owned(),
        }
    }
}

/// An OSS event as JSON text, with the place of `ruleId`.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "OssBodyParts")]
pub struct OssBody {
    /// Offset of the `}` that ends the `oss` member: `ruleId` is spliced in before it, so it stands last, as in the
    /// seeds.
    at: usize,
    /// The event, without `ruleId`.
    event: Box<RawValue>,
}

/// [`OssBody`] as queue messages carry it.
#[derive(Deserialize)]
struct OssBodyParts {
    /// The place, and the length of the text it was found in. A message that somebody laid out anew (a sample edited by
    /// hand) has another length; then the place is looked for again.
    #[serde(default)]
    at: usize,
    #[serde(default)]
    len: usize,
    event: Box<RawValue>,
}

impl Serialize for OssBody {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Parts<'a> {
            at: usize,
            len: usize,
            event: &'a RawValue,
        }
        let len = self.event.get().len();
        Parts {
            at: self.at,
            len,
            event: &self.event,
        }
        .serialize(serializer)
    }
}

impl TryFrom<OssBodyParts> for OssBody {
    type Error = NotAnOssEvent;

    fn try_from(parts: OssBodyParts) -> Result<Self, Self::Error> {
        let text = parts.event.get().as_bytes();
        if parts.len == text.len() && text.get(parts.at) == Some(&b'}') {
            Ok(OssBody {
                at: parts.at,
                event: parts.event,
            })
        } else {
            OssBody::from_raw(&parts.event)
        }
    }
}

impl PartialEq for OssBody {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at && self.event.get() == other.event.get()
    }
}

impl Eq for OssBody {}

/// The text is no OSS event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an OSS event: {reason}")]
pub struct NotAnOssEvent {
    /// What is wrong with it.
    pub reason: String,
}

impl OssBody {
    /// Takes one element of an `events` array as its publisher wrote it. Members, their order and their spelling are
    /// kept; a `ruleId` already there is dropped.
    ///
    /// # Errors
    /// [`NotAnOssEvent`] when it is no JSON object, or its `oss` member is no object.
    pub fn from_raw(event: &RawValue) -> Result<Self, NotAnOssEvent> {
        #[derive(Deserialize)]
        struct Probe<'a> {
            #[serde(borrow)]
            oss: Option<&'a RawValue>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct RuleProbe<'a> {
            #[serde(borrow)]
            rule_id: Option<&'a RawValue>,
        }
        let wrong = |error: serde_json::Error| NotAnOssEvent {
            reason: error.to_string(),
        };

        let probe: Probe<'_> = serde_json::from_str(event.get()).map_err(wrong)?;
        let Some(oss) = probe.oss else {
            return Self::rebuilt(event);
        };
        if !oss.get().starts_with('{') {
            return Err(NotAnOssEvent {
                reason: format!("member `oss` is {}, want an object", oss.get()),
            });
        }
        let rule: RuleProbe<'_> = serde_json::from_str(oss.get()).map_err(wrong)?;
        if rule.rule_id.is_some() {
            return Self::rebuilt(event);
        }
        // `oss` borrows from `event`: the distance of their first bytes is its offset.
        let start = oss.get().as_ptr() as usize - event.get().as_ptr() as usize;
        Ok(OssBody {
            at: start + oss.get().len() - 1,
            event: event.to_owned(),
        })
    }

    /// The slow path: the event has no `oss` member, or one with a `ruleId`. Rewrites it.
    fn rebuilt(event: &RawValue) -> Result<Self, NotAnOssEvent> {
        let wrong = |error: serde_json::Error| NotAnOssEvent {
            reason: error.to_string(),
        };
        let mut members: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(event.get()).map_err(wrong)?;
        let mut oss = match members.get_mut("oss").map(serde_json::Value::take) {
            None | Some(serde_json::Value::Null) => serde_json::Map::new(),
            Some(serde_json::Value::Object(oss)) => oss,
            Some(other) => {
                return Err(NotAnOssEvent {
                    reason: format!("member `oss` is {other}, want an object"),
                });
            }
        };
        oss.shift_remove("ruleId");
        if oss.is_empty() {
            oss.insert("ossSchemaVersion".into(), SCHEMA_VERSION.into());
        }
        members.insert("oss".into(), oss.into());
        let text = serde_json::to_string(&members).map_err(wrong)?;
        Self::from_raw(&RawValue::from_string(text).map_err(wrong)?)
    }

    /// Writes an event that a decoder made, in one pass: no second parse finds the place of `ruleId` when the `oss`
    /// member ends with `ossSchemaVersion`, as the seeds have it, and nothing but strings stands before it.
    ///
    /// # Errors
    /// [`NotAnOssEvent`] when `event` is not written as an object, or its `oss` member is no object.
    pub fn from_written<T: Serialize>(event: &T) -> Result<Self, NotAnOssEvent> {
        // Inside a JSON string each quote would have a backslash before it, so the text cannot stand in a value; the
        // first one is that of `oss`.
        const END: &str = r#""ossSchemaVersion":"1.0"}"#;
        let event = serde_json::value::to_raw_value(event).map_err(|error| NotAnOssEvent {
            reason: error.to_string(),
        })?;
        match event.get().find(END) {
            Some(start) => Ok(OssBody {
                at: start + END.len() - 1,
                event,
            }),
            None => Self::from_raw(&event),
        }
    }

    /// Writes a typed event; its `rule_id` is left out.
    #[must_use]
    pub fn from_event(event: &OssEvent) -> Self {
        let write = |event: &OssEvent| {
            serde_json::value::to_raw_value(event)
                .expect("an OssEvent has only string keys and finite numbers")
        };
        let event = if event.oss.rule_id.is_some() {
            let mut nameless = event.clone();
            nameless.oss.rule_id = None;
            write(&nameless)
        } else {
            write(event)
        };
        Self::from_raw(&event).expect("an OssEvent always writes its `oss` member as an object")
    }

    /// The event's JSON, without `ruleId`.
    #[must_use]
    pub fn json(&self) -> &str {
        self.event.get()
    }

    /// `{"events":[{... "ruleId":"<rule>" ...}]}`, the decoded form.
    #[must_use]
    pub fn with_rule(&self, rule: &str) -> String {
        let json = self.event.get();
        let (head, tail) = json.split_at(self.at);
        let mut text = String::with_capacity(json.len() + rule.len() + 32);
        text.push_str(r#"{"events":["#);
        text.push_str(head);
        if !head.trim_end().ends_with('{') {
            text.push(',');
        }
        text.push_str(r#""ruleId":"#);
        text.push_str(&serde_json::Value::from(rule).to_string());
        text.push_str(tail);
        text.push_str("]}");
        text
    }

    /// The published form: Base64 of [`with_rule`](Self::with_rule).
    #[must_use]
    pub fn publish(&self, rule: &str) -> String {
        BASE64.encode(self.with_rule(rule))
    }

    /// Upper bound, exact for ordinary rule names, of the bytes that [`publish`](Self::publish) gives.
    #[must_use]
    pub fn published_len(&self, rule_len: usize) -> usize {
        const FRAME: usize = r#"{"events":[]},"ruleId":"""#.len();
        (self.event.get().len() + FRAME + rule_len).div_ceil(3) * 4
    }
}
