//! S3's own notification (SQS, SNS, Lambda), and that of the stores that follow its form: MinIO (`minio:s3`) and Ceph
//! RGW (`ceph:s3`).
//!
//! Versions 2.x are read, members beyond those known are passed over (S3 User Guide, "Event message structure": minor
//! versions add members). The key is form-encoded: `+` is a blank, `%XX` a byte.

use crate::decoder::{Decoder, Verdict};
use crate::error::DecodeError;
use crate::lenient::{Text, Whole};
use crate::names::{Meaning, meaning};
use crate::storage::Operation;
use crate::x_vars;
use serde::Deserialize;
use std::borrow::Cow;

pub(crate) const KIND: &str = "S3 notification";

/// A whole body, for the fast road: one parse from text to facts.
#[derive(Deserialize)]
pub(crate) struct Notification<'a> {
    #[serde(rename = "Records", borrow)]
    pub(crate) records: Few<'a>,
}

/// The records of a body on the fast road: more than a few are unusual, and read one by one they cost no memory.
pub(crate) struct Few<'a>(pub(crate) Vec<Record<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for Few<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FewVisitor;

        impl<'de> serde::de::Visitor<'de> for FewVisitor {
            type Value = Few<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a few records")
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(
                self,
                mut array: A,
            ) -> Result<Few<'de>, A::Error> {
                const FEW: usize = 16;
                let mut records = Vec::with_capacity(1);
                while let Some(record) = array.next_element()? {
                    if records.len() == FEW {
                        return Err(serde::de::Error::custom("more than a few records"));
                    }
                    records.push(record);
                }
                Ok(Few(records))
            }
        }

        deserializer.deserialize_seq(FewVisitor)
    }
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Record<'a> {
    #[serde(borrow)]
    pub(crate) event_version: Text<'a>,
    #[serde(borrow)]
    pub(crate) event_source: Text<'a>,
    #[serde(borrow)]
    pub(crate) aws_region: Text<'a>,
    #[serde(borrow)]
    pub(crate) event_time: Text<'a>,
    #[serde(borrow)]
    pub(crate) event_name: Text<'a>,
    #[serde(borrow)]
    pub(crate) user_identity: Option<Principal<'a>>,
    #[serde(borrow)]
    pub(crate) request_parameters: Option<Request<'a>>,
    #[serde(borrow)]
    pub(crate) response_elements: Option<Response<'a>>,
    #[serde(borrow)]
    pub(crate) s3: Option<S3<'a>>,
    #[serde(borrow)]
    pub(crate) replication_event_data: Option<Replication<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Principal<'a> {
    #[serde(borrow)]
    pub(crate) principal_id: Text<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Request<'a> {
    #[serde(borrow, rename = "sourceIPAddress", alias = "sourceIpAddress")]
    pub(crate) source_ip_address: Text<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Response<'a> {
    #[serde(borrow, rename = "x-amz-request-id")]
    pub(crate) request_id: Text<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct S3<'a> {
    #[serde(borrow)]
    pub(crate) bucket: Option<Bucket<'a>>,
    #[serde(borrow)]
    pub(crate) object: Option<Object<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Bucket<'a> {
    #[serde(borrow)]
    pub(crate) name: Text<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Object<'a> {
    #[serde(borrow)]
    pub(crate) key: Text<'a>,
    pub(crate) size: Whole,
    #[serde(borrow, alias = "etag")]
    pub(crate) e_tag: Text<'a>,
    #[serde(borrow)]
    pub(crate) version_id: Text<'a>,
    #[serde(borrow)]
    pub(crate) sequencer: Text<'a>,
    /// MinIO: a map.
    #[serde(borrow)]
    pub(crate) user_metadata: Option<&'a serde_json::value::RawValue>,
    /// Ceph: a list of `{key, val}`.
    #[serde(borrow)]
    pub(crate) metadata: Option<&'a serde_json::value::RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Replication<'a> {
    #[serde(borrow)]
    pub(crate) s3_operation: Text<'a>,
}

