//! `carillon invoke`: one stage on one sample event, without a queue. The very handlers that run under Lambda and under
//! `carillon up`, over ports that only write down what they are asked.

mod recorder;

use crate::commands::read_input;
use crate::failure::{Failure, Outcome};
use crate::offline;
use crate::output::{BAD, complain, print_json};
use carillon_core::event::Timestamp;
use carillon_core::ports::{BatchOutcome, QueueRecord, Records};
use carillon_core::rule::EndpointKind;
use carillon_core::topic::{QueueName, SnsTopic, Subscription, Target, TopicName, auto_names};
use clap::{Args, ValueEnum};
use recorder::Recorder;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Run one stage on one sample event, and print what it would send on.
#[derive(Debug, Args)]
pub(crate) struct InvokeArgs {
    /// The stage.
    #[arg(value_enum)]
    stage: StageArg,
    /// File with a Lambda event of a queue (`Records` with `body`), or with one body; - for standard input.
    event: PathBuf,
    /// Rule file: match judges by it, and deliver finds the subscriptions that its rules make.
    #[arg(long, value_name = "FILE", required_if_eq_any = [("stage", "match"), ("stage", "deliver")])]
    rules: Option<PathBuf>,
    /// Owner of buckets where an event does not say: digits.
    #[arg(long, value_name = "DIGITS", default_value = "000000000000")]
    account_id: String,
    /// Region of events that do not say their own.
    #[arg(
        long,
        value_name = "REGION",
        env = "AWS_REGION",
        default_value = "us-east-1"
    )]
    region: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum StageArg {
    /// Decode raw bodies.
    Ingest,
    /// Judge packed events.
    Match,
    /// Push packed deliveries; what would be pushed is printed, and taken as accepted.
    Deliver,
}

impl InvokeArgs {
    pub(crate) fn run(&self) -> Outcome {
        let batch = batch(&read_input(&self.event)?)?;
        let records = match &self.rules {
            Some(path) => stored(path)?,
            None => Records::default(),
        };
        let recorder = Arc::new(Recorder::new(records));
        let runtime = crate::up::runtime()?;
        let outcome = runtime.block_on(self.stage(&recorder, &batch));
        for (id, reason) in &outcome.failed {
            complain!("{BAD}record {id} failed:{BAD:#} {reason}");
        }
        let refused = recorder.refused();
        print_json(&recorder.report());
        if matches!(self.stage, StageArg::Ingest) {
            for reason in self.ignored(&batch) {
                complain!("nothing to tell: {reason}");
            }
        }
        for reason in &refused {
            complain!("{BAD}refused:{BAD:#} {reason}");
        }
        if outcome.failed.is_empty() && refused.is_empty() {
            Ok(())
        } else {
            Err(Failure::Refused(format!(
                "{} record(s) or deliveries were not sent on",
                outcome.failed.len() + refused.len()
            )))
        }
    }

    fn settings(&self) -> carillon_ingest::Settings {
        carillon_ingest::Settings {
            account: self.account_id.clone(),
            region: self.region.clone(),
            ..carillon_ingest::Settings::default()
        }
    }

    /// Why records that were understood gave no event: the stage itself only logs it.
    fn ignored(&self, batch: &[QueueRecord]) -> Vec<String> {
        let (hint, settings) = (carillon_ingest::Hint::default(), self.settings());
        batch
            .iter()
            .filter_map(|record| {
                carillon_ingest::decode(record.body.as_bytes(), &hint, &settings).ok()
            })
            .flat_map(|decoded| decoded.ignored)
            .collect()
    }

    async fn stage(&self, recorder: &Arc<Recorder>, batch: &[QueueRecord]) -> BatchOutcome {
        match self.stage {
            StageArg::Ingest => {
                carillon_ingest::handle(&recorder.ingest(self.settings()), batch).await
            }
            StageArg::Match => carillon_match::handle(&recorder.matching(), batch).await,
            StageArg::Deliver => carillon_deliver::handle(&recorder.deliver(), batch).await,
        }
    }
}

/// The records of a Lambda event of a queue; any other text is one record.
fn batch(bytes: &[u8]) -> Result<Vec<QueueRecord>, Failure> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        Failure::Unusable(format!(
            "the event is not UTF-8 from byte {}",
            error.valid_up_to()
        ))
    })?;
    let value: Value = serde_json::from_str(text).unwrap_or_default();
    let records = value["Records"].as_array().filter(|records| {
        records
            .iter()
            .any(|record| record["eventSource"] == "aws:sqs" || record["body"].is_string())
    });
    let Some(records) = records else {
        return Ok(vec![QueueRecord {
            id: "1".into(),
            body: text.to_owned(),
            receive_count: 1,
        }]);
    };
    records
        .iter()
        .enumerate()
        .map(|(index, record)| {
            let body = record["body"].as_str().ok_or_else(|| {
                Failure::Unusable(format!("Records[{index}].body is missing: a queue's record has its message there, as a string"))
            })?;
            Ok(QueueRecord {
                id: record["messageId"].as_str().map_or_else(|| index.to_string(), str::to_owned),
                body: body.to_owned(),
                receive_count: 1,
            })
        })
        .collect()
}

/// The records that creating the rules of the file would store. Time and random stand still, so that the names of the
/// topics are always the same, and sample deliveries can use them.
fn stored(path: &Path) -> Result<Records, Failure> {
    let file = offline::read(path)?;
    offline::refuse(path, file.faults.iter(), file.faults.len(), "faults")?;
    let mut records = Records {
        version: 1,
        ..Records::default()
    };
    let now = Timestamp::default();
    for mut rule in file.rules {
        let names = auto_names(&rule.product, &rule.name, now, 0);
        let mut topic = names.topic();
        for (index, endpoint) in rule.endpoints.iter().enumerate() {
            let target = match endpoint.kind {
                EndpointKind::Http => Target::Http(endpoint.value.clone()),
                EndpointKind::Queue => Target::Queue(name(QueueName::parse(&endpoint.value))?),
                EndpointKind::Topic if endpoint.sns().is_some() => {
                    Target::Sns(name(SnsTopic::parse(&endpoint.value))?)
                }
                EndpointKind::Topic => {
                    topic = name(TopicName::parse(&endpoint.value))?;
                    continue;
                }
            };
            let subscription = names.subscription(index + 1);
            records.subscriptions.push(Subscription::auto(
                topic.clone(),
                subscription,
                target,
                now,
            ));
        }
        rule.topic = Some(topic);
        records.rules.push(rule);
    }
    Ok(records)
}

fn name<T>(parsed: Result<T, carillon_core::event::InvalidName>) -> Result<T, Failure> {
    parsed.map_err(|error| Failure::Refused(error.to_string()))
}
