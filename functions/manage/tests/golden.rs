//! Every action's request and answer, byte for byte, in `golden/*.http`: reviewed files, one an action.
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
use carillon_manage::Settings;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;
use support::{NOON, World, world};

/// Headers of an answer that are part of the contract.
const HEADERS: [&str; 8] = [
    "content-type",
    "location",
    "x-acs-request-id",
    "x-mns-request-id",
    "x-mns-version",
    "x-oss-process-status",
    "x-oss-event-status",
    "retry-after",
];

struct Golden {
    world: World,
    seen: BTreeSet<String>,
    different: Vec<String>,
}

impl Golden {
    fn folder() -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
    }

    /// Sends a request and holds it and its answer to `golden/<name>.http`.
    async fn http(
        &mut self,
        name: &str,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> String {
        let answer = self.world.http(method, target, headers, body).await;
        let mut text = format!("{method} {target}\n");
        for (name, value) in headers {
            let _ = writeln!(text, "{name}: {value}");
        }
        if !body.is_empty() {
            let _ = write!(text, "\n{body}\n");
        }
        let _ = write!(text, "\n=> {}\n", answer.status);
        for name in HEADERS {
            if let Some(value) = answer.headers.get(name) {
                let _ = writeln!(text, "{name}: {}", value.to_str().unwrap());
            }
        }
        if !answer.body.is_empty() {
            // A reviewer reads members, not one long line; the compact form is what any JSON writer makes of it.
            let shown = match serde_json::from_str::<serde_json::Value>(&answer.body) {
                Ok(value) => {
                    assert_eq!(value.to_string(), answer.body, "JSON answers are compact");
                    serde_json::to_string_pretty(&value).unwrap()
                }
                Err(_) => answer.body.clone(),
            };
            let _ = write!(text, "\n{shown}\n");
        }
        let path = Self::folder().join(format!("{name}.http"));
        assert!(self.seen.insert(name.to_owned()), "{name} is used twice");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&path, &text).unwrap();
        } else {
            let held = std::fs::read_to_string(&path).unwrap_or_default();
            if held != text {
                self.different
                    .push(format!("--- {name}\nwant:\n{held}\nhave:\n{text}"));
            }
        }
        answer.body
    }

    /// One management action.
    async fn act(&mut self, name: &str, parameters: &[(&str, &str)]) {
        let action = name.split('.').next().unwrap();
        let mut query = String::new();
        for (name, value) in parameters {
            let value =
                percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC);
            let _ = write!(
                query,
                "{}{name}={value}",
                if query.is_empty() { '?' } else { '&' }
            );
        }
        let headers = [("x-acs-action", action), ("x-acs-version", "2022-01-19")];
        self.http(name, "POST", &format!("/{query}"), &headers, "")
            .await;
    }

    /// All held, and no file is left over.
    fn finish(self) {
        assert!(self.different.is_empty(), "{}", self.different.join("\n"));
        for entry in std::fs::read_dir(Self::folder()).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let stem = name.strip_suffix(".http").unwrap_or(&name).to_owned();
            assert!(
                self.seen.contains(&stem),
                "golden/{name} belongs to no request"
            );
        }
    }
}

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
    let mut golden = Golden {
        world: world(Settings::default()),
        seen: BTreeSet::new(),
        different: Vec::new(),
    };
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

    // Deliveries and dead letters.
    golden
        .act("ListDeliveries", &[("RuleName", "thumbnails")])
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

    queue_interface(&mut golden).await;

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
    golden.finish();
}

