//! The steps of the demo, and what must come of each.

use super::receiver::Receiver;
use crate::client::Client;
use crate::commands::queue::decoded;
use crate::commands::rule::parameters;
use crate::failure::{Failure, Outcome};
use crate::output::{BAD, DIM, GOOD, HEADING, say};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const QUEUE: &str = "MyQueue";
const RULE: &str = "event-notification-test-rule";
const S3_PUT: &str = include_str!("../../../events/tutorial/s3-put.json");
/// The message of seed 000, 3.2, byte for byte.
const EXPECTED_PUT: &str = include_str!("../../../events/tutorial/expected-3.2.json");
const BUCKET_REFERER: &str = include_str!("../../../events/tutorial/bucket-referer.json");
const UNCOVERED: &str = include_str!("../../../events/tutorial/uncovered.json");
const BROKEN: &str = include_str!("../../../events/tutorial/broken.json");

/// Longest wait for a notification; one that takes longer has not come out as expected.
const PATIENCE: Duration = Duration::from_secs(30);
/// Samples of the latency figure at the end.
const SAMPLES: usize = 40;

/// Plays all steps; gives how many did not come out as expected.
pub(super) fn play(client: &Client, receiver: &Receiver) -> Result<usize, Failure> {
    let mut demo = Demo {
        client,
        receiver,
        findings: 0,
    };
    demo.new_rule()?;
    demo.http_endpoint()?;
    demo.uncovered()?;
    demo.default_rule()?;
    demo.broken_body()?;
    demo.latency()?;
    Ok(demo.findings)
}

struct Demo<'a> {
    client: &'a Client,
    receiver: &'a Receiver,
    findings: usize,
}

/// Something that came out of a queue or at the receiver.
struct Arrived {
    body: String,
    after: Duration,
}

