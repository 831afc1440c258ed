//! Metrics as log lines: CloudWatch's embedded metric format, which costs no request.

use carillon_core::event::Timestamp;
use carillon_core::ports::{OutgoingMessage, QueueError, Stage, StageSender};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::{Arc, OnceLock};

/// Namespace of all metrics.
pub const NAMESPACE: &str = "Carillon";
/// Most combinations of product, type and bucket that one batch writes lines for; the rest is counted under the
/// product alone, so that a flood of bucket names is no flood of metrics.
const MOST_LINES: usize = 50;

static STACK: OnceLock<String> = OnceLock::new();

/// From now on every metric carries the dimension `stack` with this name, so that two stacks of one account are told
/// apart. The first name stays.
pub fn name_stack(name: String) {
    let _ = STACK.set(name);
}

/// One line of the embedded metric format (CloudWatch: "Embedded metric format specification"). `dimensions` are sets of
/// names out of `properties`; each set, with `stack`
/// before it, is a metric of its own.
#[must_use]
pub fn line(
    now: Timestamp,
    dimensions: &[&[&str]],
    properties: &[(&str, &str)],
    values: &[(&str, u64, &str)],
) -> String {
    let stack = STACK.get().map_or("", String::as_str);
    let dimensions: Vec<Vec<&str>> = dimensions
        .iter()
        .map(|set| {
            std::iter::once("stack")
                .chain(set.iter().copied())
                .collect()
        })
        .collect();
    let metrics: Vec<Value> = values
        .iter()
        .map(|(name, _, unit)| json!({"Name": name, "Unit": unit}))
        .collect();
    let mut root = Map::new();
    root.insert(
        "_aws".to_owned(),
        json!({
            "Timestamp": now.as_millis(),
            "CloudWatchMetrics": [{"Namespace": NAMESPACE, "Dimensions": dimensions, "Metrics": metrics}],
        }),
    );
    let stack = [("stack", if stack.is_empty() { "none" } else { stack })];
    for (name, value) in stack.iter().chain(properties) {
        root.insert((*name).to_owned(), Value::from(*value));
    }
    for (name, value, _) in values {
        root.insert((*name).to_owned(), Value::from(*value));
    }
    Value::Object(root).to_string()
}

/// Writes a line where Lambda picks it up: standard output.
pub fn emit(line: &str) {
    // A metric that cannot be written is no reason to fail a batch.
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// How many events of one product, type and bucket.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    product: String,
    event_type: String,
    bucket: String,
}

/// Counts events on their way to match, by product, type and bucket.
#[derive(Debug, Default)]
pub struct EventCounts {
    kinds: BTreeMap<Kind, u64>,
    more: BTreeMap<String, u64>,
}

/// As much of an envelope as counting needs. The bodies are skipped, not read.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    items: Vec<Counted<'a>>,
}

#[derive(Deserialize)]
struct Counted<'a> {
    #[serde(borrow)]
    product: Cow<'a, str>,
    #[serde(borrow, rename = "type")]
    event_type: Cow<'a, str>,
    #[serde(borrow, default)]
    resource: Cow<'a, str>,
}

impl EventCounts {
    /// Counts the events of a message to match.
    pub fn add(&mut self, message: &str) {
        let Ok(envelope) = serde_json::from_str::<Envelope<'_>>(message) else {
            return;
        };
        for event in envelope.items {
            let kind = Kind {
                product: event.product.into_owned(),
                event_type: event.event_type.into_owned(),
                bucket: event
                    .resource
                    .split('/')
                    .next()
                    .unwrap_or_default()
                    .to_owned(),
            };
            if self.kinds.len() < MOST_LINES || self.kinds.contains_key(&kind) {
                *self.kinds.entry(kind).or_default() += 1;
            } else {
                *self.more.entry(kind.product).or_default() += 1;
            }
        }
    }

    /// Counts what `other` counted.
    fn merge(&mut self, other: EventCounts) {
        for (kind, count) in other.kinds {
            if self.kinds.len() < MOST_LINES || self.kinds.contains_key(&kind) {
                *self.kinds.entry(kind).or_default() += count;
            } else {
                *self.more.entry(kind.product).or_default() += count;
            }
        }
        for (product, count) in other.more {
            *self.more.entry(product).or_default() += count;
        }
    }

    /// The lines: metric `Events`, by product, by product and type, and by product and bucket.
    #[must_use]
    pub fn lines(&self, now: Timestamp) -> Vec<String> {
        let full = self.kinds.iter().map(|(kind, count)| {
            let values = [("Events", *count, "Count")];
            let (product, event_type) = (
                ("product", kind.product.as_str()),
                ("type", kind.event_type.as_str()),
            );
            if kind.bucket.is_empty() {
                line(
                    now,
                    &[&["product"], &["product", "type"]],
                    &[product, event_type],
                    &values,
                )
            } else {
                let sets: &[&[&str]] =
                    &[&["product"], &["product", "type"], &["product", "bucket"]];
                line(
                    now,
                    sets,
                    &[product, event_type, ("bucket", &kind.bucket)],
                    &values,
                )
            }
        });
        let more = self.more.iter().map(|(product, count)| {
            line(
                now,
                &[&["product"]],
                &[("product", product)],
                &[("Events", *count, "Count")],
            )
        });
        full.chain(more).collect()
    }
}

