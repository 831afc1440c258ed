//! Every action's request and answer, byte for byte, in `golden/actions/*.http`: reviewed files, one a case.
//!
//! The clock stands still and random numbers count up, so an answer differs only when the contract does. To accept a
//! change: run with `UPDATE_GOLDEN=1`, then read the difference.

// `allow-unwrap-in-tests` knows test functions, not their helpers.
#![allow(clippy::unwrap_used)]

mod support;

use carillon_core::delivery::{
    Attempt, DeadLetter, DeadLetterContent, Delivery, Notification, Outcome, OutcomeClass,
};
use carillon_core::event::{Body, Event, EventType, IdentityHasher, MessageId, Product, Timestamp};
use carillon_core::ports::{AttemptRecord, KeptDeadLetter};
use carillon_core::rule::RuleName;
use carillon_core::topic::{SubscriptionName, TopicName};
use carillon_manage::{ACTIONS, Settings};
use support::golden::Golden;
use support::{NOON, world};

/// An endpoint of a rule file.
const MY_QUEUE: &str = r#"{"EndpointType":"queue","EndpointValue":"MyQueue"}"#;

fn rule<'a>(name: &'a str, match_rules: &'a str) -> Vec<(&'static str, &'a str)> {
    vec![
        ("ProductName", "oss"),
        ("RuleName", name),
        ("EventTypes", r#"["ObjectCreated:*"]"#),
        ("MatchRules", match_rules),
        (
            "Endpoints",
            r#"[{"EndpointType":"queue","EndpointValue":"MyQueue"},{"EndpointType":"http","EndpointValue":"https://example.com/hook"}]"#,
        ),
    ]
}

fn attempt(number: u32, class: OutcomeClass) -> AttemptRecord {
    AttemptRecord {
        message_id: MessageId::from_bits(7),
        product: Product::Oss,
        rule: RuleName::parse("thumbnails").unwrap(),
        topic: TopicName::parse("t").unwrap(),
        subscription: SubscriptionName::parse("s").unwrap(),
        number,
        attempt: Attempt {
            at: Timestamp::from_millis(NOON),
            took_ms: 12,
            outcome: Outcome {
                class,
                status: (class == OutcomeClass::Success).then_some(204),
                detail: if class == OutcomeClass::Success {
                    String::new()
                } else {
                    "no connection".to_owned()
                },
                retry_after: None,
            },
        },
    }
}

fn letters() -> Vec<KeptDeadLetter> {
    let delivery = Delivery {
        topic: TopicName::parse("t").unwrap(),
        subscription: SubscriptionName::parse("s").unwrap(),
        version: 3,
        notification: Notification {
            message_id: MessageId::from_bits(7),
            product: Product::Oss,
            rule: RuleName::parse("thumbnails").unwrap(),
            event_type: EventType::parse("ObjectCreated:PutObject").unwrap(),
            resource: "photos/cat.jpg".to_owned(),
            body: "eyJldmVudHMiOltdfQ==".to_owned(),
            published: Timestamp::from_millis(NOON),
            tag: None,
        },
        attempts: 4,
        redriven: None,
        resends: 0,
        history: vec![attempt(1, OutcomeClass::Retry).attempt],
    };
    let letter = |id: &str, reason: &str, content| KeptDeadLetter {
        id: id.to_owned(),
        letter: DeadLetter {
            at: Timestamp::from_millis(NOON),
            reason: reason.to_owned(),
            content,
        },
    };
    vec![
        letter(
            "2",
            "all retries failed: no connection",
            DeadLetterContent::Delivery(Box::new(delivery)),
        ),
        letter(
            "1",
            "the body is not JSON",
            DeadLetterContent::Record {
                stage: "ingest".to_owned(),
                body: "broken".to_owned(),
            },
        ),
    ]
}

/// An event as ingest makes it.
fn past(event_type: &str, resource: &str) -> Event {
    Event {
        product: Product::Oss,
        event_type: EventType::parse(event_type).unwrap(),
        resource: resource.to_owned(),
        time: Timestamp::from_millis(NOON - 1_800_000),
        id: IdentityHasher::new("golden").part(resource).finish(),
        body: Body::Plain("{}".to_owned()),
    }
}

