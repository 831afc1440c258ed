//! Every action has a command: each command below runs against a service, and the service's own counters then say that
//! no action was left out.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use serde_json::Value;
use std::collections::BTreeSet;
use support::{Ran, Service};

/// Actions and the commands that perform them, with the exit status that each ends with on a fresh service, in an order
/// in which each finds what it needs. `{handle}` stands for the handle of the message received last, `FILE` for a rule
/// file.
const COMMANDS: &[(&str, &str, i32)] = &[
    ("CreateQueue", "queue create q", 0),
    ("CreateQueue", "queue create dead", 0),
    (
        "SetQueueAttributes",
        "queue update q --dead-letter-queue dead --max-receive-count 9",
        0,
    ),
    ("GetQueueAttributes", "queue show q", 0),
    ("ListQueue", "queue list", 0),
    ("CreateTopic", "topic create mine", 0),
    (
        "SetTopicAttributes",
        "topic update mine --max-message-size 2048",
        0,
    ),
    ("GetTopicAttributes", "topic show mine", 0),
    ("ListTopic", "topic list", 0),
    ("Subscribe", "subscription create mine s --queue q", 0),
    (
        "SetSubscriptionAttributes",
        "subscription update mine s --strategy EXPONENTIAL_DECAY_RETRY",
        0,
    ),
    ("GetSubscriptionAttributes", "subscription show mine s", 0),
    ("ListSubscriptionByTopic", "subscription list mine", 0),
    ("RotateWebhookSecret", "key rotate-secret mine s", 0),
    ("RetireWebhookSecret", "key retire-secret mine s", 0),
    ("ListSigningKeys", "key list", 0),
    ("RotateSigningKey", "key rotate webhooks", 0),
    ("RetireSigningKey", "key retire webhooks-1", 0),
    ("Unsubscribe", "subscription delete mine s", 0),
    ("DeleteTopic", "topic delete mine", 0),
    (
        "CreateEventRule",
        "rule create r --event-type ObjectCreated:* --prefix b/ --queue q",
        0,
    ),
    (
        "UpdateEventRule",
        "rule update r --event-type ObjectCreated:* --prefix c/ --queue q",
        0,
    ),
    ("DisableEventRule", "rule disable r", 0),
    ("EnableEventRule", "rule enable r", 0),
    ("GetEventRule", "rule show r", 0),
    ("ListEventRules", "rule list", 0),
    ("ExplainEvent", "rule explain EVENT", 0),
    (
        "PreviewEventRule",
        "rule preview wide --event-type ObjectCreated:* --prefix d/ --queue q --events EVENT",
        0,
    ),
    ("ApplyEventRules", "rule apply FILE --yes", 0),
    ("PublishEvents", "send EVENTS", 0),
    ("ReplayEvents", "replay --since 1h --rule from-file", 0),
    ("ListDeliveries", "delivery list", 0),
    ("FollowDeliveries", "tail --count 0", 0),
    ("ListDeadLetters", "dead-letter list", 0),
    ("GetDeadLetter", "dead-letter show 1", 1),
    ("RedriveDeadLetters", "dead-letter redrive 1", 0),
    ("DeleteDeadLetters", "dead-letter delete --all", 0),
    ("SendMessage", "queue send q -", 0),
    ("PeekMessage", "queue peek q", 0),
    ("ReceiveMessage", "queue receive q --wait 30 --json", 0),
    (
        "ChangeMessageVisibility",
        "queue change-visibility q {handle} 60 --json",
        0,
    ),
    ("DeleteMessage", "queue delete-message q {handle}", 0),
    ("DeleteMessage", "queue delete-message q {handle}", 1),
    ("GetAccountAttributes", "account show", 0),
    (
        "SetAccountAttributes",
        "account update --log-enabled false",
        0,
    ),
    ("GetEndpointAttribute", "network-access show", 0),
    ("EnableEndpoint", "network-access enable", 1),
    ("DisableEndpoint", "network-access disable", 1),
    (
        "AuthorizeEndpointAcl",
        "network-access authorize 10.0.0.0/8",
        1,
    ),
    ("RevokeEndpointAcl", "network-access revoke 10.0.0.0/8", 1),
    ("DeleteEventRule", "rule delete from-file", 0),
    ("DeleteQueue", "queue delete dead", 0),
];

/// Actions that others of this list perform with them, and no command by their name: a body goes to `/events`, which is
/// counted apart.
const COUNTED_APART: [&str; 1] = ["PublishEvents"];