async fn queue_interface(golden: &mut Golden) {
    const XMLNS: &str = "http://mns.aliyuncs.com/doc/v1/";
    let attributes =
        format!(r#"<Queue xmlns="{XMLNS}"><VisibilityTimeout>30</VisibilityTimeout></Queue>"#);
    golden
        .http("queue.CreateQueue", "PUT", "/queues/rest", &[], &attributes)
        .await;
    golden
        .http(
            "queue.CreateQueue.again",
            "PUT",
            "/queues/rest",
            &[],
            &attributes,
        )
        .await;
    golden
        .http("queue.CreateQueue.other", "PUT", "/queues/rest", &[], "")
        .await;
    let changed =
        format!(r#"<Queue xmlns="{XMLNS}"><VisibilityTimeout>60</VisibilityTimeout></Queue>"#);
    golden
        .http(
            "queue.SetQueueAttributes",
            "PUT",
            "/queues/rest?metaoverride=true",
            &[],
            &changed,
        )
        .await;
    golden
        .http("queue.GetQueueAttributes", "GET", "/queues/rest", &[], "")
        .await;
    golden
        .http(
            "queue.ListQueue",
            "GET",
            "/queues",
            &[("x-mns-ret-number", "1")],
            "",
        )
        .await;

    let messages = "/queues/rest/messages";
    let one = format!(
        r#"<Message xmlns="{XMLNS}"><MessageBody>a &amp; b</MessageBody><Priority>2</Priority></Message>"#
    );
    golden
        .http("queue.SendMessage", "POST", messages, &[], &one)
        .await;
    golden
        .http(
            "queue.SendMessage.empty",
            "POST",
            messages,
            &[],
            "<Message/>",
        )
        .await;
    golden
        .http("queue.SendMessage.xml", "POST", messages, &[], "<Message>")
        .await;
    golden
        .http(
            "queue.PeekMessage",
            "GET",
            "/queues/rest/messages?peekonly=true",
            &[],
            "",
        )
        .await;
    let got = golden
        .http(
            "queue.ReceiveMessage",
            "GET",
            "/queues/rest/messages?waitseconds=0",
            &[],
            "",
        )
        .await;
    golden
        .http("queue.ReceiveMessage.none", "GET", messages, &[], "")
        .await;
    let handle = handles(&got).remove(0);
    let target = format!("{messages}?ReceiptHandle={handle}&VisibilityTimeout=120");
    let changed = golden
        .http("queue.ChangeMessageVisibility", "PUT", &target, &[], "")
        .await;
    let target = format!("{messages}?ReceiptHandle={}", handles(&changed).remove(0));
    golden
        .http("queue.DeleteMessage", "DELETE", &target, &[], "")
        .await;
    golden
        .http("queue.DeleteMessage.void", "DELETE", &target, &[], "")
        .await;

    golden
        .http("queue.DeleteMessage.missing", "DELETE", messages, &[], "")
        .await;
    golden
        .http(
            "queue.ChangeMessageVisibility.missing",
            "PUT",
            &target,
            &[],
            "",
        )
        .await;

    let two = format!(
        r#"<Messages xmlns="{XMLNS}"><Message><MessageBody>first</MessageBody></Message><Message><MessageBody>second</MessageBody></Message></Messages>"#
    );
    golden
        .http("queue.BatchSendMessage", "POST", messages, &[], &two)
        .await;
    let part = format!(
        r#"<Messages xmlns="{XMLNS}"><Message><MessageBody>third</MessageBody></Message><Message><Priority>17</Priority><MessageBody>x</MessageBody></Message></Messages>"#
    );
    golden
        .http("queue.BatchSendMessage.part", "POST", messages, &[], &part)
        .await;
    golden
        .http(
            "queue.BatchPeekMessage",
            "GET",
            "/queues/rest/messages?peekonly=true&numOfMessages=2",
            &[],
            "",
        )
        .await;
    let got = golden
        .http(
            "queue.BatchReceiveMessage",
            "GET",
            "/queues/rest/messages?numOfMessages=16",
            &[],
            "",
        )
        .await;
    let held = handles(&got);
    let delete = |handles: &[String]| {
        let handles: String = handles
            .iter()
            .map(|handle| format!("<ReceiptHandle>{handle}</ReceiptHandle>"))
            .collect();
        format!(r#"<ReceiptHandles xmlns="{XMLNS}">{handles}</ReceiptHandles>"#)
    };
    golden
        .http(
            "queue.BatchDeleteMessage",
            "DELETE",
            messages,
            &[],
            &delete(&held[..2]),
        )
        .await;
    golden
        .http(
            "queue.BatchDeleteMessage.part",
            "DELETE",
            messages,
            &[],
            &delete(&held[1..]),
        )
        .await;
    golden
        .http("queue.missing", "GET", "/queues/nowhere/messages", &[], "")
        .await;
    golden
        .http("queue.method", "PATCH", messages, &[], "")
        .await;
    golden
        .http("queue.account", "GET", "/?accountmeta=true", &[], "")
        .await;
    golden
        .http("queue.DeleteQueue", "DELETE", "/queues/rest", &[], "")
        .await;
}

/// The receipt handles of an answer.
fn handles(body: &str) -> Vec<String> {
    let parts = body.split("<ReceiptHandle>").skip(1);
    parts
        .filter_map(|part| Some(part.split_once("</ReceiptHandle>")?.0.to_owned()))
        .collect()
}
