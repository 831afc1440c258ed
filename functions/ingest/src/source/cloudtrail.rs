//! CloudTrail records of S3, in EventBridge's envelope, in a log file or bare: what S3's own notifications lack
//! (reads, multipart, appends, reads of a bucket's configuration).
//!
//! A record with an `errorCode` is of a failed operation, and those notify nobody (seed 000, 3.1). Operations that S3
//! reports itself are passed over unless the settings ask for them; S3 Express and S3 on Outposts report nothing
//! themselves, so theirs are always taken.

use super::s3_native::unchanged;
use crate::decoder::{Decoder, Verdict};
use crate::error::DecodeError;
use crate::lenient::{First, List, Text, Whole, shorten};
use crate::names::{Meaning, invented};
use crate::settings::CloudTrailScope;
use crate::storage::Operation;
use serde::Deserialize;
use std::borrow::Cow;

const KIND: &str = "CloudTrail record";

/// CloudTrail User Guide, "CloudTrail record contents".
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Record<'a> {
    #[serde(borrow)]
    event_time: Text<'a>,
    #[serde(borrow)]
    event_source: Text<'a>,
    #[serde(borrow)]
    event_name: Text<'a>,
    #[serde(borrow)]
    aws_region: Text<'a>,
    #[serde(borrow, rename = "sourceIPAddress")]
    source_ip_address: Text<'a>,
    #[serde(borrow)]
    error_code: Text<'a>,
    #[serde(borrow)]
    request_parameters: Option<Parameters<'a>>,
    #[serde(borrow)]
    response_elements: Option<Response<'a>>,
    additional_event_data: Option<Additional>,
    #[serde(borrow, rename = "requestID")]
    request_id: Text<'a>,
    #[serde(borrow, rename = "eventID")]
    event_id: Text<'a>,
    #[serde(borrow)]
    user_identity: Option<Identity<'a>>,
    #[serde(borrow)]
    resources: Option<List<Resource<'a>>>,
    #[serde(borrow)]
    recipient_account_id: Text<'a>,
}

/// Query members come as texts or as arrays of texts, headers in any case.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Parameters<'a> {
    #[serde(borrow, rename = "bucketName")]
    bucket_name: First<'a>,
    #[serde(borrow, alias = "Key")]
    key: First<'a>,
    #[serde(borrow, rename = "Range", alias = "range")]
    range: First<'a>,
    #[serde(borrow, rename = "x-amz-write-offset-bytes")]
    write_offset: First<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Response<'a> {
    #[serde(borrow, rename = "ETag", alias = "eTag", alias = "etag")]
    e_tag: First<'a>,
    #[serde(borrow, rename = "x-amz-version-id")]
    version_id: First<'a>,
    #[serde(borrow, rename = "x-amz-object-size")]
    object_size: First<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Additional {
    bytes_transferred_in: Whole,
    bytes_transferred_out: Whole,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Identity<'a> {
    #[serde(borrow)]
    principal_id: Text<'a>,
    #[serde(borrow)]
    account_id: Text<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Resource<'a> {
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    #[serde(borrow, rename = "accountId")]
    account_id: Text<'a>,
}