/// The actions over keys.
async fn signing_keys(golden: &mut Golden) {
    support::keys::add(&mut golden.world, Settings::default());
    let on = [("TopicName", "signed"), ("SubscriptionName", "s")];
    golden.world.act("CreateTopic", &on[..1]).await.data();
    let subscribe = [on[0], on[1], ("Endpoint", "https://example.com/hook")];
    golden.world.act("Subscribe", &subscribe).await.data();
    golden.act("ListSigningKeys", &[]).await;
    golden.act("RotateSigningKey", &[]).await;
    golden
        .act("RotateSigningKey.kind", &[("KeyType", "rsa")])
        .await;
    for (case, name) in [
        ("RetireSigningKey", "carillon-a.pem"),
        ("RetireSigningKey.in-use", "carillon-b.pem"),
        ("RetireSigningKey.missing", "carillon-z.pem"),
    ] {
        golden.act(case, &[("KeyName", name)]).await;
    }
    golden.act("RotateWebhookSecret", &on).await;
    golden.act("GetSubscriptionAttributes.rotated", &on).await;
    golden.act("RetireWebhookSecret", &on).await;
}

/// The actions over accepted events.
async fn history(golden: &mut Golden) {
    let put = "ObjectCreated:PutObject";
    golden.world.queue("yesterday").await;
    golden.world.rule("albums", "albums/", "yesterday").await;
    golden.world.rule("resting", "resting/", "yesterday").await;
    let resting = [("ProductName", "oss"), ("RuleName", "resting")];
    golden.world.act("DisableEventRule", &resting).await.data();
    let events = [past(put, "albums/1.jpg"), past(put, "resting/2.jpg")];
    let (early, late) = (NOON - 1_800_000, NOON - 600_000);
    golden
        .world
        .archive
        .keep(Timestamp::from_millis(early), &events);
    golden.world.archive.keep(
        Timestamp::from_millis(late),
        &[past("ObjectRemoved:DeleteObject", "albums/1.jpg")],
    );

    let wide = [
        ("ProductName", "oss"),
        ("RuleName", "wide"),
        ("EventTypes", r#"["ObjectCreated:*"]"#),
        ("MatchRules", r#"[[{"Suffix":".jpg"}]]"#),
    ];
    golden.act("PreviewEventRule.recent", &wide).await;
    let again = [
        ("Since", "2026-11-22T11:00:00Z"),
        ("RuleName", "albums"),
        ("MaxEvents", "1"),
    ];
    golden.act("ReplayEvents", &again).await;
    let count = [
        ("Since", "90m"),
        ("ResourceName", "resting"),
        ("DryRun", "true"),
    ];
    golden.act("ReplayEvents.count", &count).await;
    for (name, parameters) in [
        ("rule", [("Since", "1h"), ("RuleName", "gone")]),
        ("disabled", [("Since", "1h"), ("RuleName", "resting")]),
        ("since", [("Since", "soon"), ("RuleName", "albums")]),
        ("after", [("Since", "1h"), ("Until", "2h")]),
        ("token", [("NextToken", "0.1.2.3"), ("RuleName", "albums")]),
    ] {
        golden
            .act(&format!("ReplayEvents.{name}"), &parameters)
            .await;
    }
}

#[tokio::test]
async fn every_action_answers_as_reviewed() {
    let mut golden = Golden::new(world(Settings::default()), "actions");
    *golden.world.dead.letters.lock().unwrap() = letters();
    *golden.world.dead.attempts.lock().unwrap() = vec![
        attempt(2, OutcomeClass::Success),
        attempt(1, OutcomeClass::Retry),
    ];

    // Queues.
    golden
        .act(
            "CreateQueue",
            &[("QueueName", "MyQueue"), ("VisibilityTimeout", "30")],
        )
        .await;
    golden
        .act("CreateQueue.dead", &[("QueueName", "dead")])
        .await;
    golden
        .act(
            "CreateQueue.taken",
            &[("QueueName", "MyQueue"), ("VisibilityTimeout", "31")],
        )
        .await;
    golden
        .act("CreateQueue.name", &[("QueueName", "1st queue")])
        .await;
    let policy = r#"{"Enabled":true,"DeadLetterTargetQueue":"dead","MaxReceiveCount":3}"#;
    golden
        .act(
            "SetQueueAttributes",
            &[("QueueName", "MyQueue"), ("DlqPolicy", policy)],
        )
        .await;
    golden
        .act("GetQueueAttributes", &[("QueueName", "MyQueue")])
        .await;
    golden
        .act("GetQueueAttributes.missing", &[("QueueName", "nowhere")])
        .await;
    golden
        .act("ListQueue", &[("PageNum", "1"), ("PageSize", "10")])
        .await;

    // Topics and subscriptions.
    golden
        .act(
            "CreateTopic",
            &[("TopicName", "mine"), ("EnableLogging", "True")],
        )
        .await;
    golden
        .act(
            "SetTopicAttributes",
            &[("TopicName", "mine"), ("MaxMessageSize", "2048")],
        )
        .await;
    golden
        .act("GetTopicAttributes", &[("TopicName", "mine")])
        .await;
    golden.act("ListTopic", &[]).await;
    let on = [("TopicName", "mine"), ("SubscriptionName", "to-queue")];
    let with = |more: &[(&'static str, &'static str)]| [on.as_slice(), more].concat();
    golden
        .act(
            "Subscribe",
            &with(&[
                ("PushType", "queue"),
                ("Endpoint", "MyQueue"),
                ("MessageTag", "red"),
            ]),
        )
        .await;
    golden
        .act(
            "Subscribe.kind",
            &with(&[("PushType", "fc"), ("Endpoint", "f")]),
        )
        .await;
    golden
        .act(
            "SetSubscriptionAttributes",
            &with(&[("NotifyStrategy", "EXPONENTIAL_DECAY_RETRY")]),
        )
        .await;
    golden.act("GetSubscriptionAttributes", &on).await;
    golden.act("ListSubscriptionByTopic", &on[..1]).await;
    golden.act("Unsubscribe", &on).await;
    golden.act("Unsubscribe.missing", &on).await;

    // Rules.
    let thumbnails = r#"[[{"Prefix":"photos/","Suffix":".jpg"}],[{"Name":"photos/cover.png"}]]"#;
    golden
        .act("CreateEventRule", &rule("thumbnails", thumbnails))
        .await;
    golden
        .act("CreateEventRule.exists", &rule("thumbnails", thumbnails))
        .await;
    golden
        .act(
            "CreateEventRule.conflict",
            &rule("covers", r#"[[{"Prefix":"photos/co"}]]"#),
        )
        .await;
    golden
        .act(
            "CreateEventRule.faults",
            &rule("1st", r#"[[{"Name":"a/b","Prefix":"a"}]]"#),
        )
        .await;
    golden
        .act(
            "CreateEventRule.json",
            &rule("x", r#"[[{"Prefix":"photos/"]]"#),
        )
        .await;
    golden
        .act(
            "GetEventRule",
            &[("ProductName", "oss"), ("RuleName", "thumbnails")],
        )
        .await;
    golden
        .act(
            "GetEventRule.missing",
            &[("ProductName", "oss"), ("RuleName", "nobody")],
        )
        .await;
    golden
        .act(
            "ListEventRules",
            &[("ProductName", "oss"), ("RuleName", "thumb")],
        )
        .await;
    golden
        .act(
            "UpdateEventRule",
            &rule("thumbnails", r#"[[{"Prefix":"pictures/"}]]"#),
        )
        .await;
    golden
        .act(
            "DisableEventRule",
            &[("ProductName", "oss"), ("RuleName", "thumbnails")],
        )
        .await;
    golden
        .act(
            "EnableEventRule",
            &[("ProductName", "oss"), ("RuleName", "thumbnails")],
        )
        .await;

    let event = r#"{"eventName":"ObjectCreated:PutObject","oss":{"bucket":{"name":"pictures"},"object":{"key":"a.jpg"}}}"#;
    golden.act("ExplainEvent", &[("Event", event)]).await;
    golden
        .act(
            "ExplainEvent.miss",
            &[
                ("EventType", "ObjectCreated:PutObject"),
                ("Resource", "picture/a.jpg"),
            ],
        )
        .await;
    golden
        .act("ExplainEvent.foreign", &[("Event", r#"{"Records":[]}"#)])
        .await;
    let events = format!(
        "{event}\n{{\"eventName\":\"ObjectRemoved:DeleteObject\",\"resource\":\"logs/b\"}}"
    );
    golden
        .act(
            "PreviewEventRule",
            &[
                ("ProductName", "oss"),
                ("RuleName", "wide"),
                ("EventTypes", r#"["ObjectCreated:*","ObjectRemoved:*"]"#),
                ("MatchRules", r#"[[{"Prefix":""}]]"#),
                ("Events", &events),
            ],
        )
        .await;

    let file = format!(
        r#"[{{"ProductName":"oss","RuleName":"thumbnails","EventTypes":["ObjectCreated:*"],"MatchRules":[[{{"Prefix":"photos/"}}]],"Endpoints":[{MY_QUEUE}]}},{{"ProductName":"oss","RuleName":"logs","EventTypes":["ObjectCreated:*"],"MatchRules":[[{{"Prefix":"logs/"}}]],"Endpoints":[{MY_QUEUE}]}}]"#
    );
    golden
        .act("ApplyEventRules", &[("Rules", &file), ("DryRun", "true")])
        .await;
    golden
        .act(
            "ApplyEventRules.faults",
            &[("Rules", r#"[{"ProductName":"oss","RuleName":"1st"}]"#)],
        )
        .await;
    golden
        .act(
            "ApplyEventRules.changed",
            &[("Rules", &file), ("PlanId", "another")],
        )
        .await;

    // Deliveries and dead letters.
    golden
        .act("ListDeliveries", &[("RuleName", "thumbnails")])
        .await;
    golden
        .act(
            "FollowDeliveries",
            &[("NextToken", "5feceb66.0"), ("WaitSeconds", "0")],
        )
        .await;
    golden.act("ListDeadLetters", &[]).await;
    golden.act("GetDeadLetter", &[("Id", "2")]).await;
    golden.act("GetDeadLetter.missing", &[("Id", "9")]).await;
    golden
        .act("RedriveDeadLetters", &[("Ids", r#"["2"]"#)])
        .await;
    golden.act("RedriveDeadLetters.nothing", &[]).await;
    golden.act("DeleteDeadLetters", &[("All", "true")]).await;

    // The account, publishing, and what is no action.
    golden.act("GetAccountAttributes", &[]).await;
    golden
        .act("SetAccountAttributes", &[("LogEnabled", "False")])
        .await;
    golden
        .act("GetEndpointAttribute", &[("EndpointType", "public")])
        .await;
    golden
        .act("EnableEndpoint", &[("EndpointType", "public")])
        .await;
    for action in [
        "DisableEndpoint",
        "AuthorizeEndpointAcl",
        "RevokeEndpointAcl",
    ] {
        golden.act(action, &[("EndpointType", "public")]).await;
    }
    golden.act("PublishEvents", &[("Events", "an event")]).await;
    golden.act("NoSuchAction", &[]).await;
    golden.http("no-action", "GET", "/", &[], "").await;
    golden
        .http(
            "wrong-version",
            "POST",
            "/?Action=ListQueue&Version=2015-06-06",
            &[],
            "",
        )
        .await;
    golden.http("events", "POST", "/events", &[], "one").await;
    golden
        .http("events.covered", "POST", "/events", &[], "covered")
        .await;
    golden
        .http("events.unreadable", "POST", "/events", &[], "unreadable")
        .await;
    golden
        .http("events.unavailable", "POST", "/events", &[], "unavailable")
        .await;
    golden.http("nowhere", "GET", "/elsewhere", &[], "").await;
    golden
        .http("certificate.missing", "GET", "/certs/x.pem", &[], "")
        .await;
    golden.http("healthz", "GET", "/healthz", &[], "").await;

    golden
        .act(
            "DeleteEventRule",
            &[("ProductName", "oss"), ("RuleName", "thumbnails")],
        )
        .await;
    golden.act("DeleteTopic", &[("TopicName", "mine")]).await;
    golden.act("DeleteQueue", &[("QueueName", "dead")]).await;
    golden
        .act("DeleteQueue.missing", &[("QueueName", "dead")])
        .await;
    history(&mut golden).await;
    signing_keys(&mut golden).await;
    for action in ACTIONS {
        assert!(golden.seen.contains(*action), "{action} has no golden file");
    }
    golden.finish();
}
