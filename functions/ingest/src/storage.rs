//! What all storage sources have in common: the facts of one operation, and the OSS event made of them.

use crate::decoder::Decoder;
use crate::settings::DeltaSize;
use carillon_core::event::oss::{EVENT_SOURCE, EVENT_VERSION, SCHEMA_VERSION};
use carillon_core::event::{
    Body, Event, EventId, EventType, IdentityHasher, InvalidName, OssBody, Product, Timestamp,
};
use serde::Serialize;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// One operation on a bucket or an object, as far as its source tells of it. What is `None` or empty is not known, and
/// is left out of the event.
#[derive(Clone, Debug, Default)]
pub(crate) struct Operation<'a> {
    /// OSS event type.
    pub(crate) name: Cow<'a, str>,
    /// `eventTime` as the source wrote it.
    pub(crate) time: &'a str,
    pub(crate) region: &'a str,
    pub(crate) bucket: &'a str,
    /// `None` for a bucket-level event.
    pub(crate) key: Option<Cow<'a, str>>,
    /// Account of the bucket's owner.
    pub(crate) owner: Option<&'a str>,
    pub(crate) size: Option<i64>,
    /// Change of size where the source tells it; for creates the settings fill it in.
    pub(crate) delta_size: Option<i64>,
    pub(crate) e_tag: Option<&'a str>,
    pub(crate) position: Option<i64>,
    pub(crate) read_from: Option<i64>,
    pub(crate) read_to: Option<i64>,
    pub(crate) source_ip: Option<&'a str>,
    pub(crate) request_id: Option<&'a str>,
    pub(crate) principal: Option<&'a str>,
    pub(crate) version_id: Option<&'a str>,
    pub(crate) sequencer: Option<&'a str>,
    pub(crate) x_vars: BTreeMap<String, String>,
}

/// The event as it is written: the members in the seeds' order (seed 000, 3.1). Borrowed twin of
/// [`carillon_core::event::oss::OssEvent`], so that nothing is copied on the way from the source's text to ours.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    event_name: &'a str,
    event_source: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_time: Option<&'a str>,
    event_version: &'a str,
    oss: WrittenOss<'a>,
    region: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_parameters: Option<WrittenRequest<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_elements: Option<WrittenResponse<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_identity: Option<WrittenUser<'a>>,
    #[serde(rename = "xVars", skip_serializing_if = "BTreeMap::is_empty")]
    x_vars: &'a BTreeMap<String, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WrittenOss<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    bucket: Option<WrittenBucket<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<WrittenObject<'a>>,
    oss_schema_version: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WrittenBucket<'a> {
    arn: Arn<'a>,
    name: &'a str,
    owner_identity: &'a str,
}

/// `acs:oss:region:uid:bucket` (seed 000, 3.1), written without building it first.
struct Arn<'a> {
    region: &'a str,
    owner: &'a str,
    bucket: &'a str,
}

impl Serialize for Arn<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!(
            "acs:oss:{}:{}:{}",
            self.region, self.owner, self.bucket
        ))
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WrittenObject<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    delta_size: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    e_tag: Option<&'a str>,
    key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    read_from: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    read_to: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<i64>,
}

#[derive(Serialize)]
struct WrittenRequest<'a> {
    #[serde(rename = "sourceIPAddress")]
    source_ip_address: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WrittenResponse<'a> {
    request_id: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WrittenUser<'a> {
    principal_id: &'a str,
}

