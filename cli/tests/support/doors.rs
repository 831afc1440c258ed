//! The public doors as a publisher and a consumer use them, over plain HTTP: numbered events in, numbered messages out.

use base64::Engine as _;
use std::collections::BTreeMap;
use std::time::Duration;

/// A client that may meet a service that is gone.
#[derive(Clone)]
pub(crate) struct Doors {
    agent: ureq::Agent,
    url: String,
}

/// What a publisher was told.
#[derive(Debug)]
pub(crate) enum Told {
    Accepted,
    /// The status and the body of another answer.
    Refused(u16, String),
    /// No whole answer came.
    Nothing,
}

impl Doors {
    pub(crate) fn of(url: &str) -> Doors {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .timeout_global(Some(Duration::from_secs(120)))
            .build()
            .into();
        Doors {
            agent,
            url: url.to_owned(),
        }
    }

    /// Publishes one body of events with these numbers, each of about so many bytes.
    pub(crate) fn publish(&self, numbers: std::ops::Range<u64>, size: usize) -> Told {
        let padding = "p".repeat(size);
        let events: Vec<String> = numbers
            .map(|number| {
                format!(
                    r#"{{"eventName":"ObjectCreated:PutObject","eventSource":"acs:oss","eventTime":"2026-11-22T12:00:00.000Z","oss":{{"bucket":{{"name":"crash"}},"object":{{"key":"n/{number}","size":1,"eTag":"{padding}"}}}},"responseElements":{{"requestId":"R{number}"}}}}"#
                )
            })
            .collect();
        let body = format!(r#"{{"events":[{}]}}"#, events.join(","));
        let Ok(mut response) = self.agent.post(format!("{}/events", self.url)).send(&body) else {
            return Told::Nothing;
        };
        let status = response.status().as_u16();
        match response.body_mut().read_to_string() {
            Err(_) => Told::Nothing,
            Ok(_) if status == 200 => Told::Accepted,
            Ok(text) => Told::Refused(status, text),
        }
    }

    /// Receives up to sixteen messages of a queue and deletes them; counts the numbers in them. None when the service is
    /// gone before it has answered.
    pub(crate) fn consume(&self, queue: &str, seen: &mut BTreeMap<u64, u32>) -> Option<usize> {
        let messages = format!("{}/queues/{queue}/messages", self.url);
        let mut response = self
            .agent
            .get(format!("{messages}?numOfMessages=16"))
            .call()
            .ok()?;
        let status = response.status().as_u16();
        let text = response.body_mut().read_to_string().ok()?;
        if status != 200 {
            assert!(
                text.contains("MessageNotExist") || status >= 500,
                "{status} {text}"
            );
            return Some(0);
        }
        let bodies = elements(&text, "MessageBody");
        for body in &bodies {
            *seen.entry(number(body)).or_default() += 1;
        }
        let handles: String = elements(&text, "ReceiptHandle")
            .iter()
            .map(|handle| format!("<ReceiptHandle>{handle}</ReceiptHandle>"))
            .collect();
        let body = format!(
            r#"<?xml version="1.0"?><ReceiptHandles xmlns="http://mns.aliyuncs.com/doc/v1/">{handles}</ReceiptHandles>"#
        );
        // A delete that is not answered leaves the messages to come again: counted like any repeat.
        let _ = self.agent.delete(&messages).force_send_body().send(&body);
        Some(bodies.len())
    }
}

/// Makes the queue `q`, with this visibility timeout in seconds, and a rule that sends it what is published here.
pub(crate) fn furnish(service: &super::Service, visibility: u32) {
    let visibility = visibility.to_string();
    let queue = ["queue", "create", "q", "--visibility-timeout", &visibility];
    service.run(&queue).ok();
    let rule = "rule create all --event-type ObjectCreated:* --prefix crash/ --queue q";
    service.run(&rule.split(' ').collect::<Vec<_>>()).ok();
}

fn elements<'a>(xml: &'a str, name: &str) -> Vec<&'a str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    xml.split(&open)
        .skip(1)
        .map(|rest| rest.split(&close).next().unwrap())
        .collect()
}

fn number(body: &str) -> u64 {
    let decoded = base64::engine::general_purpose::STANDARD
        .decode(body)
        .unwrap();
    let json: serde_json::Value = serde_json::from_slice(&decoded).unwrap();
    let key = json.pointer("/events/0/oss/object/key").unwrap();
    key.as_str()
        .unwrap()
        .trim_start_matches("n/")
        .parse()
        .unwrap()
}
