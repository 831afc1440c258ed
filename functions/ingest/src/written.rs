//! The event as it is written: the members in the seeds' order (seed 000, 3.1), in one pass into one buffer.

use carillon_core::event::OssBody;
use carillon_core::event::json::{push_number, push_string, push_text};
use carillon_core::event::oss::{EVENT_SOURCE, EVENT_VERSION, SCHEMA_VERSION};
use std::collections::BTreeMap;

/// What is written; what is `None` is left out.
pub(crate) struct Written<'a> {
    pub(crate) event_name: &'a str,
    pub(crate) event_time: Option<&'a str>,
    pub(crate) region: &'a str,
    /// Account of the bucket's owner.
    pub(crate) owner: &'a str,
    /// Empty: the event names no bucket.
    pub(crate) bucket: &'a str,
    pub(crate) object: Option<WrittenObject<'a>>,
    pub(crate) source_ip: Option<&'a str>,
    pub(crate) request_id: Option<&'a str>,
    pub(crate) principal: Option<&'a str>,
    pub(crate) x_vars: &'a BTreeMap<String, String>,
}

/// The `object` member.
pub(crate) struct WrittenObject<'a> {
    pub(crate) delta_size: Option<i64>,
    pub(crate) e_tag: Option<&'a str>,
    pub(crate) key: &'a str,
    pub(crate) position: Option<i64>,
    pub(crate) read_from: Option<i64>,
    pub(crate) read_to: Option<i64>,
    pub(crate) size: Option<i64>,
}

impl Written<'_> {
    /// The event's text.
    pub(crate) fn body(&self) -> OssBody {
        let key = self.object.as_ref().map_or(0, |object| object.key.len());
        // All members but bucket and key are short: with them about 450 bytes.
        let mut text = String::with_capacity(512 + key + 2 * self.bucket.len());
        text.push_str(r#"{"eventName":"#);
        push_string(&mut text, self.event_name);
        text.push_str(r#","eventSource":""#);
        text.push_str(EVENT_SOURCE);
        text.push('"');
        member(&mut text, r#","eventTime":"#, self.event_time);
        text.push_str(r#","eventVersion":""#);
        text.push_str(EVENT_VERSION);
        text.push_str(r#"","oss":{"#);
        if !self.bucket.is_empty() {
            // The parts of the ARN may hold anything: `acs:oss:region:uid:bucket` (seed 000, 3.1).
            text.push_str(r#""bucket":{"arn":"#);
            text.push_str("\"acs:oss:");
            push_text(&mut text, self.region);
            text.push(':');
            push_text(&mut text, self.owner);
            text.push(':');
            push_text(&mut text, self.bucket);
            text.push('"');
            member(&mut text, r#","name":"#, Some(self.bucket));
            member(&mut text, r#","ownerIdentity":"#, Some(self.owner));
            text.push_str("},");
        }
        if let Some(object) = &self.object {
            object.push(&mut text);
        }
        text.push_str(r#""ossSchemaVersion":""#);
        text.push_str(SCHEMA_VERSION);
        text.push('"');
        let at = text.len();
        text.push_str(r#"},"region":"#);
        push_string(&mut text, self.region);
        if let Some(source_ip) = self.source_ip {
            member(
                &mut text,
                r#","requestParameters":{"sourceIPAddress":"#,
                Some(source_ip),
            );
            text.push('}');
        }
        if let Some(request_id) = self.request_id {
            member(
                &mut text,
                r#","responseElements":{"requestId":"#,
                Some(request_id),
            );
            text.push('}');
        }
        if let Some(principal) = self.principal {
            member(
                &mut text,
                r#","userIdentity":{"principalId":"#,
                Some(principal),
            );
            text.push('}');
        }
        if !self.x_vars.is_empty() {
            let mut before = r#","xVars":{"#;
            for (name, value) in self.x_vars {
                text.push_str(before);
                push_string(&mut text, name);
                member(&mut text, ":", Some(value));
                before = ",";
            }
            text.push('}');
        }
        text.push('}');
        OssBody::from_text(text, at)
    }
}

impl WrittenObject<'_> {
    fn push(&self, text: &mut String) {
        text.push_str(r#""object":{"#);
        if let Some(delta) = self.delta_size {
            text.push_str(r#""deltaSize":"#);
            push_number(text, delta);
            text.push(',');
        }
        if let Some(e_tag) = self.e_tag {
            member(text, r#""eTag":"#, Some(e_tag));
            text.push(',');
        }
        member(text, r#""key":"#, Some(self.key));
        for (name, number) in [
            (r#","position":"#, self.position),
            (r#","readFrom":"#, self.read_from),
            (r#","readTo":"#, self.read_to),
            (r#","size":"#, self.size),
        ] {
            if let Some(number) = number {
                text.push_str(name);
                push_number(text, number);
            }
        }
        text.push_str("},");
    }
}

#[inline]
fn member(text: &mut String, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        text.push_str(name);
        push_string(text, value);
    }
}
