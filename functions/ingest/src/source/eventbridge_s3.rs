//! S3's events on EventBridge (S3 User Guide, "EventBridge event message structure"). The key is verbatim, unlike that
//! of S3's own notification.

use super::eventbridge::Envelope;
use super::s3_native::unchanged;
use crate::decoder::{Decoder, Verdict};
use crate::error::DecodeError;
use crate::lenient::{Text, Whole};
use crate::names::{Meaning, invented, meaning};
use crate::storage::Operation;
use serde::Deserialize;
use std::borrow::Cow;

const KIND: &str = "EventBridge event of S3";

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct Detail<'a> {
    #[serde(borrow)]
    bucket: Option<Bucket<'a>>,
    #[serde(borrow)]
    object: Option<Object<'a>>,
    #[serde(borrow)]
    request_id: Text<'a>,
    #[serde(borrow)]
    requester: Text<'a>,
    #[serde(borrow)]
    source_ip_address: Text<'a>,
    #[serde(borrow)]
    reason: Text<'a>,
    #[serde(borrow)]
    deletion_type: Text<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Bucket<'a> {
    #[serde(borrow)]
    name: Text<'a>,
}

/// AWS writes `etag` and `version-id`; emulators write them as S3's own notification does.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Object<'a> {
    #[serde(borrow)]
    key: Text<'a>,
    size: Whole,
    #[serde(borrow, alias = "eTag")]
    etag: Text<'a>,
    #[serde(borrow, rename = "version-id", alias = "versionId")]
    version_id: Text<'a>,
    #[serde(borrow)]
    sequencer: Text<'a>,
}

/// The name that S3's own notification has for the event, so that one table gives both their meaning.
fn native_name<'a>(detail_type: &'a str, reason: &str) -> Option<Cow<'a, str>> {
    Some(Cow::Borrowed(match (detail_type, reason) {
        ("Object Created", "PutObject" | "Put") => "ObjectCreated:Put",
        ("Object Created", "POST Object" | "PostObject" | "Post") => "ObjectCreated:Post",
        ("Object Created", "CopyObject" | "Copy") => "ObjectCreated:Copy",
        ("Object Created", "") => "ObjectCreated:Unknown",
        ("Object Created", other) => {
            let name: String = other.split_whitespace().collect();
            return Some(Cow::Owned(format!("ObjectCreated:{name}")));
        }
        ("Object Deleted", _) => "ObjectRemoved:Delete",
        ("Object Restore Initiated", _) => "ObjectRestore:Post",
        ("Object Restore Completed", _) => "ObjectRestore:Completed",
        ("Object Restore Expired", _) => "ObjectRestore:Delete",
        ("Object Storage Class Changed", _) => "LifecycleTransition",
        ("Object Access Tier Changed", _) => "IntelligentTiering",
        ("Object Tags Added", _) => "ObjectTagging:Put",
        ("Object Tags Deleted", _) => "ObjectTagging:Delete",
        ("Object ACL Updated", _) => "ObjectAcl:Put",
        (other, _) if other.starts_with("Object Annotation") => "ObjectAnnotation:Put",
        (other, _) if other.starts_with("Object Retention") => "ObjectRetention:Put",
        _ => return None,
    }))
}

pub(crate) fn decode(
    envelope: &Envelope<'_>,
    text: &str,
    decoder: &Decoder<'_>,
) -> Result<Verdict, DecodeError> {
    let detail: Detail<'_> = serde_json::from_str(text)
        .map_err(|error| DecodeError::json::<Detail<'_>>(KIND, "detail", text, &error))?;
    let detail_type = envelope.detail_type.as_str();
    let native = native_name(detail_type, detail.reason.as_str());
    let own_name;
    let name = match &native {
        Some(name) => meaning(name, "", decoder.settings),
        None => {
            let compact: String = detail_type.split_whitespace().collect();
            own_name = format!("ObjectEvent:{compact}");
            invented(detail_type, &own_name, decoder.settings)
        }
    };
    let name = match name {
        Meaning::Type(name) => name,
        Meaning::Ignored(why) => return Ok(Verdict::Ignored(why)),
    };
    let bucket = detail
        .bucket
        .as_ref()
        .and_then(|bucket| bucket.name.known())
        .ok_or_else(|| DecodeError::missing(KIND, "detail.bucket.name", "the bucket's name"))?;
    let object = detail
        .object
        .as_ref()
        .filter(|object| !object.key.is_empty())
        .ok_or_else(|| DecodeError::missing(KIND, "detail.object.key", "the object's name"))?;
    Operation {
        delta_size: unchanged(&name).then_some(0),
        name,
        time: envelope.time.as_str(),
        region: envelope.region.as_str(),
        bucket,
        key: Some(Cow::Borrowed(object.key.as_str())),
        owner: envelope.account.known(),
        size: object.size.0,
        e_tag: object.etag.known(),
        source_ip: detail.source_ip_address.known(),
        request_id: detail.request_id.known(),
        principal: detail.requester.known(),
        version_id: object.version_id.known(),
        sequencer: object.sequencer.known(),
        marker: detail.deletion_type.as_str() == "Delete Marker Created",
        ..Operation::default()
    }
    .into_verdict(decoder)
    .map_err(|error| DecodeError::value(KIND, "detail.reason", &error.value, error.want))
}
