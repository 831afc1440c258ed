//! The coverage table against the code and the seeds.

#![allow(clippy::unwrap_used)]

mod common;

use carillon_ingest::{Hint, Settings, coverage, coverage_markdown, decode};
use std::collections::{BTreeMap, BTreeSet};

/// Every event type of the seeds: 000 (2, 3.1, 3.3, 4.1), 002, 004.
const SEEDS: &[(&str, &[&str])] = &[
    (
        "oss",
        &[
            "ObjectCreated:PutObject",
            "ObjectCreated:PostObject",
            "ObjectCreated:CopyObject",
            "ObjectCreated:InitiateMultipartUpload",
            "ObjectCreated:UploadPart",
            "ObjectCreated:UploadPartCopy",
            "ObjectCreated:CompleteMultipartUpload",
            "ObjectCreated:AppendObject",
            "ObjectCreated:PutSymlink",
            "ObjectDownloaded:GetObject",
            "ObjectModified:UpdateObjectMeta",
            "ObjectModified:ChangeStorageClass",
            "ObjectRemoved:DeleteObject",
            "ObjectRemoved:DeleteObjects",
            "ObjectRemoved:AbortMultipartUpload",
            "ObjectReplication:ObjectCreated",
            "ObjectReplication:ObjectRemoved",
            "ObjectReplication:ObjectModified",
            "ObjectRestore:FinishRestore",
            "BucketQueried:GetBucketReferer",
        ],
    ),
    ("dm", &["Deliver:SendSuccessfully", "Deliver:SendFailed"]),
    ("viapi", &carillon_core::event::vision::EVENT_TYPES),
];

#[test]
fn each_type_of_the_seeds_stands_in_the_table() {
    let covered: BTreeSet<(&str, &str)> = coverage()
        .iter()
        .map(|row| (row.product, row.event_type))
        .collect();
    for (product, types) in SEEDS {
        for event_type in *types {
            assert!(
                covered.contains(&(product, event_type)),
                "no row for {product} {event_type}"
            );
        }
    }
}

#[test]
fn each_sample_becomes_the_event_that_its_row_promises() {
    let bodies: BTreeMap<String, Vec<u8>> = common::bodies().into_iter().collect();
    for row in coverage() {
        let body = bodies
            .get(row.sample)
            .unwrap_or_else(|| panic!("no sample {}", row.sample));
        let decoded = decode(body, &Hint::default(), &Settings::default()).unwrap();
        let found = decoded.events.iter().any(|event| {
            event.product.as_str() == row.product && event.event_type.as_str() == row.event_type
        });
        assert!(
            found,
            "{} gives no {} {}",
            row.sample, row.product, row.event_type
        );
    }
}

#[test]
fn the_coverage_table_is_the_code_s() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("COVERAGE.md");
    let table = coverage_markdown();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &table).unwrap();
    }
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        table,
        "set UPDATE_GOLDEN=1 to write COVERAGE.md anew"
    );
}
