//! The sample that decoding is measured by, and the parse that it is measured against.

use serde::Deserialize;

/// One S3 notification as S3 sends it: without blanks.
pub(crate) fn body() -> String {
    let sample = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../events/ingest/bodies/s3-object-created-put.json"
    );
    let value: serde_json::Value = serde_json::from_slice(&std::fs::read(sample).unwrap()).unwrap();
    value.to_string()
}

/// The same text parsed by `serde_json` into structs of its members, owned.
pub(crate) fn parse(body: &str) -> Typed {
    serde_json::from_str(body).unwrap()
}

/// The members that decoding reads, owned, as a first draft would have them.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
#[allow(dead_code)]
pub(crate) struct Typed {
    pub(crate) records: Vec<Record>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(dead_code)]
pub(crate) struct Record {
    event_version: String,
    event_source: String,
    aws_region: String,
    event_time: String,
    event_name: String,
    user_identity: User,
    request_parameters: Request,
    response_elements: Response,
    s3: S3,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(dead_code)]
struct User {
    principal_id: String,
}

#[derive(Deserialize)]
#[allow(dead_code)]
struct Request {
    #[serde(rename = "sourceIPAddress")]
    source_ip_address: String,
}

#[derive(Deserialize)]
#[allow(dead_code)]
struct Response {
    #[serde(rename = "x-amz-request-id")]
    request_id: String,
    #[serde(rename = "x-amz-id-2")]
    id_2: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(dead_code)]
struct S3 {
    s3_schema_version: String,
    configuration_id: String,
    bucket: Bucket,
    object: Object,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(dead_code)]
struct Bucket {
    name: String,
    owner_identity: User,
    arn: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(dead_code)]
struct Object {
    key: String,
    size: u64,
    e_tag: String,
    version_id: Option<String>,
    sequencer: String,
}
