//! What all storage sources have in common: the facts of one operation, and the OSS event made of them.

use crate::decoder::{Decoder, Verdict};
use crate::settings::DeltaSize;
use crate::written::{Written, WrittenObject};
use carillon_core::event::history::{Effect, ObjectWrite};
use carillon_core::event::{
    Body, Event, EventId, EventType, IdentityHasher, InvalidName, Product, Timestamp,
};
use carillon_core::ports::ObjectName;
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
    /// Whether a delete left a marker and no version was deleted.
    pub(crate) marker: bool,
}

/// What completing an event needs to know of it, beside its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    /// The write, for the index.
    pub(crate) write: Option<ObjectWrite>,
    /// The object whose metadata is asked for.
    pub(crate) object: Option<ObjectName>,
}

impl Operation<'_> {
    /// The event of this operation, with what a setting wants to complete it by.
    ///
    /// # Errors
    /// [`InvalidName`] when the source's event name cannot be one.
    pub(crate) fn into_verdict(self, decoder: &Decoder<'_>) -> Result<Verdict, InvalidName> {
        let settings = decoder.settings;
        if !settings.observes() && !settings.x_vars_from_head_object {
            return Ok(Verdict::Event(Box::new(self.into_event(decoder)?)));
        }
        let facts = self.facts(decoder);
        let event = self.into_event(decoder)?;
        Ok(if facts.write.is_some() || facts.object.is_some() {
            Verdict::Incomplete(Box::new((event, facts)))
        } else {
            Verdict::Event(Box::new(event))
        })
    }

    fn facts(&self, decoder: &Decoder<'_>) -> Facts {
        let settings = decoder.settings;
        let version = self.version_id.filter(|id| *id != "null");
        let asked = settings.x_vars_from_head_object && takes_parameters(&self.name);
        Facts {
            write: settings.observes().then(|| self.write(version)).flatten(),
            object: self.key.as_deref().filter(|_| asked).map(|key| ObjectName {
                bucket: self.bucket.to_owned(),
                key: key.to_owned(),
                version: version.map(str::to_owned),
            }),
        }
    }

    /// A write or a delete that the store has put in order.
    fn write(&self, version: Option<&str>) -> Option<ObjectWrite> {
        let effect = if self.name.starts_with("ObjectCreated:")
            || self.name == "ObjectReplication:ObjectCreated"
        {
            Effect::Written(self.size)
        } else if self.name == "ObjectRemoved:DeleteObject"
            || self.name == "ObjectReplication:ObjectRemoved"
        {
            match version {
                Some(_) if !self.marker => Effect::VersionGone,
                _ => Effect::Gone,
            }
        } else {
            return None;
        };
        Some(ObjectWrite {
            bucket: self.bucket.to_owned(),
            key: self.key.as_deref()?.to_owned(),
            sequencer: self.sequencer?.to_owned(),
            version: version.map(str::to_owned),
            effect,
        })
    }

    /// The event of this operation.
    fn into_event(self, decoder: &Decoder<'_>) -> Result<Event, InvalidName> {
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
            // Where there is a sequencer, the index says.
            DeltaSize::Index if self.sequencer.is_none() && is_create(event_type.as_str()) => {
                self.size
            }
            _ => None,
        });
        let body = Written {
            event_name: event_type.as_str(),
            event_time: iso.as_deref(),
            region,
            owner,
            bucket: self.bucket,
            object: self.key.as_deref().map(|key| WrittenObject {
                delta_size,
                e_tag: self.e_tag.map(|tag| tag.trim_matches('"')),
                key,
                position: self.position,
                read_from: self.read_from,
                read_to: self.read_to,
                size: self.size,
            }),
            source_ip: self.source_ip,
            request_id: self.request_id,
            principal: self.principal,
            x_vars: &self.x_vars,
        }
        .body();
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

/// Types whose requests take OSS Callback's custom parameters (OSS help "Callback").
fn takes_parameters(name: &str) -> bool {
    matches!(
        name,
        "ObjectCreated:PutObject"
            | "ObjectCreated:PostObject"
            | "ObjectCreated:CompleteMultipartUpload"
    )
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
