//! As much of DynamoDB, SQS and SNS on loopback as one invocation of a function asks for, with the rules of a file in the
//! table; prints what the function sends. For `cargo lambda invoke`, the runtime interface emulator and `sam local
//! invoke`: see events/README.md.
//!
//! ```text
//! cargo run -p carillon-aws --example local_aws -- 127.0.0.1:4570 events/match/rules.json
//! ```
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a tool beside the tests: it may stop at the first surprise"
)]

#[path = "../tests/services/mod.rs"]
mod double;

use carillon_aws::{Clients, DynamoRules};
use carillon_core::event::Timestamp;
use carillon_core::ports::{Change, RuleStore as _};
use carillon_core::rule::{EndpointKind, Rule, RuleSpec};
use carillon_core::topic::{QueueName, Subscription, Target, Topic, auto_names};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:4570".into());
    let aws = double::Double::listen(&address);
    if let Some(path) = arguments.next() {
        let text = std::fs::read_to_string(path).unwrap();
        let clients = Clients::connect_to(&aws.url).await;
        let rules = DynamoRules::new(&clients, "carillon");
        rules.commit(0, changes(&text)).await.unwrap();
    }
    println!("listening on {}", aws.url);
    let (mut sent, mut published) = (0, 0);
    loop {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        let state = aws.state.lock().unwrap();
        for request in &state.sent[sent..] {
            println!("SQS {request}");
        }
        for request in &state.published[published..] {
            println!("SNS {request:?}");
        }
        (sent, published) = (state.sent.len(), state.published.len());
    }
}

/// What creating the rules of the file would store. Time stands still, so that topics have the names that the sample
/// deliveries use.
fn changes(text: &str) -> Vec<Change> {
    let now = Timestamp::default();
    let specs: Vec<RuleSpec> = serde_json::from_str(text).unwrap();
    let mut changes = Vec::new();
    for spec in specs {
        let mut rule = Rule::from_spec(spec).unwrap();
        let names = auto_names(&rule.product, &rule.name, now, 0);
        rule.topic = Some(names.topic());
        changes.push(Change::PutTopic(Topic {
            name: names.topic(),
            made_for: Some((rule.product.clone(), rule.name.clone())),
            created: now,
            modified: now,
            max_message_size: Topic::MAX_MESSAGE_SIZE,
            logging: false,
        }));
        for (index, endpoint) in rule.endpoints.iter().enumerate() {
            let target = match endpoint.kind {
                EndpointKind::Http => Target::Http(endpoint.value.clone()),
                EndpointKind::Queue => Target::Queue(QueueName::parse(&endpoint.value).unwrap()),
                EndpointKind::Topic => match endpoint.sns() {
                    Some(topic) => Target::Sns(topic),
                    None => continue,
                },
            };
            let name = names.subscription(index + 1);
            let subscription = Subscription::auto(names.topic(), name, target, now);
            changes.push(Change::PutSubscription(subscription));
        }
        changes.push(Change::PutRule(rule));
    }
    changes
}
