//! The fast road of S3's own notification: one pass over the text, nothing copied. Gives up at anything unusual, and
//! the general road reads it again.

use super::s3_native::{Bucket, Object, Principal, Record, Replication, Request, Response, S3};
use crate::decoder::{Decoder, SourceKind, fits};
use crate::error::MAX_RECORDS;
use crate::lenient::{Text, Whole};
use crate::scan::Scan;
use std::borrow::Cow;

/// Decodes a whole body; `None`: it is not what this road is for, and nothing was taken.
pub(crate) fn decode(text: &str, decoder: &mut Decoder<'_>) -> Option<()> {
    // A test of a few bytes: other bodies pay nothing for this road.
    let start = text.get(..text.len().min(24)).unwrap_or_default();
    if !start.contains("\"Records\"") {
        return None;
    }
    let (events, facts, ignored) = (
        decoder.out.events.len(),
        decoder.out.facts.len(),
        decoder.out.ignored.len(),
    );
    let (kind, weight) = (decoder.out.kind, decoder.weight);
    let taken = take(text, decoder);
    if taken.is_none() {
        decoder.out.events.truncate(events);
        decoder.out.facts.truncate(facts);
        decoder.out.ignored.truncate(ignored);
        decoder.out.kind = kind;
        decoder.weight = weight;
    }
    taken
}

fn take(text: &str, decoder: &mut Decoder<'_>) -> Option<()> {
    let metadata = decoder.settings.x_vars_from_metadata;
    let mut scan = Scan::new(text);
    let mut seen = Seen::default();
    let mut records = 0;
    scan.object(|scan, name| match name {
        "Records" => {
            seen.first(0)?;
            scan.array(|scan| {
                records += 1;
                if records > MAX_RECORDS {
                    return None;
                }
                let record = record(scan, metadata)?;
                if !record.is_s3() {
                    return None;
                }
                let verdict = record.decode("", decoder).and_then(fits).ok()?;
                decoder.take(SourceKind::S3, Ok(verdict), String::new);
                Some(())
            })
        }
        _ => scan.skip(),
    })?;
    (records > 0 && scan.is_at_end()).then_some(())
}

/// Which members were seen: one that comes twice is for the general road to judge.
#[derive(Default)]
struct Seen(u32);

impl Seen {
    #[inline]
    fn first(&mut self, member: u32) -> Option<()> {
        let bit = 1 << member;
        let first = self.0 & bit == 0;
        self.0 |= bit;
        first.then_some(())
    }
}

#[inline]
fn text<'a>(scan: &mut Scan<'a>) -> Option<Text<'a>> {
    let text = scan.string_or_null()?.unwrap_or_default();
    Some(Text(Cow::Borrowed(text)))
}

fn record<'a>(scan: &mut Scan<'a>, metadata: bool) -> Option<Record<'a>> {
    let mut record = Record::default();
    let mut seen = Seen::default();
    scan.object(|scan, name| {
        match name {
            "eventVersion" => {
                seen.first(0)?;
                record.event_version = text(scan)?;
            }
            "eventSource" => {
                seen.first(1)?;
                record.event_source = text(scan)?;
            }
            "awsRegion" => {
                seen.first(2)?;
                record.aws_region = text(scan)?;
            }
            "eventTime" => {
                seen.first(3)?;
                record.event_time = text(scan)?;
            }
            "eventName" => {
                seen.first(4)?;
                record.event_name = text(scan)?;
            }
            "userIdentity" => {
                seen.first(5)?;
                let principal_id = only(scan, &["principalId"])?;
                record.user_identity = Some(Principal { principal_id });
            }
            "requestParameters" => {
                seen.first(6)?;
                let source_ip_address = only(scan, &["sourceIPAddress", "sourceIpAddress"])?;
                record.request_parameters = Some(Request { source_ip_address });
            }
            "responseElements" => {
                seen.first(7)?;
                let request_id = only(scan, &["x-amz-request-id"])?;
                record.response_elements = Some(Response { request_id });
            }
            "s3" => {
                seen.first(8)?;
                record.s3 = Some(s3(scan, metadata)?);
            }
            "replicationEventData" => {
                seen.first(9)?;
                let s3_operation = only(scan, &["s3Operation"])?;
                record.replication_event_data = Some(Replication { s3_operation });
            }
            _ => scan.skip()?,
        }
        Some(())
    })?;
    Some(record)
}

/// The one member of an object that matters, by its names.
#[inline]
fn only<'a>(scan: &mut Scan<'a>, names: &[&str]) -> Option<Text<'a>> {
    let mut value = Text::default();
    let mut seen = Seen::default();
    scan.object(|scan, name| {
        if names.contains(&name) {
            seen.first(0)?;
            value = text(scan)?;
            Some(())
        } else {
            scan.skip()
        }
    })?;
    Some(value)
}

fn s3<'a>(scan: &mut Scan<'a>, metadata: bool) -> Option<S3<'a>> {
    let mut s3 = S3::default();
    let mut seen = Seen::default();
    scan.object(|scan, name| {
        match name {
            "bucket" => {
                seen.first(0)?;
                let name = only(scan, &["name"])?;
                s3.bucket = Some(Bucket { name });
            }
            "object" => {
                seen.first(1)?;
                s3.object = Some(object(scan, metadata)?);
            }
            _ => scan.skip()?,
        }
        Some(())
    })?;
    Some(s3)
}

fn object<'a>(scan: &mut Scan<'a>, metadata: bool) -> Option<Object<'a>> {
    let mut object = Object::default();
    let mut seen = Seen::default();
    scan.object(|scan, name| {
        match name {
            "key" => {
                seen.first(0)?;
                object.key = text(scan)?;
            }
            "size" => {
                seen.first(1)?;
                object.size = Whole(Some(scan.whole()?));
            }
            "eTag" | "etag" => {
                seen.first(2)?;
                object.e_tag = text(scan)?;
            }
            "versionId" => {
                seen.first(3)?;
                object.version_id = text(scan)?;
            }
            "sequencer" => {
                seen.first(4)?;
                object.sequencer = text(scan)?;
            }
            // A map or a list, read only where it is wanted.
            "userMetadata" | "metadata" if metadata => return None,
            _ => scan.skip()?,
        }
        Some(())
    })?;
    Some(object)
}
