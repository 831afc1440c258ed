//! The sample workload: rules by prefix with a queue endpoint each, and S3 notifications that they cover.

use carillon_core::event::Timestamp;
use carillon_core::ports::Records;
use carillon_core::rule::{Rule, RuleSpec};
use carillon_core::topic::{QueueName, Subscription, Target, auto_names};
use serde_json::json;
use std::fmt::Write as _;

/// The queue that every rule names.
pub(super) const QUEUE: &str = "bench";

/// Stands before an event's number in its key.
pub(super) const BEFORE_NUMBER: &str = "/part-";

/// An S3 notification of about 790 bytes a record, covered by one of the rules.
pub(super) fn body(number: usize, rules: usize, records: usize) -> String {
    let mut text = String::with_capacity(16 + records * 800);
    text.push_str(r#"{"Records":["#);
    for number in number..number + records {
        if !text.ends_with('[') {
            text.push(',');
        }
        let team = number % rules;
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            concat!(
                r#"{{"eventVersion":"2.1","eventSource":"aws:s3","awsRegion":"us-east-1","#,
                r#""eventTime":"2026-11-22T08:00:00.123Z","eventName":"ObjectCreated:Put","#,
                r#""userIdentity":{{"principalId":"AWS:AROAEXAMPLEEXAMPLEEXA:uploader"}},"#,
                r#""requestParameters":{{"sourceIPAddress":"203.0.113.7"}},"#,
                r#""responseElements":{{"x-amz-request-id":"{number:016X}","#,
                r#""x-amz-id-2":"EXAMPLE123/5678abcdefghijklambdaisawesome/mnopqrstuvwxyzABCDEFGH"}},"#,
                r#""s3":{{"s3SchemaVersion":"1.0","configurationId":"carillon","bucket":{{"name":"data","#,
                r#""ownerIdentity":{{"principalId":"A3NL1KOZZKExample"}},"arn":"arn:aws:s3:::data"}},"#,
                r#""object":{{"key":"team-{team}/2026/11/22/host-123/part-{number:05}.parquet","#,
                r#""size":1024,"eTag":"d41d8cd98f00b204e9800998ecf8427e","sequencer":"{number:016X}"}}}}}}"#,
            ),
            number = number,
            team = team,
        );
    }
    text.push_str("]}");
    text
}

/// The number of the event that a decoded OSS message tells of.
pub(super) fn number_of(message: &str) -> Option<usize> {
    let (_, rest) = message.split_once(BEFORE_NUMBER)?;
    let end = rest.find(|c: char| !c.is_ascii_digit())?;
    rest[..end].parse().ok()
}

/// Rules by prefix, each with so many queue subscriptions, as creating them would store them.
pub(super) fn records(rules: usize, subscriptions: usize) -> Records {
    let now = Timestamp::default();
    let mut records = Records {
        version: 1,
        ..Records::default()
    };
    for number in 0..rules {
        let spec: RuleSpec = serde_json::from_value(json!({
            "ProductName": "oss", "RuleName": format!("team-{number}"), "EventTypes": ["ObjectCreated:*"],
            "MatchRules": [[{"Prefix": format!("data/team-{number}/")}]],
            "Endpoints": [{"EndpointType": "queue", "EndpointValue": QUEUE}],
        }))
        .expect("the bench's own rules have the right shape");
        let mut rule = Rule::from_spec(spec).expect("the bench's own rules are sound");
        let names = auto_names(&rule.product, &rule.name, now, 0);
        for index in 1..=subscriptions {
            let target = Target::Queue(queue());
            records.subscriptions.push(Subscription::auto(
                names.topic(),
                names.subscription(index),
                target,
                now,
            ));
        }
        rule.topic = Some(names.topic());
        records.rules.push(rule);
    }
    records
}

/// The queue's name.
pub(super) fn queue() -> QueueName {
    QueueName::parse(QUEUE).expect("letters alone")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_json_and_tell_their_numbers() {
        let text = body(99_998, 10, 3);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        let keys: Vec<_> = value["Records"]
            .as_array()
            .unwrap()
            .iter()
            .map(|record| record["s3"]["object"]["key"].to_string())
            .collect();
        let numbers: Vec<_> = keys.iter().map(|key| number_of(key)).collect();
        assert_eq!(numbers, [Some(99_998), Some(99_999), Some(100_000)]);
    }
}