impl Demo<'_> {
    /// Tutorial 3.2: a rule, a queue, an S3 put of object `a`.
    fn new_rule(&mut self) -> Outcome {
        heading("Tutorial 3.2: a new rule");
        self.client
            .action("CreateQueue", &[("QueueName", QUEUE.to_owned())])?;
        step(&format!("created queue {QUEUE}"));
        self.rule("CreateEventRule", RULE, &[("queue", QUEUE)])?;
        step(&format!(
            "created rule {RULE}: PutObject and PostObject on bucket event-notification-test -> {QUEUE}"
        ));
        let sent = self.send("an S3 put of object a", S3_PUT, 1, Some("Success"))?;
        let arrived = self.take(sent)?;
        self.print("queue MyQueue received", arrived.as_ref());
        let same = arrived.is_some_and(|arrived| {
            decoded(&arrived.body).as_deref() == Some(EXPECTED_PUT.trim_end())
        });
        self.check(
            "the message is the one that seed 000 (3.2) prints, to the byte",
            same,
        );
        Ok(())
    }

    /// The same rule with an HTTP endpoint added.
    fn http_endpoint(&mut self) -> Outcome {
        heading("The same rule, an HTTP endpoint added");
        let url = self.receiver.url();
        self.rule("UpdateEventRule", RULE, &[("queue", QUEUE), ("http", &url)])?;
        step(&format!("replaced rule {RULE}: {url} beside {QUEUE}"));
        let sent = self.send("the same put", S3_PUT, 1, Some("Success"))?;
        let push = self.receiver.next(PATIENCE);
        let in_queue = self.take(sent)?;
        if let Some(push) = &push {
            let after = push.at.duration_since(sent);
            step(&format!(
                "the endpoint received a POST, {} after sending, with",
                millis(after)
            ));
            for name in [
                "x-mns-message-id",
                "x-mns-topic-name",
                "content-type",
                "authorization",
                "webhook-signature",
            ] {
                let value = push
                    .headers
                    .get(name)
                    .map(|value| shortened(&String::from_utf8_lossy(value.as_bytes())));
                say!("      {DIM}{name}: {}{DIM:#}", value.unwrap_or_default());
            }
        }
        let same =
            matches!((&push, &in_queue), (Some(push), Some(queued)) if push.body == queued.body);
        self.check("queue and endpoint received the same body", same);
        let body = push.as_ref().and_then(|push| decoded(&push.body));
        self.check(
            "it decodes to the message of the seed",
            body.as_deref() == Some(EXPECTED_PUT.trim_end()),
        );
        Ok(())
    }

    /// An event that no rule covers, while there is no default rule.
    fn uncovered(&mut self) -> Outcome {
        heading("An event that no rule covers");
        self.send("a delete of object a", UNCOVERED, 1, None)?;
        // What is sent later passes through the same stages: when it is there, the delete had its turn.
        let sent = self.send("the put once more", S3_PUT, 1, Some("Success"))?;
        self.receiver.next(PATIENCE);
        let arrived = self.take(sent)?;
        let put = arrived.as_ref().and_then(|arrived| decoded(&arrived.body));
        let nothing_else = self.client.peek(QUEUE, 16)?.is_empty();
        self.check(
            "the put was notified, the delete was not",
            nothing_else && put.is_some_and(|text| text.contains("ObjectCreated:PutObject")),
        );
        Ok(())
    }

    /// Tutorial 3.3: the default rule takes what no other rule covers.
    fn default_rule(&mut self) -> Outcome {
        heading("Tutorial 3.3: the default rule");
        let endpoints = json!([{"EndpointType": "queue", "EndpointValue": QUEUE}]);
        let rule = json!({
            "ProductName": "oss", "RuleName": "DefaultEnRule", "EventTypes": ["Default"],
            "MatchRules": [[{"Name": "mns-en-reserved-default"}]], "Endpoints": endpoints,
        });
        self.client.action("CreateEventRule", &parameters(&rule))?;
        step(&format!(
            "created the default rule DefaultEnRule -> {QUEUE}"
        ));
        for (what, body, event_type) in [
            ("the delete again", UNCOVERED, "ObjectRemoved:DeleteObject"),
            (
                "a bucket-level event",
                BUCKET_REFERER,
                "BucketQueried:GetBucketReferer",
            ),
        ] {
            let sent = self.send(what, body, 1, Some("Success"))?;
            let arrived = self.take(sent)?;
            self.print("queue MyQueue received", arrived.as_ref());
            let event = arrived
                .and_then(|arrived| serde_json::from_str::<Value>(&decoded(&arrived.body)?).ok());
            let event = event
                .map(|mut body| body["events"][0].take())
                .unwrap_or_default();
            let right =
                event["eventName"] == event_type && event["oss"]["ruleId"] == "DefaultEnRule";
            self.check(&format!("{event_type} went to the default rule"), right);
        }
        Ok(())
    }

    fn broken_body(&mut self) -> Outcome {
        heading("A broken body");
        match self.client.publish(BROKEN.as_bytes().to_vec(), &[]) {
            Err(Failure::Refused(reason)) => {
                step(&format!("refused: {reason}"));
                let empty = self.client.peek(QUEUE, 16)?.is_empty();
                self.check(
                    "the body was refused with the reason, and nothing was enqueued",
                    empty,
                );
            }
            Err(other) => return Err(other),
            Ok(_) => self.check("a broken body is refused", false),
        }
        Ok(())
    }

    /// Send to receipt, one event after another on the idle service.
    fn latency(&mut self) -> Outcome {
        heading("From send to receipt");
        let mut times = Vec::with_capacity(SAMPLES);
        for _ in 0..SAMPLES {
            let sent = Instant::now();
            self.client.publish(UNCOVERED.as_bytes().to_vec(), &[])?;
            times.extend(self.take(sent)?.map(|arrived| arrived.after));
        }
        times.sort_unstable();
        let all = times.len() == SAMPLES;
        if all {
            let at = |percent: usize| millis(times[(SAMPLES - 1) * percent / 100]);
            step(&format!(
                "{SAMPLES} events, each sent and then received and deleted by a client over HTTP: p50 {}, p90 {}",
                at(50),
                at(90)
            ));
        }
        self.check("every one arrived", all);
        Ok(())
    }

    fn rule(&self, action: &str, name: &str, endpoints: &[(&str, &str)]) -> Outcome {
        let told =
            |(kind, value): &(&str, &str)| json!({"EndpointType": kind, "EndpointValue": value});
        let rule = json!({
            "ProductName": "oss",
            "RuleName": name,
            "EventTypes": ["ObjectCreated:PutObject", "ObjectCreated:PostObject"],
            "MatchRules": [[{"Name": "event-notification-test"}]],
            "Endpoints": endpoints.iter().map(told).collect::<Vec<_>>(),
        });
        self.client.action(action, &parameters(&rule)).map(drop)
    }

    /// Publishes a body and checks the answer. Gives when it was sent.
    fn send(
        &mut self,
        what: &str,
        body: &str,
        events: u64,
        status: Option<&str>,
    ) -> Result<Instant, Failure> {
        let sent = Instant::now();
        let published = self.client.publish(body.as_bytes().to_vec(), &[])?;
        // S3 bodies carry no status header: only OSS direct publish is answered with one.
        let said = published.status.as_deref().and_then(decoded);
        let is_oss = body.contains("\"events\"");
        let right = published.accepted == events
            && said.as_deref().is_some_and(|said| said.contains("Success"))
                == (is_oss && status.is_some());
        let header = if said.is_some() {
            ", x-oss-process-status: Success"
        } else {
            ""
        };
        step(&format!(
            "sent {what}: accepted {}{header}",
            published.accepted
        ));
        if !right {
            self.check("the answer is as expected", false);
        }
        Ok(sent)
    }

    /// Takes the next message off the queue.
    fn take(&self, sent: Instant) -> Result<Option<Arrived>, Failure> {
        let wait = u8::try_from(PATIENCE.as_secs()).unwrap_or(u8::MAX);
        let Some(message) = self.client.receive(QUEUE, 1, wait)?.into_iter().next() else {
            return Ok(None);
        };
        let after = sent.elapsed();
        if let Some(receipt) = &message.receipt_handle {
            self.client.delete_message(QUEUE, receipt)?;
        }
        Ok(Some(Arrived {
            body: message.message_body,
            after,
        }))
    }

    fn print(&self, what: &str, arrived: Option<&Arrived>) {
        let Some(arrived) = arrived else {
            step(&format!("{what} nothing within {PATIENCE:?}"));
            return;
        };
        step(&format!("{what}, {} after sending:", millis(arrived.after)));
        let text = decoded(&arrived.body).unwrap_or_else(|| arrived.body.clone());
        for line in text.lines() {
            say!("      {DIM}{line}{DIM:#}");
        }
    }

    fn check(&mut self, what: &str, right: bool) {
        if right {
            say!("  {GOOD}✓{GOOD:#} {what}");
        } else {
            self.findings += 1;
            say!("  {BAD}✗{BAD:#} not so: {what}");
        }
    }
}

fn heading(text: &str) {
    say!("\n{HEADING}{text}{HEADING:#}");
}

fn step(text: &str) {
    say!("  - {text}");
}

/// The beginning of a long value.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(72) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

fn millis(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}
