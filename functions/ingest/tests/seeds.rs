//! The seeds' own examples, byte for byte.
#![allow(clippy::unwrap_used)]

use carillon_core::event::Timestamp;
use carillon_ingest::{Hint, Settings, decode};

fn pretty(json: &str) -> String {
    let value: serde_json::Value = serde_json::from_str(json).unwrap();
    serde_json::to_string_pretty(&value).unwrap()
}

/// Seed 000 (3.2), what the queue receives after an object `a` was put.
const TUTORIAL: &str = r#"{
  "events": [
    {
      "eventName": "ObjectCreated:PutObject",
      "eventSource": "acs:oss",
      "eventTime": "2016-07-05T15:07:59.000Z",
      "eventVersion": "1.0",
      "oss": {
        "bucket": {
          "arn": "acs:oss:cn-shenzhen:12345:event-notification-test",
          "name": "event-notification-test",
          "ownerIdentity": "12345"
        },
        "object": {
          "deltaSize": 0,
          "eTag": "D41D8CD98F00B204E9800998ECF8427E",
          "key": "a",
          "size": 0
        },
        "ossSchemaVersion": "1.0",
        "ruleId": "event-notification-test-rule"
      },
      "region": "cn-shenzhen",
      "requestParameters": {
        "sourceIPAddress": "140.205.**.*"
      },
      "responseElements": {
        "requestId": "577BCD4FF3D45CE477F2****"
      },
      "userIdentity": {
        "principalId": "139040265003****"
      }
    }
  ]
}"#;

/// The S3 put that it corresponds to.
const TUTORIAL_PUT: &str = r#"{"Records": [{
    "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "cn-shenzhen",
    "eventTime": "2016-07-05T15:07:59.000Z", "eventName": "ObjectCreated:Put",
    "userIdentity": {"principalId": "139040265003****"},
    "requestParameters": {"sourceIPAddress": "140.205.**.*"},
    "responseElements": {"x-amz-request-id": "577BCD4FF3D45CE477F2****", "x-amz-id-2": "x"},
    "s3": {"s3SchemaVersion": "1.0", "configurationId": "c",
           "bucket": {"name": "event-notification-test", "ownerIdentity": {"principalId": "A3NL1KOZZKExample"},
                      "arn": "arn:aws:s3:::event-notification-test"},
           "object": {"key": "a", "size": 0, "eTag": "D41D8CD98F00B204E9800998ECF8427E", "sequencer": "00"}}}]}"#;

/// Seed 000 (3.1).
const DOWNLOAD: &str = r#"{
  "events": [
    {
      "eventName": "ObjectDownloaded:GetObject",
      "eventSource": "acs:oss",
      "eventTime": "2016-07-01T11:17:30.000Z",
      "eventVersion": "1.0",
      "oss": {
        "bucket": {
          "arn": "acs:oss:cn-shenzhen:114893010724****:event-notification-test-shenzhen",
          "name": "event-notification-test-shenzhen",
          "ownerIdentity": "114893010724****"
        },
        "object": {
          "deltaSize": 0,
          "eTag": "0CC175B9C0F1B6A831C399E269772661",
          "key": "test",
          "readFrom": 0,
          "readTo": 1,
          "size": 1
        },
        "ossSchemaVersion": "1.0",
        "ruleId": "GetObjectRule"
      },
      "region": "cn-shenzhen",
      "requestParameters": {
        "sourceIPAddress": "140.205.**.**"
      },
      "responseElements": {
        "requestId": "5776514AF09A9E654242****"
      },
      "userIdentity": {
        "principalId": "114893010724****"
      },
      "xVars": {
        "x:callback-var1": "value1",
        "x:vallback-var2": "value2"
      }
    }
  ]
}"#;

#[test]
fn the_tutorial_s_message_comes_out_of_an_s3_put_byte_for_byte() {
    let settings = Settings {
        account: "12345".into(),
        ..Settings::default()
    };
    let decoded = decode(TUTORIAL_PUT.as_bytes(), &Hint::default(), &settings).unwrap();
    let published = published(&decoded.events[0].body, "event-notification-test-rule");
    assert_eq!(pretty(&published), TUTORIAL);
    assert_eq!(decoded.events[0].resource, "event-notification-test/a");
    assert_eq!(
        decoded.events[0].time,
        Timestamp::parse("2016-07-05T15:07:59.000Z").unwrap()
    );
}

#[test]
fn a_published_event_keeps_its_text_and_gets_the_name_of_its_rule() {
    use base64::Engine as _;
    let encoded = base64::engine::general_purpose::STANDARD.encode(DOWNLOAD);
    let broken_lines = encoded
        .as_bytes()
        .chunks(76)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect::<Vec<_>>()
        .join("\r\n");
    let one_object = DOWNLOAD
        .replace("\"events\": [", "\"events\": ")
        .replace("\n  ]\n}", "\n}");
    let alone: serde_json::Value = serde_json::from_str(DOWNLOAD).unwrap();
    let alone = alone["events"][0].to_string();
    let mut ids = Vec::new();
    for body in [
        DOWNLOAD,
        &encoded,
        &broken_lines,
        &one_object,
        &format!("\u{feff}{DOWNLOAD}"),
        &alone,
    ] {
        let decoded = decode(body.as_bytes(), &Hint::default(), &Settings::default()).unwrap();
        assert_eq!(decoded.events.len(), 1, "{body}");
        assert_eq!(
            pretty(&published(&decoded.events[0].body, "GetObjectRule")),
            DOWNLOAD
        );
        ids.push(decoded.events[0].id);
    }
    assert!(
        ids.windows(2).all(|pair| pair[0] == pair[1]),
        "one event, one identity: {ids:?}"
    );
}

/// Seed 000 (3.3) prints the beginning of a bucket-level event.
#[test]
fn a_bucket_level_event_has_the_bucket_as_its_resource() {
    let body = r#"{"events": [{"eventName": "BucketQueried:GetBucketReferer", "eventSource": "acs:oss",
        "eventTime": "2019-12-10T08:57:46.000Z", "oss": {"bucket": {"name": "event-notify-demo"}}}]}"#;
    let decoded = decode(body.as_bytes(), &Hint::default(), &Settings::default()).unwrap();
    assert_eq!(decoded.events[0].resource, "event-notify-demo");
    assert_eq!(
        decoded.events[0].event_type.as_str(),
        "BucketQueried:GetBucketReferer"
    );
}

/// What a queue's consumer decodes, checked against the text form.
fn published(body: &carillon_core::event::Body, rule: &str) -> String {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(body.publish(rule))
        .unwrap();
    String::from_utf8(bytes).unwrap()
}