fn handle(ran: &Ran) -> Option<String> {
    let value: Value = serde_json::from_str(&ran.out).ok()?;
    let held = value.get(0).unwrap_or(&value)["ReceiptHandle"].as_str()?;
    Some(held.to_owned())
}

#[test]
fn every_action_has_a_command() {
    let data = tempfile::tempdir().unwrap();
    let file = data.path().join("rules.json");
    std::fs::write(
        &file,
        r#"[{"ProductName":"oss","RuleName":"from-file","EventTypes":["ObjectCreated:*"],
            "MatchRules":[[{"Prefix":"event-notification-test"}]],"Endpoints":[{"EndpointType":"queue","EndpointValue":"q"}]}]"#,
    )
    .unwrap();
    let event = data.path().join("event.json");
    std::fs::write(
        &event,
        r#"{"eventName":"ObjectCreated:PutObject","oss":{"bucket":{"name":"c"},"object":{"key":"x"}}}"#,
    )
    .unwrap();
    let events = data.path().join("events.json");
    std::fs::write(&events, support::sample("events/tutorial/s3-put.json")).unwrap();
    let service = Service::start(&data.path().join("store"), &[]);
    let mut last_handle = String::new();
    for (action, command, status) in COMMANDS {
        let line = command
            .replace("{handle}", &last_handle)
            .replace("FILE", file.to_str().unwrap())
            .replace("EVENTS", events.to_str().unwrap())
            .replace("EVENT", event.to_str().unwrap());
        let arguments: Vec<&str> = line.split(' ').collect();
        let ran = service.run_with(&arguments, "a body");
        assert_eq!(ran.status, *status, "{action}: carillon {line}: {ran:?}");
        if let Some(handle) = handle(&ran) {
            last_handle = handle;
        }
    }

    let metrics = service.metrics();
    let counted: BTreeSet<&str> = metrics
        .lines()
        .filter_map(|line| line.strip_prefix("carillon_requests_total{action=\""))
        .filter_map(|rest| rest.split('"').next())
        .collect();
    for action in carillon_manage::ACTIONS {
        assert!(
            COMMANDS.iter().any(|(listed, ..)| listed == action),
            "{action} has no command"
        );
        assert!(
            counted.contains(action) || COUNTED_APART.contains(action),
            "{action} was not performed by the command listed for it"
        );
    }
    for (action, ..) in COMMANDS {
        assert!(
            counted.contains(action) || COUNTED_APART.contains(action),
            "{action} was not performed"
        );
    }
    assert!(
        metrics.contains("\ncarillon_published_events_total 1\n"),
        "{metrics}"
    );
}

/// With `--json`, what prints data prints JSON.
#[test]
fn what_prints_data_prints_json_on_request() {
    let data = tempfile::tempdir().unwrap();
    let service = Service::start(data.path(), &[]);
    service.run(&["queue", "create", "q"]).ok();
    service.run(&["topic", "create", "t"]).ok();
    for line in [
        "queue list",
        "queue show q",
        "queue peek q",
        "queue receive q",
        "topic list",
        "topic show t",
        "subscription list t",
        "rule list",
        "rule export",
        "delivery list",
        "dead-letter list",
        "account show",
        "network-access show",
        "queue update q --delay-seconds 3",
        "topic delete t",
        "queue delete q",
    ] {
        let arguments: Vec<&str> = line.split(' ').chain(["--json"]).collect();
        service.run(&arguments).json();
    }
}

/// Without a service: status 2, and words that say what to do.
#[test]
fn without_a_service_every_command_ends_with_status_two() {
    for line in [
        "rule list",
        "tail",
        "queue send q -",
        "send -",
        "rule export",
    ] {
        let mut arguments: Vec<&str> = line.split(' ').collect();
        // Nothing listens on the discard port of this machine.
        arguments.extend(["--endpoint", "http://127.0.0.1:9"]);
        let ran = support::run(support::carillon().args(arguments), "x");
        let told = ran.fails(2);
        assert!(told.contains("carillon up"), "{line}: {told}");
    }
}

#[test]
fn pages_of_every_command_come_from_its_definition() {
    let folder = tempfile::tempdir().unwrap();
    let page = support::run(support::carillon().arg("man"), "").ok();
    assert!(page.contains(".TH carillon 1"), "{page}");
    support::run(support::carillon().arg("man").arg(folder.path()), "").ok();
    for name in [
        "carillon",
        "carillon-rule-apply",
        "carillon-tail",
        "carillon-up",
    ] {
        let page = std::fs::read_to_string(folder.path().join(format!("{name}.1"))).unwrap();
        assert!(page.contains(".SH SYNOPSIS"), "{name}");
    }
}
