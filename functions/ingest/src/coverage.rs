//! Which event type of the seeds comes from where, and how faithfully.

use Exactness::{ByTag, DirectPublish, Exact, Nearest};
use std::fmt;

/// How near what arrives comes to the seeds' event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exactness {
    /// The same operation, with all that the source tells of it.
    Exact,
    /// The operation that comes nearest; the note says how it differs.
    Nearest,
    /// The user says which jobs are meant, by a tag or a selector.
    ByTag,
    /// No AWS service tells of it: the publisher does.
    DirectPublish,
}

impl fmt::Display for Exactness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Exactness::Exact => "exact",
            Exactness::Nearest => "nearest",
            Exactness::ByTag => "by tag",
            Exactness::DirectPublish => "direct publish",
        })
    }
}

/// One event type of the seeds, from one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coverage {
    /// `oss`, `dm` or `viapi`.
    pub product: &'static str,
    /// The event type, canonical spelling.
    pub event_type: &'static str,
    /// Who tells of it.
    pub source: &'static str,
    /// How faithfully.
    pub exactness: Exactness,
    /// A body of `events/ingest/bodies` that becomes such an event by the default settings.
    pub sample: &'static str,
    /// What to know of it; may be empty.
    pub note: &'static str,
}

const fn row(
    product: &'static str,
    event_type: &'static str,
    source: &'static str,
    exactness: Exactness,
    sample: &'static str,
    note: &'static str,
) -> Coverage {
    Coverage {
        product,
        event_type,
        source,
        exactness,
        sample,
        note,
    }
}

const S3: &str = "S3 notification, EventBridge";
const TRAIL: &str = "CloudTrail data events";
const MANAGEMENT: &str = "CloudTrail management events";
const DIRECT: &str = "direct publish";
const MEDIA: &str = "MediaConvert, by `userMetadata`";