/// What an API call means.
enum Call {
    /// S3 has no notification for it: this type.
    Lacking(&'static str),
    /// S3 reports it itself, as this type.
    Reported(&'static str),
    /// The seeds have no such type; this would be its name.
    Unknown(String),
    /// A read of a bucket: `BucketQueried:<call>` (seed 000, 3.3 shows `BucketQueried:GetBucketReferer`).
    BucketRead,
    /// One call for many keys, none of which it names.
    DeleteObjects,
}

fn call(name: &str) -> Call {
    match name {
        "GetObject" => Call::Lacking("ObjectDownloaded:GetObject"),
        "CreateMultipartUpload" | "InitiateMultipartUpload" => {
            Call::Lacking("ObjectCreated:InitiateMultipartUpload")
        }
        "UploadPart" => Call::Lacking("ObjectCreated:UploadPart"),
        "UploadPartCopy" => Call::Lacking("ObjectCreated:UploadPartCopy"),
        "AbortMultipartUpload" => Call::Lacking("ObjectRemoved:AbortMultipartUpload"),
        // EventBridge's list of OSS events names these two for buckets.
        "CreateBucket" => Call::Lacking("BucketCreated:PutBucket"),
        "DeleteBucket" => Call::Lacking("BucketRemoved:DeleteBucket"),
        "PutObject" => Call::Reported("ObjectCreated:PutObject"),
        "PostObject" => Call::Reported("ObjectCreated:PostObject"),
        "CopyObject" => Call::Reported("ObjectCreated:CopyObject"),
        "CompleteMultipartUpload" => Call::Reported("ObjectCreated:CompleteMultipartUpload"),
        "DeleteObject" => Call::Reported("ObjectRemoved:DeleteObject"),
        "PutObjectTagging"
        | "DeleteObjectTagging"
        | "PutObjectAcl"
        | "PutObjectRetention"
        | "PutObjectAnnotation"
        | "DeleteObjectAnnotation" => Call::Reported("ObjectModified:UpdateObjectMeta"),
        "PutObjectLegalHold" | "UpdateObjectEncryption" => {
            Call::Lacking("ObjectModified:UpdateObjectMeta")
        }
        "DeleteObjects" => Call::DeleteObjects,
        "HeadObject"
        | "ListParts"
        | "SelectObjectContent"
        | "GetObjectAcl"
        | "GetObjectAttributes"
        | "GetObjectTagging"
        | "GetObjectTorrent"
        | "GetObjectRetention"
        | "GetObjectLegalHold"
        | "GetObjectAnnotation" => Call::Unknown(format!("ObjectQueried:{name}")),
        "RestoreObject" => Call::Unknown("ObjectRestore:StartRestore".into()),
        "RenameObject" => Call::Unknown("ObjectModified:RenameObject".into()),
        read if read.starts_with("GetBucket")
            || read.starts_with("List")
            || read == "HeadBucket"
            || read == "GetPublicAccessBlock" =>
        {
            Call::BucketRead
        }
        other => Call::Unknown(format!("BucketModified:{other}")),
    }
}

pub(crate) fn decode(
    text: &str,
    place: &str,
    decoder: &Decoder<'_>,
) -> Result<Verdict, DecodeError> {
    let record: Record<'_> = serde_json::from_str(text)
        .map_err(|error| DecodeError::json::<Record<'_>>(KIND, place, text, &error))?;
    let source = record.event_source.as_str();
    let api = record.event_name.as_str();
    if !matches!(
        source,
        "s3.amazonaws.com" | "s3express.amazonaws.com" | "s3-outposts.amazonaws.com"
    ) {
        return Err(DecodeError::UnknownSource {
            saw: format!(
                "a CloudTrail record of {:?} ({api}), and only S3's are events here",
                shorten(source, 64)
            ),
        });
    }
    if api.is_empty() {
        let field = if place.is_empty() {
            "eventName".into()
        } else {
            format!("{place}.eventName")
        };
        return Err(DecodeError::missing(
            KIND,
            field,
            "the name of an API call, such as GetObject",
        ));
    }
    if let Some(error) = record.error_code.known() {
        return Ok(Verdict::Ignored(format!(
            "{api} failed with {}: a failed operation notifies nobody (seed 000, 3.1)",
            shorten(error, 64)
        )));
    }
    record.operation(decoder)
}

impl Record<'_> {
    fn operation(&self, decoder: &Decoder<'_>) -> Result<Verdict, DecodeError> {
        let settings = decoder.settings;
        let api = self.event_name.as_str();
        // S3 Express and S3 on Outposts send no notifications themselves.
        let silent = self.event_source.as_str() != "s3.amazonaws.com";
        let offset = self
            .request_parameters
            .as_ref()
            .and_then(|parameters| parameters.write_offset.as_str().parse::<i64>().ok());
        let invented_name;
        let name: Cow<'_, str> = match call(api) {
            Call::Reported("ObjectCreated:PutObject")
                if offset.is_some_and(|offset| offset > 0) =>
            {
                Cow::Borrowed("ObjectCreated:AppendObject")
            }
            Call::Lacking(name) => Cow::Borrowed(name),
            Call::Reported(name) if silent || settings.cloudtrail == CloudTrailScope::All => {
                Cow::Borrowed(name)
            }
            Call::Reported(_) => {
                return Ok(Verdict::Ignored(format!(
                    "{api}: S3 reports it itself; set cloudtrail to all operations for buckets without notifications"
                )));
            }
            Call::BucketRead => Cow::Owned(format!("BucketQueried:{api}")),
            Call::DeleteObjects if settings.keyless_delete_objects => {
                Cow::Borrowed("ObjectRemoved:DeleteObjects")
            }
            Call::DeleteObjects => {
                return Ok(Verdict::Ignored(
                    "DeleteObjects: the record names no keys, and S3 reports each key as ObjectRemoved:DeleteObject; \
                     turn on keyless_delete_objects to receive one event without a key"
                        .into(),
                ));
            }
            Call::Unknown(name) => {
                invented_name = name;
                match invented(api, &invented_name, settings) {
                    Meaning::Type(name) => name,
                    Meaning::Ignored(why) => return Ok(Verdict::Ignored(why)),
                }
            }
        };
        let parameters = self.request_parameters.as_ref();
        let response = self.response_elements.as_ref();
        let key = parameters.and_then(|parameters| parameters.key.known());
        let on_object = name.starts_with("Object");
        if on_object && key.is_none() && name != "ObjectRemoved:DeleteObjects" {
            return Err(DecodeError::missing(
                KIND,
                "requestParameters.key",
                "the object's name",
            ));
        }
        let bytes_in = self
            .additional_event_data
            .as_ref()
            .and_then(|data| data.bytes_transferred_in.0);
        let bytes_out = self
            .additional_event_data
            .as_ref()
            .and_then(|data| data.bytes_transferred_out.0);
        let mut operation = Operation {
            time: self.event_time.as_str(),
            region: self.aws_region.as_str(),
            bucket: parameters.map_or("", |parameters| parameters.bucket_name.as_str()),
            key: on_object.then(|| Cow::Borrowed(key.unwrap_or_default())),
            owner: self.owner(),
            e_tag: response.and_then(|response| response.e_tag.known()),
            source_ip: self.source_ip_address.known(),
            request_id: self.request_id.known().or(self.event_id.known()),
            principal: self
                .user_identity
                .as_ref()
                .and_then(|user| user.principal_id.known().or(user.account_id.known())),
            version_id: response.and_then(|response| response.version_id.known()),
            ..Operation::default()
        };
        match &*name {
            "ObjectDownloaded:GetObject" => {
                let range = parameters.and_then(|parameters| parameters.range.known());
                let read = Read::of(range, bytes_out);
                operation.read_from = read.from;
                operation.read_to = read.to;
                operation.size = read.size;
            }
            "ObjectCreated:InitiateMultipartUpload" => {
                operation.size = Some(0);
                operation.e_tag = Some("");
            }
            "ObjectCreated:AppendObject" => {
                operation.position = offset;
                operation.delta_size = bytes_in;
                operation.size = response
                    .and_then(|response| response.object_size.as_str().parse().ok())
                    .or(offset
                        .zip(bytes_in)
                        .and_then(|(offset, bytes)| offset.checked_add(bytes)));
            }
            // The body of these calls is the object, or the part.
            "ObjectCreated:UploadPart" | "ObjectCreated:PutObject" => operation.size = bytes_in,
            _ => {}
        }
        if unchanged(&name) {
            operation.delta_size = Some(0);
        }
        operation.name = name;
        operation
            .into_verdict(decoder)
            .map_err(|error| DecodeError::value(KIND, "eventName", &error.value, error.want))
    }

    /// Account of the bucket's owner.
    fn owner(&self) -> Option<&str> {
        self.resources
            .iter()
            .flatten()
            .find(|resource| resource.kind.as_str().ends_with("Bucket"))
            .and_then(|resource| resource.account_id.known())
            .or(self.recipient_account_id.known())
    }
}

/// Which bytes a read was of.
#[derive(Debug, Default, PartialEq, Eq)]
struct Read {
    from: Option<i64>,
    /// One past the last byte (seed 000, 3.1).
    to: Option<i64>,
    size: Option<i64>,
}

impl Read {
    /// Of the `Range` header, where the record has it, and of the bytes that were sent. A read without `Range` is of
    /// the whole object; whether CloudTrail records the header for every client is not established.
    fn of(range: Option<&str>, sent: Option<i64>) -> Self {
        let Some(range) = range else {
            return Read {
                from: Some(0),
                to: sent,
                size: sent,
            };
        };
        let bounds = range
            .trim()
            .strip_prefix("bytes=")
            // Several ranges in one read have no single pair of ends.
            .filter(|bounds| !bounds.contains(','))
            .and_then(|bounds| bounds.split_once('-'));
        let number = |text: &str| {
            text.trim()
                .parse::<i64>()
                .ok()
                .filter(|number| *number >= 0)
        };
        match bounds.map(|(from, to)| (number(from), number(to))) {
            Some((Some(from), Some(to))) if from <= to => Read {
                from: Some(from),
                to: to.checked_add(1),
                size: None,
            },
            Some((Some(from), None)) => {
                let to = sent.and_then(|sent| from.checked_add(sent));
                // An open range runs to the object's end.
                Read {
                    from: Some(from),
                    to,
                    size: to,
                }
            }
            // `bytes=-N` counts from an end that is not known.
            _ => Read::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_give_the_seed_s_ends() {
        let read = |from, to, size| Read { from, to, size };
        let cases = [
            (None, Some(7), read(Some(0), Some(7), Some(7))),
            (None, None, read(Some(0), None, None)),
            // Seed 000 (3.1): one byte of an object is 0 and 1.
            (Some("bytes=0-0"), Some(1), read(Some(0), Some(1), None)),
            (
                Some("bytes=100-199"),
                Some(100),
                read(Some(100), Some(200), None),
            ),
            (
                Some("bytes=100-"),
                Some(24),
                read(Some(100), Some(124), Some(124)),
            ),
            (Some("bytes=-5"), Some(5), Read::default()),
            (Some("bytes=0-1,4-5"), Some(4), Read::default()),
            (Some("bytes=9-3"), Some(4), Read::default()),
            (
                Some("bytes=0-9223372036854775807"),
                Some(4),
                read(Some(0), None, None),
            ),
            (Some("lines=1-2"), Some(4), Read::default()),
        ];
        for (range, sent, want) in cases {
            assert_eq!(Read::of(range, sent), want, "{range:?}");
        }
    }
}