impl Record<'_> {
    /// Whether this is a record of an S3-style store: `aws:s3`, `minio:s3`, `ceph:s3`, and whoever follows them.
    pub(crate) fn is_s3(&self) -> bool {
        is_s3_source(self.event_source.as_str())
    }

    /// `place` names the record in errors (`Records[0]`); empty for a record by itself, and on the fast road, which
    /// reports none.
    pub(crate) fn decode(
        &self,
        place: &str,
        decoder: &Decoder<'_>,
    ) -> Result<Verdict, DecodeError> {
        let field = |name: &str| match place {
            "" => name.to_owned(),
            place => format!("{place}.{name}"),
        };
        if let Some(version) = self.event_version.known()
            && version.split('.').next() != Some("2")
        {
            return Err(DecodeError::value(
                KIND,
                field("eventVersion"),
                version,
                "a notification of version 2.x; a later major version needs a newer release",
            ));
        }
        let Some(name) = self.event_name.known() else {
            return Err(DecodeError::missing(
                KIND,
                field("eventName"),
                "a name such as ObjectCreated:Put",
            ));
        };
        let s3_operation = self
            .replication_event_data
            .as_ref()
            .map_or("", |data| data.s3_operation.as_str());
        let name = match meaning(name, s3_operation, decoder.settings) {
            Meaning::Type(name) => name,
            Meaning::Ignored(why) => return Ok(Verdict::Ignored(why)),
        };
        let s3 = self.s3.as_ref();
        let bucket = s3
            .and_then(|s3| s3.bucket.as_ref())
            .and_then(|bucket| bucket.name.known())
            .ok_or_else(|| {
                DecodeError::missing(KIND, field("s3.bucket.name"), "the bucket's name")
            })?;
        let object = s3
            .and_then(|s3| s3.object.as_ref())
            .filter(|object| !object.key.is_empty());
        if object.is_none() && !name.starts_with("Bucket") {
            return Err(DecodeError::missing(
                KIND,
                field("s3.object.key"),
                "the object's name, form-encoded",
            ));
        }
        let reads = name == "ObjectDownloaded:GetObject";
        let size = object.and_then(|object| object.size.0);
        Operation {
            delta_size: unchanged(&name).then_some(0),
            read_from: (reads && size.is_some()).then_some(0),
            read_to: if reads { size } else { None },
            name,
            time: self.event_time.as_str(),
            region: self.aws_region.as_str(),
            bucket,
            key: object.map(|object| {
                // Ceph RGW writes the key verbatim (its notification code encodes nothing), all others form-encoded.
                if self.event_source.as_str() == "ceph:s3" {
                    Cow::Borrowed(object.key.as_str())
                } else {
                    form_decode(object.key.as_str())
                }
            }),
            // `s3.bucket.ownerIdentity` is an opaque id, not the account: left to the settings.
            owner: None,
            size,
            e_tag: object.and_then(|object| object.e_tag.known()),
            position: None,
            source_ip: self
                .request_parameters
                .as_ref()
                .and_then(|r| r.source_ip_address.known()),
            request_id: self
                .response_elements
                .as_ref()
                .and_then(|r| r.request_id.known()),
            principal: self
                .user_identity
                .as_ref()
                .and_then(|user| user.principal_id.known()),
            version_id: object.and_then(|object| object.version_id.known()),
            sequencer: object.and_then(|object| object.sequencer.known()),
            // S3 and MinIO by this name, Ceph by the other.
            marker: self.event_name.as_str().ends_with("DeleteMarkerCreated")
                || self.event_name.as_str().ends_with("DeletionMarkerCreated"),
            x_vars: match object {
                Some(object) if decoder.settings.x_vars_from_metadata => {
                    x_vars::of_metadata(object.user_metadata, object.metadata)
                }
                _ => Default::default(),
            },
        }
        .into_verdict(decoder)
        .map_err(|error| DecodeError::value(KIND, field("eventName"), &error.value, error.want))
    }
}

/// One record by itself.
pub(crate) fn decode(
    text: &str,
    place: &str,
    decoder: &Decoder<'_>,
) -> Result<Verdict, DecodeError> {
    let record: Record<'_> = serde_json::from_str(text)
        .map_err(|error| DecodeError::json::<Record<'_>>(KIND, place, text, &error))?;
    record.decode(place, decoder)
}

pub(crate) fn is_s3_source(source: &str) -> bool {
    source.ends_with(":s3")
}

/// Types that change an object's metadata or place, or read it: its size stays.
pub(crate) fn unchanged(name: &str) -> bool {
    name.starts_with("ObjectModified:")
        || name.starts_with("ObjectDownloaded:")
        || name.starts_with("ObjectRestore:")
}

/// `application/x-www-form-urlencoded`, as S3 writes keys in its own notifications (S3 User Guide, "Event message
/// structure"): `+` is a blank, `%XX` a byte. A `%` that begins no byte stands for itself; bytes that are no UTF-8 are
/// replaced, since an event with a strange key is worth more than none.
pub(crate) fn form_decode(key: &str) -> Cow<'_, str> {
    if !key.bytes().any(|byte| byte == b'+' || byte == b'%') {
        return Cow::Borrowed(key);
    }
    let bytes = key.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = |offset: usize| {
            bytes
                .get(at + offset)
                .and_then(|digit| (*digit as char).to_digit(16))
        };
        match (bytes[at], hex(1), hex(2)) {
            (b'+', _, _) => decoded.push(b' '),
            (b'%', Some(high), Some(low)) => {
                decoded.push((high * 16 + low) as u8);
                at += 2;
            }
            (byte, _, _) => decoded.push(byte),
        }
        at += 1;
    }
    Cow::Owned(match String::from_utf8(decoded) {
        Ok(key) => key,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    })
}
