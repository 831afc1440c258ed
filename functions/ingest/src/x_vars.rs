//! `xVars` from object metadata, where the store's own event carries it.
//!
//! OSS takes custom parameters from the request (Callback); S3-style stores have none, and user metadata comes nearest:
//! `x-amz-meta-x-NAME: value` becomes `"x:NAME": "value"`. Only legal parameters are taken (keys begin with `x:` and
//! are lower case, OSS help "Callback"); an illegal one is left out, never the event.

use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// Of MinIO's `userMetadata` (a map) and Ceph's `metadata` (a list of `{key, val}`).
pub(crate) fn of_metadata(
    map: Option<&RawValue>,
    list: Option<&RawValue>,
) -> BTreeMap<String, String> {
    #[derive(serde::Deserialize)]
    struct Pair {
        key: String,
        val: String,
    }
    let map: BTreeMap<String, String> = map
        .and_then(|map| serde_json::from_str(map.get()).ok())
        .unwrap_or_default();
    let list: Vec<Pair> = list
        .and_then(|list| serde_json::from_str(list.get()).ok())
        .unwrap_or_default();
    map.into_iter()
        .chain(list.into_iter().map(|pair| (pair.key, pair.val)))
        .filter_map(|(name, value)| Some((key(&name)?, value)))
        .collect()
}

/// Of the answer to `HeadObject`: names come without `x-amz-meta-`.
pub(crate) fn of_head(metadata: Vec<(String, String)>) -> BTreeMap<String, String> {
    metadata
        .into_iter()
        .filter_map(|(name, value)| Some((key(&format!("x-amz-meta-{name}"))?, value)))
        .collect()
}

/// `X-Amz-Meta-X-Name` (stores differ in case) -> `x:name`.
fn key(name: &str) -> Option<String> {
    let name = name.to_ascii_lowercase();
    let name = name.strip_prefix("x-amz-meta-x-")?;
    let legal = !name.is_empty()
        && name
            .bytes()
            .all(|b| b.is_ascii_graphic() && !b.is_ascii_uppercase());
    legal.then(|| format!("x:{name}"))
}
