//! Names of S3 events, and the OSS event types they stand for.

use crate::settings::{Invented, Settings};
use std::borrow::Cow;

/// What an S3 event name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Meaning<'a> {
    /// This OSS event type.
    Type(Cow<'a, str>),
    /// Nothing to tell anybody; why.
    Ignored(String),
}

/// One row of the table: S3's name without the `s3:` prefix, and what it stands for.
struct Row(&'static str, To);

enum To {
    /// A type of the seeds.
    Seed(&'static str),
    /// A name of our own: the seeds have no such type.
    Invented(&'static str),
    /// Nothing happened.
    Nothing(&'static str),
    /// As [`Seed`](To::Seed), when `tiering_is_storage_class` is set.
    Tiering,
    /// Depends on `replicationEventData.s3Operation`.
    LateReplica,
}

const META: To = To::Seed("ObjectModified:UpdateObjectMeta");
const DELETE: To = To::Seed("ObjectRemoved:DeleteObject");

/// S3's names (S3 User Guide, "Supported event types for SQS, SNS, and Lambda"), MinIO's further ones (MinIO bucket
/// notification guide) and Ceph's (S3 bucket notifications compatibility), against the types of seeds 000, 002, 004.
const TABLE: &[Row] = &[
    Row("ObjectCreated:Put", To::Seed("ObjectCreated:PutObject")),
    Row("ObjectCreated:Post", To::Seed("ObjectCreated:PostObject")),
    Row("ObjectCreated:Copy", To::Seed("ObjectCreated:CopyObject")),
    Row(
        "ObjectCreated:CompleteMultipartUpload",
        To::Seed("ObjectCreated:CompleteMultipartUpload"),
    ),
    // A delete on a versioned bucket notifies too: the seeds' documents disagree, and silence would lose it.
    Row("ObjectRemoved:Delete", DELETE),
    Row("ObjectRemoved:DeleteMarkerCreated", DELETE),
    // Operations by lifecycle rules notify (seed 000, 3.1).
    Row("LifecycleExpiration:Delete", DELETE),
    Row("LifecycleExpiration:DeleteMarkerCreated", DELETE),
    Row(
        "LifecycleTransition",
        To::Seed("ObjectModified:ChangeStorageClass"),
    ),
    Row("IntelligentTiering", To::Tiering),
    Row("IntelligentTiering:TransitionAccess", To::Tiering),
    Row("ObjectTagging:Put", META),
    Row("ObjectTagging:Delete", META),
    Row("ObjectAcl:Put", META),
    Row("ObjectAnnotation:Put", META),
    Row("ObjectAnnotation:Delete", META),
    Row("ObjectRetention:Put", META),
    Row(
        "ObjectRestore:Completed",
        To::Seed("ObjectRestore:FinishRestore"),
    ),
    Row(
        "ObjectRestore:Post",
        To::Invented("ObjectRestore:StartRestore"),
    ),
    Row(
        "ObjectRestore:Delete",
        To::Invented("ObjectRestore:ExpireRestore"),
    ),
    Row(
        "ReducedRedundancyLostObject",
        To::Invented("ObjectLost:ReducedRedundancy"),
    ),
    Row(
        "Replication:OperationReplicatedAfterThreshold",
        To::LateReplica,
    ),
    Row(
        "Replication:OperationFailedReplication",
        To::Invented("ReplicationTracked:Failed"),
    ),
    Row(
        "Replication:OperationNotTracked",
        To::Invented("ReplicationTracked:NotTracked"),
    ),
    Row(
        "Replication:OperationMissedThreshold",
        To::Invented("ReplicationTracked:MissedThreshold"),
    ),
    // MinIO.
    Row("ObjectAccessed:Get", To::Seed("ObjectDownloaded:GetObject")),
    Row(
        "ObjectAccessed:Head",
        To::Invented("ObjectQueried:HeadObject"),
    ),
    Row(
        "ObjectAccessed:GetRetention",
        To::Invented("ObjectQueried:GetObjectRetention"),
    ),
    Row(
        "ObjectAccessed:GetLegalHold",
        To::Invented("ObjectQueried:GetObjectLegalHold"),
    ),
    Row(
        "ObjectAccessed:Attributes",
        To::Invented("ObjectQueried:GetObjectAttributes"),
    ),
    Row("ObjectCreated:PutTagging", META),
    Row("ObjectCreated:DeleteTagging", META),
    Row("ObjectCreated:PutRetention", META),
    Row("ObjectCreated:PutLegalHold", META),
    Row("ObjectRemoved:DeleteAllVersions", DELETE),
    Row("LifecycleDelMarkerExpiration:Delete", DELETE),
    Row(
        "ObjectRemoved:NoOP",
        To::Nothing("MinIO tells of a delete that found nothing"),
    ),
    Row(
        "ObjectTransition:Complete",
        To::Seed("ObjectModified:ChangeStorageClass"),
    ),
    Row(
        "ObjectTransition:Failed",
        To::Nothing("a failed operation notifies nobody (seed 000, 3.1)"),
    ),
    Row(
        "Replication:OperationCompletedReplication",
        To::Invented("ReplicationTracked:Completed"),
    ),
    Row("BucketCreated:*", To::Seed("BucketCreated:PutBucket")),
    Row("BucketRemoved:*", To::Seed("BucketRemoved:DeleteBucket")),
    Row(
        "Scanner:ManyVersions",
        To::Invented("BucketScanned:ManyVersions"),
    ),
    Row(
        "Scanner:LargeVersions",
        To::Invented("BucketScanned:LargeVersions"),
    ),
    Row("Scanner:BigPrefix", To::Invented("BucketScanned:BigPrefix")),
    // Ceph.
    Row("ObjectLifecycle:Expiration:Current", DELETE),
    Row("ObjectLifecycle:Expiration:NonCurrent", DELETE),
    Row("ObjectLifecycle:Expiration:Noncurrent", DELETE),
    Row("ObjectLifecycle:Expiration:DeleteMarker", DELETE),
    Row(
        "ObjectLifecycle:Expiration:AbortMultipartUpload",
        To::Seed("ObjectRemoved:AbortMultipartUpload"),
    ),
    Row(
        "ObjectLifecycle:Expiration:AbortMPU",
        To::Seed("ObjectRemoved:AbortMultipartUpload"),
    ),
    Row(
        "ObjectLifecycle:Transition:Current",
        To::Seed("ObjectModified:ChangeStorageClass"),
    ),
    Row(
        "ObjectLifecycle:Transition:NonCurrent",
        To::Seed("ObjectModified:ChangeStorageClass"),
    ),
    Row(
        "ObjectLifecycle:Transition:Noncurrent",
        To::Seed("ObjectModified:ChangeStorageClass"),
    ),
    Row(
        "ObjectSynced:Create",
        To::Seed("ObjectReplication:ObjectCreated"),
    ),
    Row(
        "ObjectSynced:Delete",
        To::Seed("ObjectReplication:ObjectRemoved"),
    ),
    Row(
        "ObjectSynced:DeletionMarkerCreated",
        To::Seed("ObjectReplication:ObjectRemoved"),
    ),
];

/// What an S3 event name stands for; a leading `s3:` (event configurations and some fixtures have it) does not matter.
/// A name outside the table is passed through as it is: the set of names is open.
///
/// `s3_operation` is `replicationEventData.s3Operation`, which one name depends on.
pub(crate) fn meaning<'a>(name: &'a str, s3_operation: &str, settings: &Settings) -> Meaning<'a> {
    let name = name.strip_prefix("s3:").unwrap_or(name);
    let Some(Row(_, to)) = TABLE.iter().find(|Row(from, _)| *from == name) else {
        return Meaning::Type(Cow::Borrowed(name));
    };
    match to {
        To::Seed(to) => Meaning::Type(Cow::Borrowed(to)),
        To::Nothing(why) => Meaning::Ignored(format!("{name}: {why}")),
        To::Invented(to) => invented(name, to, settings),
        To::Tiering if settings.tiering_is_storage_class => {
            Meaning::Type(Cow::Borrowed("ObjectModified:ChangeStorageClass"))
        }
        To::Tiering => Meaning::Ignored(format!(
            "{name}: the seeds' ChangeStorageClass tells of lifecycle rules; turn on tiering_is_storage_class to take it"
        )),
        To::LateReplica => match s3_operation {
            "OBJECT_PUT" => Meaning::Type(Cow::Borrowed("ObjectReplication:ObjectCreated")),
            _ => invented(
                name,
                "ReplicationTracked:ReplicatedAfterThreshold",
                settings,
            ),
        },
    }
}

/// A name that the seeds do not have.
pub(crate) fn invented<'a>(name: &str, to: &'a str, settings: &Settings) -> Meaning<'a> {
    match settings.invented {
        Invented::Emit => Meaning::Type(Cow::Borrowed(to)),
        Invented::Ignore => Meaning::Ignored(format!(
            "{name}: the seeds have no such event type; turn on invented names to receive it as {to}"
        )),
    }
}
