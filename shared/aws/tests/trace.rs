//! Trace context through the stage queues, on a double of SQS.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

#[path = "services/mod.rs"]
mod double;

use carillon_aws::{Clients, Settings, StageQueues};
use carillon_core::ports::{OutgoingMessage, Stage, StageSender as _};
use double::Double;
use serde_json::Value;

#[tokio::test]
async fn messages_to_every_stage_carry_the_trace_of_the_invocation_that_sent_them() {
    let double = Double::start();
    let url = double.url.clone();
    let settings = Settings::read(|name| match name {
        "CARILLON_TABLE" => Some("t".to_owned()),
        name if name.ends_with("_QUEUE_URL") => Some(format!("{url}/1/{name}")),
        _ => None,
    })
    .unwrap();
    let stages = StageQueues::new(&Clients::connect_to(&double.url).await, settings.stages);
    let send = async |stage, count: usize| {
        let messages = (0..count).map(|n| OutgoingMessage::new(n.to_string()));
        let results = stages.send(stage, messages.collect()).await;
        assert!(results.iter().all(Result::is_ok), "{results:?}");
    };
    send(Stage::Match, 1).await;
    let trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";
    stages.follow_trace(Some(trace.to_owned()));
    send(Stage::Match, 11).await;
    send(Stage::Deliver, 2).await;
    // The next invocation has none, or another.
    stages.follow_trace(None);
    send(Stage::Deliver, 1).await;

    let state = double.state.lock().unwrap();
    let traces = |request: &Value| -> Vec<Value> {
        let entries = request["Entries"].as_array().unwrap().iter();
        entries
            .map(|entry| entry["MessageSystemAttributes"]["AWSTraceHeader"]["StringValue"].clone())
            .collect()
    };
    let mut all: Vec<(String, Value)> = Vec::new();
    for request in &state.sent {
        let queue = request["QueueUrl"].as_str().unwrap();
        let stage = queue.rsplit('/').next().unwrap().to_owned();
        all.extend(
            traces(request)
                .into_iter()
                .map(|held| (stage.clone(), held)),
        );
    }
    let count = |stage: &str, held: Value| {
        let name = format!("CARILLON_{stage}_QUEUE_URL");
        let same = all
            .iter()
            .filter(|(queue, trace)| *queue == name && *trace == held);
        same.count()
    };
    assert_eq!(count("MATCH", Value::Null), 1);
    assert_eq!(count("MATCH", trace.into()), 11);
    assert_eq!(count("DELIVER", trace.into()), 2);
    assert_eq!(count("DELIVER", Value::Null), 1);
}