impl Operation<'_> {
    /// The event of this operation.
    ///
    /// # Errors
    /// [`InvalidName`] when the source's event name cannot be one.
    pub(crate) fn into_event(self, decoder: &Decoder<'_>) -> Result<Event, InvalidName> {
        let settings = decoder.settings;
        let name = self.renamed_if_replica(decoder);
        let event_type = EventType::parse(&name)?;
        let region = if self.region.is_empty() {
            settings.region.as_str()
        } else {
            self.region
        };
        let owner = self.owner.unwrap_or(&settings.account);
        let time = Timestamp::parse(self.time).ok();
        let iso = time.map(|time| iso(self.time, time));
        let delta_size = self.delta_size.or(match settings.delta_size {
            DeltaSize::Size if is_create(event_type.as_str()) => self.size,
            _ => None,
        });
        let written = Written {
            event_name: event_type.as_str(),
            event_source: EVENT_SOURCE,
            event_time: iso.as_deref(),
            event_version: EVENT_VERSION,
            oss: WrittenOss {
                bucket: (!self.bucket.is_empty()).then_some(WrittenBucket {
                    arn: Arn {
                        region,
                        owner,
                        bucket: self.bucket,
                    },
                    name: self.bucket,
                    owner_identity: owner,
                }),
                object: self.key.as_deref().map(|key| WrittenObject {
                    delta_size,
                    e_tag: self.e_tag.map(|tag| tag.trim_matches('"')),
                    key,
                    position: self.position,
                    read_from: self.read_from,
                    read_to: self.read_to,
                    size: self.size,
                }),
                oss_schema_version: SCHEMA_VERSION,
            },
            region,
            request_parameters: self
                .source_ip
                .map(|source_ip_address| WrittenRequest { source_ip_address }),
            response_elements: self
                .request_id
                .map(|request_id| WrittenResponse { request_id }),
            user_identity: self
                .principal
                .map(|principal_id| WrittenUser { principal_id }),
            x_vars: &self.x_vars,
        };
        let body = OssBody::from_written(&written)
            .expect("an event is written as an object whose `oss` member is one");
        let resource = resource(self.bucket, self.key.as_deref());
        let id = Identity {
            bucket: self.bucket,
            key: self.key.as_deref(),
            version_id: self.version_id,
            sequencer: self.sequencer,
            request_id: self.request_id,
            name: event_type.as_str(),
        }
        .finish(|| body.json());
        Ok(Event {
            product: Product::Oss,
            event_type,
            resource,
            time: time.unwrap_or(decoder.hint.received),
            id,
            body: Body::Oss(body),
        })
    }

    /// An operation by a replication role is told as `ObjectReplication:*` (seeds 002 and 004).
    fn renamed_if_replica(&self, decoder: &Decoder<'_>) -> Cow<'_, str> {
        let roles = &decoder.settings.replication_roles;
        let by_replication = !roles.is_empty()
            && self.principal.is_some_and(|principal| {
                let id = principal.strip_prefix("AWS:").unwrap_or(principal);
                let role = id.split(':').next().unwrap_or(id);
                [principal, id, role].iter().any(|id| roles.contains(*id))
            });
        let group = self.name.split(':').next().unwrap_or_default();
        if by_replication && matches!(group, "ObjectCreated" | "ObjectModified" | "ObjectRemoved") {
            Cow::Owned(format!("ObjectReplication:{group}"))
        } else {
            Cow::Borrowed(&*self.name)
        }
    }
}

/// Whether the type tells of an object that was written whole, so that `size` is all new. `ObjectReplication` is not:
/// a replica may overwrite, and the seeds do not say.
fn is_create(name: &str) -> bool {
    name.starts_with("ObjectCreated:") || name == "ObjectReplication:ObjectCreated"
}

/// `bucket/key`, or `bucket` alone.
pub(crate) fn resource(bucket: &str, key: Option<&str>) -> String {
    match key {
        Some(key) if !bucket.is_empty() => {
            let mut resource = String::with_capacity(bucket.len() + 1 + key.len());
            resource.push_str(bucket);
            resource.push('/');
            resource.push_str(key);
            resource
        }
        _ => bucket.to_owned(),
    }
}

/// The seeds' form of a time, the source's own text where it has that form already.
fn iso(text: &str, time: Timestamp) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    if bytes.len() == 24 && bytes[10] == b'T' && bytes[19] == b'.' && bytes[23] == b'Z' {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(time.to_iso())
    }
}

/// The parts of a storage event's identity.
pub(crate) struct Identity<'a> {
    pub(crate) bucket: &'a str,
    pub(crate) key: Option<&'a str>,
    pub(crate) version_id: Option<&'a str>,
    pub(crate) sequencer: Option<&'a str>,
    pub(crate) request_id: Option<&'a str>,
    pub(crate) name: &'a str,
}

impl Identity<'_> {
    /// Bucket, key, version, sequencer or else request id, OSS name. The same operation told by S3's own notification
    /// and by EventBridge has one identity; CloudTrail has no sequencer, so there the request id stands in and the two
    /// differ. Without either, the event's whole text decides.
    pub(crate) fn finish<'t>(&self, text: impl FnOnce() -> &'t str) -> EventId {
        let hasher = IdentityHasher::new("oss")
            .part(self.bucket)
            .part(self.key.unwrap_or_default())
            .part(
                self.version_id
                    .filter(|id| *id != "null")
                    .unwrap_or_default(),
            )
            .part(self.name);
        match (self.sequencer, self.request_id) {
            // Hex digits: stores differ in case.
            (Some(sequencer), _) => hasher
                .part("sequencer")
                .part(&sequencer.to_ascii_uppercase()),
            (None, Some(request_id)) => hasher.part("request").part(request_id),
            (None, None) => hasher.part("text").part(text()),
        }
        .finish()
    }
}
