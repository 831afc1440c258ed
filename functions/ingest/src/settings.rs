//! What an operator may decide about decoding. Every default is what a new installation wants.

use crate::source::vision::Selector;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// Settings of ingest. `Settings::default()` needs no configuration at all; as JSON, what is left out is the default and
/// an unknown member is an error, since a misspelled setting must not be silent.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Account that owns the buckets: `ownerIdentity` and the ARN of an event that does not say (S3's own events name
    /// an opaque owner). Default `000000000000`.
    pub account: String,
    /// Region for events that do not say. Default `us-east-1`.
    pub region: String,
    /// Principals by which replication writes: an event of theirs is `ObjectReplication:*`. A role's unique id
    /// (`AROA...`), or any principal id as the events carry it. Default none: a replica cannot be told from an upload.
    pub replication_roles: BTreeSet<String>,
    /// Where `deltaSize` of a created object comes from.
    pub delta_size: DeltaSize,
    /// Events that the source has and the seeds do not know (a restore that began, a head request). Default: passed
    /// over, so that the default rule is not flooded with names of our invention.
    pub invented: Invented,
    /// Whether Intelligent-Tiering's moves count as `ObjectModified:ChangeStorageClass`. Default no: the seeds' type
    /// tells of lifecycle rules, and a tiering bucket moves much.
    pub tiering_is_storage_class: bool,
    /// Which object operations are taken from CloudTrail.
    pub cloudtrail: CloudTrailScope,
    /// Whether CloudTrail's `DeleteObjects` becomes one `ObjectRemoved:DeleteObjects` with an empty key. Default no:
    /// the record names no keys, and S3 itself reports each key as `ObjectRemoved:DeleteObject`.
    pub keyless_delete_objects: bool,
    /// Whether user metadata named `x-amz-meta-x-NAME` becomes `xVars` member `x:NAME`, from stores whose events carry
    /// the metadata (MinIO, Ceph). Default no.
    pub x_vars_from_metadata: bool,
    /// Whether the store is asked (`HeadObject`) for the user metadata of an object that was put, posted, or completed
    /// from parts, the requests that OSS takes custom parameters of; it becomes `xVars` as above. One request an event;
    /// an object that cannot be asked for has no `xVars`. Needs [`Extras::metadata`](crate::Extras::metadata). Default
    /// no.
    pub x_vars_from_head_object: bool,
    /// Whether an event of a write or a delete that comes after a later one of the same key carries `"stale": true` in
    /// `oss.object`: a member that readers of the seeds' form pass over. Needs
    /// [`Extras::sizes`](crate::Extras::sizes). Default no.
    pub mark_stale: bool,
    /// Seconds for which a further copy of an accepted event is dropped; 0: never. Needs
    /// [`Extras::window`](crate::Extras::window). Default 0: receivers drop copies by message id.
    pub duplicate_window: u32,
    /// Which vision event type a media job ends as, beyond the built-in table; the first that fits wins, and a tag on
    /// the job wins over all.
    pub selectors: Vec<Selector>,
    /// EventBridge sources of the user's own, each with the product whose events they are: `detail-type` is the event
    /// type, the first of `resources` the resource, `detail` the body. Default none.
    pub bus_products: BTreeMap<String, String>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            account: "000000000000".into(),
            region: "us-east-1".into(),
            replication_roles: BTreeSet::new(),
            delta_size: DeltaSize::default(),
            invented: Invented::default(),
            tiering_is_storage_class: false,
            cloudtrail: CloudTrailScope::default(),
            keyless_delete_objects: false,
            x_vars_from_metadata: false,
            x_vars_from_head_object: false,
            mark_stale: false,
            duplicate_window: 0,
            selectors: Vec::new(),
            bus_products: BTreeMap::new(),
        }
    }
}

/// S3 never says how large an overwritten object was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeltaSize {
    /// The size of what was written: right for a new object, too large for an overwrite.
    #[default]
    Size,
    /// Left out where it is not known.
    Omit,
    /// Reckoned from the sizes that were seen: exact for a key whose last write was seen, negative for its delete; the
    /// size of what was written for a key never seen. Left out for an event that comes after a later one of its key
    /// (the later one's change holds it), and where the index does not answer. Needs a sequencer, which CloudTrail has
    /// not: there as [`Size`](DeltaSize::Size). Needs [`Extras::sizes`](crate::Extras::sizes).
    Index,
}

impl Settings {
    /// Reads settings from JSON, for an installation in this account and region.
    ///
    /// # Errors
    /// A sentence that names the member which cannot be read.
    pub fn read(json: &str, account: &str, region: &str) -> Result<Self, String> {
        let settings: Settings = serde_json::from_str(json).map_err(|error| {
            format!("the settings of ingest cannot be read: {error}; they are {json:?}")
        })?;
        Ok(Settings {
            account: account.to_owned(),
            region: region.to_owned(),
            ..settings
        })
    }

    /// Whether writes are told to the index.
    pub(crate) fn observes(&self) -> bool {
        self.mark_stale || self.delta_size == DeltaSize::Index
    }
}

/// What becomes of an event that has no name in the seeds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Invented {
    /// Passed over, with a reason.
    #[default]
    Ignore,
    /// Sent on under a name of our own, for example `ObjectRestore:StartRestore`.
    Emit,
}

/// Which object operations are taken from CloudTrail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CloudTrailScope {
    /// Only those that S3's own notifications lack: else each upload would be told twice.
    #[default]
    #[serde(rename = "what_s3_lacks")]
    WhatS3Lacks,
    /// All: for buckets that send no notifications themselves.
    All,
}