/// A stage sender that counts the events it hands to match, and writes them as metrics once they are taken.
pub struct CountingStages {
    inner: Arc<dyn StageSender>,
    clock: Arc<dyn carillon_core::ports::Clock>,
}

impl CountingStages {
    /// Counts what goes through `inner`.
    #[must_use]
    pub fn new(inner: Arc<dyn StageSender>, clock: Arc<dyn carillon_core::ports::Clock>) -> Self {
        CountingStages { inner, clock }
    }
}

#[async_trait::async_trait]
impl StageSender for CountingStages {
    async fn send(
        &self,
        stage: Stage,
        messages: Vec<OutgoingMessage>,
    ) -> Vec<Result<(), QueueError>> {
        let count = |message: &OutgoingMessage| {
            let mut counts = EventCounts::default();
            if stage == Stage::Match {
                counts.add(&message.body);
            }
            counts
        };
        let counted: Vec<EventCounts> = messages.iter().map(count).collect();
        let results = self.inner.send(stage, messages).await;
        // What was not taken comes again, and is counted then.
        let mut taken = EventCounts::default();
        for (counts, _) in counted.into_iter().zip(&results).filter(|(_, r)| r.is_ok()) {
            taken.merge(counts);
        }
        for line in taken.lines(self.clock.now()) {
            emit(&line);
        }
        results
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACK: &str = r#"{"v":1,"items":[
        {"product":"oss","type":"ObjectCreated:PutObject","resource":"b/k","time":0,"id":"x","body":{"oss":{}}},
        {"product":"oss","type":"ObjectCreated:PutObject","resource":"b/l","body":{}},
        {"product":"mail","type":"Deliver:SendFailed","body":{"plain":"x"}}]}"#;

    #[test]
    fn events_are_counted_by_product_type_and_bucket() {
        let mut counts = EventCounts::default();
        counts.add(PACK);
        counts.add("not an envelope");
        let lines: Vec<Value> = counts
            .lines(Timestamp::from_millis(1_700_000_000_000))
            .iter()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["product"], "mail");
        assert_eq!(lines[0]["Events"], 1);
        assert_eq!(lines[1]["Events"], 2);
        assert_eq!(lines[1]["bucket"], "b");
        let block = &lines[1]["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(block["Namespace"], NAMESPACE);
        assert_eq!(
            block["Dimensions"],
            json!([
                ["stack", "product"],
                ["stack", "product", "type"],
                ["stack", "product", "bucket"]
            ])
        );
        assert_eq!(lines[1]["_aws"]["Timestamp"], 1_700_000_000_000_i64);
    }

    #[test]
    fn a_flood_of_buckets_is_no_flood_of_lines_and_loses_no_count() {
        let mut counts = EventCounts::default();
        for bucket in 0..500 {
            let pack = |bucket: u32| {
                format!(
                    r#"{{"v":1,"items":[{{"product":"oss","type":"A:B","resource":"b{bucket}/k"}}]}}"#
                )
            };
            counts.add(&pack(bucket));
            let mut other = EventCounts::default();
            other.add(&pack(1000 + bucket));
            counts.merge(other);
        }
        let lines = counts.lines(Timestamp::from_millis(0));
        assert_eq!(lines.len(), MOST_LINES + 1);
        let total: u64 = lines
            .iter()
            .map(|line| {
                serde_json::from_str::<Value>(line).unwrap()["Events"]
                    .as_u64()
                    .unwrap()
            })
            .sum();
        assert_eq!(total, 1000);
    }
}
