//! What an operator may add to ingest, as flags; each overrules the file of decoding settings.

use super::object_store::{ObjectStore, StoreKeys};
use crate::failure::Failure;
use carillon_embedded::SystemClock;
use carillon_ingest::DeltaSize;
use clap::{Args, ValueEnum};
use std::sync::Arc;

/// See the module.
#[derive(Debug, Args)]
pub(super) struct Choices {
    /// Where `deltaSize` of a storage event comes from; without it, the size of what was written.
    #[arg(long, value_enum, env = "CARILLON_DELTA_SIZE")]
    delta_size: Option<DeltaSizeArg>,
    /// Where `xVars` of a storage event come from; without it, from direct publish alone.
    #[arg(long, value_enum, env = "CARILLON_X_VARS")]
    x_vars: Option<XVarsArg>,
    /// The store that `--x-vars head-object` asks, for example http://127.0.0.1:9000. Its keys are those of
    /// AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; without them requests are not signed.
    #[arg(long, value_name = "URL", env = "CARILLON_OBJECT_STORE")]
    object_store: Option<String>,
    /// Key of the object store.
    #[arg(
        long,
        value_name = "ID",
        env = "AWS_ACCESS_KEY_ID",
        hide = true,
        hide_env_values = true
    )]
    object_store_key_id: Option<String>,
    /// Its secret.
    #[arg(
        long,
        value_name = "SECRET",
        env = "AWS_SECRET_ACCESS_KEY",
        hide = true,
        hide_env_values = true
    )]
    object_store_secret: Option<String>,
    /// Token of a temporary key.
    #[arg(
        long,
        value_name = "TOKEN",
        env = "AWS_SESSION_TOKEN",
        hide = true,
        hide_env_values = true
    )]
    object_store_session: Option<String>,
    /// Drop further copies of an event for so long after it was accepted: 90s, 5m, 24h. 0 drops none.
    #[arg(long, value_name = "TIME", value_parser = seconds, env = "CARILLON_DUPLICATE_WINDOW")]
    duplicate_window: Option<u32>,
    /// Give `"stale": true` to an event of an object that comes after a later one of the same object.
    #[arg(long, env = "CARILLON_MARK_STALE")]
    mark_stale: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum DeltaSizeArg {
    /// The size of what was written.
    Size,
    /// Left out where it is not known.
    Omit,
    /// The sizes seen before: exact for objects whose last write was seen, negative for their deletes.
    Index,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum XVarsArg {
    /// From direct publish alone.
    None,
    /// From `x-amz-meta-x-NAME` in the events of stores that send it (MinIO, Ceph).
    Metadata,
    /// The same, asked of the object store for each object that was put, posted or completed.
    HeadObject,
}

/// Where to listen. Names are not looked up: one of two addresses would be chosen, and who knows which.
pub(super) fn address(text: &str) -> Result<std::net::SocketAddr, String> {
    text.parse().map_err(|_| {
        "write an IP address and a port from 0 to 65535, such as 127.0.0.1:9324 or [::1]:9324; names such as localhost \
         are not looked up"
            .to_owned()
    })
}

/// Reads a time: a number with `s`, `m`, `h` or `d`; 0 alone needs none.
fn seconds(text: &str) -> Result<u32, String> {
    let wrong = || "write a time like 90s, 5m, 24h or 7d, or 0; at most 14d".to_owned();
    if text == "0" {
        return Ok(0);
    }
    let units = [('s', 1), ('m', 60), ('h', 3_600), ('d', 86_400)];
    units
        .into_iter()
        .find_map(|(unit, seconds)| {
            let number: u32 = text.strip_suffix(unit)?.parse().ok()?;
            number.checked_mul(seconds)
        })
        .filter(|seconds| *seconds <= 14 * 86_400)
        .ok_or_else(wrong)
}

impl Choices {
    /// Settings with these choices, and the store to ask.
    pub(super) fn apply(
        &self,
        mut ingest: carillon_ingest::Settings,
        region: &str,
    ) -> Result<(carillon_ingest::Settings, Option<Arc<ObjectStore>>), Failure> {
        if let Some(delta) = self.delta_size {
            ingest.delta_size = match delta {
                DeltaSizeArg::Size => DeltaSize::Size,
                DeltaSizeArg::Omit => DeltaSize::Omit,
                DeltaSizeArg::Index => DeltaSize::Index,
            };
        }
        if let Some(x_vars) = self.x_vars {
            ingest.x_vars_from_metadata = x_vars == XVarsArg::Metadata;
            ingest.x_vars_from_head_object = x_vars == XVarsArg::HeadObject;
        }
        ingest.mark_stale |= self.mark_stale;
        if let Some(seconds) = self.duplicate_window {
            ingest.duplicate_window = seconds;
        }
        let store = match (&self.object_store, ingest.x_vars_from_head_object) {
            (_, false) => None,
            (None, true) => {
                return Err(Failure::Unusable(
                    "--x-vars head-object asks a store: name it with --object-store, for example --object-store http://127.0.0.1:9000"
                        .into(),
                ));
            }
            (Some(endpoint), true) => {
                let store = ObjectStore::new(endpoint, region, self.keys()?, Arc::new(SystemClock));
                let store = store.map_err(|why| {
                    Failure::Unusable(format!(
                        "--object-store {endpoint:?} cannot be used: {why}; write it like http://127.0.0.1:9000"
                    ))
                })?;
                Some(Arc::new(store))
            }
        };
        Ok((ingest, store))
    }

    fn keys(&self) -> Result<Option<StoreKeys>, Failure> {
        match (&self.object_store_key_id, &self.object_store_secret) {
            (Some(id), Some(secret)) => Ok(Some(StoreKeys {
                id: id.clone(),
                secret: secret.clone(),
                session: self.object_store_session.clone(),
            })),
            (None, None) => Ok(None),
            _ => Err(Failure::Unusable(
                "give both AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or neither".into(),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_their_unit() {
        let cases = [
            ("0", 0),
            ("90s", 90),
            ("5m", 300),
            ("24h", 86_400),
            ("14d", 1_209_600),
        ];
        for (text, seconds_of) in cases {
            assert_eq!(seconds(text), Ok(seconds_of), "{text}");
        }
        for text in ["", "5", "m", "-5m", "15d", "5 m", "99999999999s"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