const TABLE: &[Coverage] = &[
    row(
        "oss",
        "ObjectCreated:PutObject",
        S3,
        Exact,
        "s3-object-created-put.json",
        "`deltaSize` is the size, or with the size index the change: S3 does not say what was overwritten",
    ),
    row(
        "oss",
        "ObjectCreated:PutObject",
        "MinIO, Ceph RGW",
        Exact,
        "minio-put.json",
        "",
    ),
    row(
        "oss",
        "ObjectCreated:PostObject",
        S3,
        Exact,
        "s3-post.json",
        "",
    ),
    row(
        "oss",
        "ObjectCreated:CopyObject",
        S3,
        Exact,
        "s3-copy.json",
        "",
    ),
    row(
        "oss",
        "ObjectCreated:CompleteMultipartUpload",
        S3,
        Exact,
        "s3-complete-multipart.json",
        "",
    ),
    row(
        "oss",
        "ObjectCreated:InitiateMultipartUpload",
        TRAIL,
        Exact,
        "syn-eb-ct-createmultipartupload.json",
        "",
    ),
    row(
        "oss",
        "ObjectCreated:UploadPart",
        TRAIL,
        Exact,
        "syn-eb-ct-uploadpart.json",
        "`size` is what was transferred",
    ),
    row(
        "oss",
        "ObjectCreated:UploadPartCopy",
        TRAIL,
        Exact,
        "syn-eb-ct-uploadpartcopy.json",
        "without `size`: the record has none",
    ),
    row(
        "oss",
        "ObjectCreated:AppendObject",
        "CloudTrail data events of S3 Express",
        Nearest,
        "syn-eb-ct-s3express-append.json",
        "if the record has the write offset, which is not established",
    ),
    row(
        "oss",
        "ObjectCreated:AppendObject",
        DIRECT,
        DirectPublish,
        "oss-direct-only.json",
        "general-purpose buckets have no append",
    ),
    row(
        "oss",
        "ObjectCreated:PutSymlink",
        DIRECT,
        DirectPublish,
        "oss-direct-only.json",
        "S3 has no symbolic links",
    ),
    row(
        "oss",
        "ObjectDownloaded:GetObject",
        TRAIL,
        Exact,
        "syn-eb-ct-getobject-full.json",
        "`readFrom` and `readTo` from `Range`, where the record has it",
    ),
    row(
        "oss",
        "ObjectDownloaded:GetObject",
        "MinIO",
        Exact,
        "minio-get.json",
        "",
    ),
    row(
        "oss",
        "ObjectModified:UpdateObjectMeta",
        S3,
        Nearest,
        "s3-tagging-put.json",
        "tags, ACL, annotations and retention; header metadata cannot be changed in place on S3",
    ),
    row(
        "oss",
        "ObjectModified:ChangeStorageClass",
        S3,
        Exact,
        "s3-lifecycle-transition.json",
        "Intelligent-Tiering by setting",
    ),
    row(
        "oss",
        "ObjectRemoved:DeleteObject",
        S3,
        Exact,
        "sam-s3-delete.json",
        "delete markers and lifecycle expiry included",
    ),
    row(
        "oss",
        "ObjectRemoved:DeleteObject",
        "MinIO, Ceph RGW",
        Exact,
        "minio-delete.json",
        "",
    ),
    row(
        "oss",
        "ObjectRemoved:DeleteObjects",
        DIRECT,
        DirectPublish,
        "oss-direct-only.json",
        "S3 tells of each key as DeleteObject; CloudTrail's keyless record by setting",
    ),
    row(
        "oss",
        "ObjectRemoved:AbortMultipartUpload",
        TRAIL,
        Exact,
        "syn-eb-ct-abortmultipartupload.json",
        "uploads that a lifecycle rule aborts have no event",
    ),
    row(
        "oss",
        "ObjectReplication:ObjectCreated",
        S3,
        Nearest,
        "s3-replicated-late.json",
        "late replicas; all replicas by naming the replication role in the settings",
    ),
    row(
        "oss",
        "ObjectReplication:ObjectCreated",
        "Ceph RGW multisite",
        Exact,
        "ceph-synced-create.json",
        "",
    ),
    row(
        "oss",
        "ObjectReplication:ObjectModified",
        DIRECT,
        DirectPublish,
        "oss-direct-only.json",
        "a replica that overwrites looks like one that does not",
    ),
    row(
        "oss",
        "ObjectReplication:ObjectRemoved",
        DIRECT,
        DirectPublish,
        "oss-direct-only.json",
        "from S3 by naming the replication role",
    ),
    row(
        "oss",
        "ObjectRestore:FinishRestore",
        S3,
        Exact,
        "s3-restore-completed.json",
        "",
    ),
    row(
        "oss",
        "BucketQueried:GetBucketReferer",
        DIRECT,
        DirectPublish,
        "oss-bucket-level.json",
        "S3 has no Referer list",
    ),
    row(
        "oss",
        "BucketQueried:GetBucketCors",
        MANAGEMENT,
        Nearest,
        "syn-eb-ct-getbucketcors.json",
        "each read of a bucket's configuration is `BucketQueried:` and the call's name",
    ),
    row(
        "dm",
        "Deliver:SendSuccessfully",
        "SES, both notification formats",
        Exact,
        "ses-pub-delivery.json",
        "one event a recipient",
    ),
    row(
        "dm",
        "Deliver:SendFailed",
        "SES, both notification formats",
        Exact,
        "ses-pub-bounce.json",
        "bounce, complaint, reject and rendering failure, with the seed's statuses",
    ),
    row(
        "dm",
        "Deliver:SendSuccessfully",
        DIRECT,
        DirectPublish,
        "mail-success.txt",
        "",
    ),
    row(
        "dm",
        "Deliver:SendFailed",
        DIRECT,
        DirectPublish,
        "mail-failed.txt",
        "",
    ),
    row(
        "viapi",
        "AbstractEcommerceVideo",
        DIRECT,
        DirectPublish,
        "jobs-every-type.json",
        "Bedrock Data Automation by a selector",
    ),
    row(
        "viapi",
        "AbstractFilmVideo",
        "Bedrock Data Automation, video",
        Nearest,
        "syn-eb-bda-succeeded.json",
        "a summary of the video",
    ),
    row(
        "viapi",
        "EraseVideoSubtitles",
        MEDIA,
        ByTag,
        "eb-mediaconvert-tagged-EraseVideoSubtitles.json",
        "MediaConvert cannot erase; a job of yours that does can carry the tag",
    ),
    row(
        "viapi",
        "EraseVideoLogo",
        MEDIA,
        ByTag,
        "eb-mediaconvert-tagged-EraseVideoLogo.json",
        "as above",
    ),
    row(
        "viapi",
        "SuperResolveVideo",
        MEDIA,
        ByTag,
        "eb-mediaconvert-tagged-SuperResolveVideo.json",
        "an upscaling job",
    ),
    row(
        "viapi",
        "AdjustVideoColor",
        MEDIA,
        ByTag,
        "eb-mediaconvert-tagged-AdjustVideoColor.json",
        "a job with a colour corrector",
    ),
    row(
        "viapi",
        "GenerateVideo",
        DIRECT,
        DirectPublish,
        "jobs-every-type.json",
        "Bedrock's asynchronous invocation has no documented event",
    ),
    row(
        "viapi",
        "SegmentVideoBody",
        DIRECT,
        DirectPublish,
        "jobs-every-type.json",
        "",
    ),
    row(
        "viapi",
        "GenerateVideoCover",
        MEDIA,
        ByTag,
        "eb-mediaconvert-tagged-GenerateVideoCover.json",
        "a frame capture",
    ),
    row(
        "viapi",
        "DetectVideoShot",
        "Rekognition segment detection",
        Exact,
        "rekognition-shots.json",
        "the result points to the video",
    ),
    row(
        "viapi",
        "TrimDocument",
        "Textract document analysis",
        Nearest,
        "textract-document-analysis.json",
        "untagged jobs; the result points to the document",
    ),
    row(
        "viapi",
        "DetectCovid19Cad",
        DIRECT,
        DirectPublish,
        "jobs-every-type.json",
        "",
    ),
];

/// The table, in the seeds' order.
#[must_use]
pub fn coverage() -> &'static [Coverage] {
    TABLE
}

/// The table as Markdown: what stands in `COVERAGE.md` beside this crate, and in the README.
#[must_use]
pub fn coverage_markdown() -> String {
    let mut text = String::from(
        "# Which event comes from where\n\n\
         Made from `src/coverage.rs` by the test `the_coverage_table_is_the_code_s` (`UPDATE_GOLDEN=1` writes it anew). Every\n\
         type can also be published directly, and `Group:*` covers names that no list has yet.\n\n\
         | product | event type | source | exactness | sample | note |\n|---|---|---|---|---|---|\n",
    );
    for row in TABLE {
        text.push_str(&format!(
            "| {} | `{}` | {} | {} | `{}` | {} |\n",
            row.product, row.event_type, row.source, row.exactness, row.sample, row.note
        ));
    }
    text.push_str(
        "\nSeed 000 (1) lists two more products: MNS itself, without any event type, and the log service, as not yet\n\
         supported. Neither has events here. A product of your own is published directly (`own-event.json`), or comes from\n\
         your own events on EventBridge by the setting `bus_products`.\n",
    );
    text
}
