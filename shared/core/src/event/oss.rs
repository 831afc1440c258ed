//! The OSS body: Base64 of `{"events":[{...}]}` (seed 000, 3.1), and its members.
//!
//! [`OssEvent`] is the typed form, written with the members in the seeds' order. [`OssBody`] is the form that travels:
//! the event's JSON text as it stands, with the place where the covering rule's name goes in. Match neither parses nor
//! copies members: it splices.

use super::json::{push_number, push_string};
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
    event: String,
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
        let event: &RawValue =
            serde_json::from_str(&self.event).map_err(serde::ser::Error::custom)?;
        Parts {
            at: self.at,
            len: self.event.len(),
            event,
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
                event: Box::<str>::from(parts.event).into(),
            })
        } else {
            OssBody::from_raw(&parts.event)
        }
    }
}

impl PartialEq for OssBody {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at && self.event == other.event
    }
}

impl Eq for OssBody {}

/// What is learnt of an event after it was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Completion {
    /// `deltaSize` of the object.
    pub delta_size: Option<i64>,
    /// Whether a later event of the object has been told of: `"stale":true` stands last in `object`. A member of ours;
    /// the seeds have no such thing, and readers of their form pass over members they do not know.
    pub stale: bool,
    /// Members for `xVars`.
    pub x_vars: BTreeMap<String, String>,
}

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

        // A reader of members takes an array of as many elements, too.
        if !event.get().starts_with('{') {
            return Err(NotAnOssEvent {
                reason: format!("it is {}, want an object", event.get()),
            });
        }
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
            event: event.get().to_owned(),
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

    /// Takes an event that a decoder wrote: a JSON object, whose `oss` member ends at `at` with its `}`, and has other
    /// members and no `ruleId`. The text is trusted: nothing looks at it again before it is published.
    ///
    /// # Panics
    /// When no `}` stands at `at`; in tests, when the text is no JSON.
    #[must_use]
    pub fn from_text(event: String, at: usize) -> Self {
        assert!(
            event.as_bytes().get(at) == Some(&b'}'),
            "the `oss` member ends at `at`"
        );
        debug_assert!(
            serde_json::from_str::<serde::de::IgnoredAny>(&event).is_ok(),
            "a decoder writes JSON: {event}"
        );
        OssBody { at, event }
    }

    /// The event with what was learnt of it since. Of an event that a decoder wrote, with `ossSchemaVersion` last in
    /// `oss`, without `deltaSize` when one is to be added, and without `xVars` likewise; any other is given back as it is.
    #[must_use]
    pub fn completed(&self, with: &Completion) -> Self {
        // Inside a JSON string each quote would have a backslash before it: neither text can stand in a value.
        const OBJECT: &str = r#""object":{"#;
        const AFTER: &str = r#"},"ossSchemaVersion":"1.0""#;
        let json = self.event.as_str();
        let object = json.find(OBJECT).map(|at| at + OBJECT.len());
        let end = self.at.checked_sub(AFTER.len());
        let (Some(object), Some(end)) = (object, end) else {
            return self.clone();
        };
        // An object without members is no decoder's.
        if json.get(end..self.at) != Some(AFTER) || object >= end {
            return self.clone();
        }
        let mut text = String::with_capacity(json.len() + 64);
        text.push_str(&json[..object]);
        if let Some(delta) = with.delta_size
            && !json[object..].starts_with(r#""deltaSize""#)
        {
            text.push_str(&format!(r#""deltaSize":{delta},"#));
        }
        text.push_str(&json[object..end]);
        if with.stale {
            text.push_str(r#","stale":true"#);
        }
        let at = text.len() + AFTER.len();
        let rest = &json[end..];
        let before_last = rest.len() - 1;
        text.push_str(&rest[..before_last]);
        if !with.x_vars.is_empty() && !rest.contains(r#","xVars":{"#) {
            let x_vars = serde_json::to_string(&with.x_vars).expect("its keys are texts");
            text.push_str(r#","xVars":"#);
            text.push_str(&x_vars);
        }
        text.push_str(&rest[before_last..]);
        OssBody::from_text(text, at)
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

    /// Adds the body as queue messages carry it: what its `Serialize` writes.
    pub(super) fn push(&self, json: &mut String) {
        let number = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        json.push_str(r#"{"at":"#);
        push_number(json, number(self.at));
        json.push_str(r#","len":"#);
        push_number(json, number(self.event.len()));
        json.push_str(r#","event":"#);
        json.push_str(&self.event);
        json.push('}');
    }

    /// The event's JSON, without `ruleId`.
    #[must_use]
    pub fn json(&self) -> &str {
        &self.event
    }

    /// `{"events":[{... "ruleId":"<rule>" ...}]}`, the decoded form.
    #[must_use]
    pub fn with_rule(&self, rule: &str) -> String {
        let (head, tail) = self.event.split_at(self.at);
        let mut text = String::with_capacity(self.event.len() + rule.len() + 32);
        text.push_str(r#"{"events":["#);
        text.push_str(head);
        if !head.trim_end().ends_with('{') {
            text.push(',');
        }
        text.push_str(r#""ruleId":"#);
        push_string(&mut text, rule);
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
        (self.event.len() + FRAME + rule_len).div_ceil(3) * 4
    }
}
