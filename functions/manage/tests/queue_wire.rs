//! The MNS queue interface at its edges: names, switches, XML and batches as clients send them, well or badly. The rows
//! of `cases/queues.json` run in order on one service; `@BIG` stands for a text of 64 KiB.

// `allow-unwrap-in-tests` knows test functions, not their helpers.
#![allow(clippy::unwrap_used)]

mod support;

use carillon_core::ports::{OutgoingMessage, QueueSender as _};
use carillon_core::topic::QueueName;
use carillon_manage::Settings;
use serde::Deserialize;
use support::world;

#[derive(Deserialize)]
struct Case {
    name: String,
    method: String,
    target: String,
    body: String,
    status: u16,
    /// The code of a refusal.
    code: Option<String>,
    /// What the answer's body holds; in XML, or as JSON has it.
    says: Option<String>,
}

#[tokio::test]
async fn what_clients_send_is_taken_whole_or_refused_in_the_vendor_s_words() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("cases/queues.json")).unwrap();
    let world = world(Settings::default());
    let big = "x".repeat(65_536);
    let mut wrong = Vec::new();
    for case in cases {
        let body = case.body.replace("@BIG", &big);
        let answer = world.http(&case.method, &case.target, &[], &body).await;
        let code = case.code.map(|code| {
            [
                format!("<Code>{code}</Code>"),
                format!("{{\"Code\":\"{code}\""),
            ]
        });
        let coded =
            code.is_none_or(|forms| forms.iter().any(|form| answer.body.contains(form.as_str())));
        let said = case.says.is_none_or(|says| {
            answer
                .body
                .replace("&amp;", "&")
                .contains(&says.replace("&amp;", "&"))
        });
        if answer.status != case.status || !coded || !said {
            wrong.push(format!("{}: {} {}", case.name, answer.status, answer.body));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A push may bring a queue what XML cannot carry. The digest is of what the consumer reads, who may compare the two.
#[tokio::test]
async fn the_digest_is_of_the_body_as_it_is_read() {
    let world = world(Settings::default());
    world.queue("q").await;
    let queue = QueueName::parse("q").unwrap();
    let message = OutgoingMessage::new("a\u{1}b\rc".to_owned());
    world
        .queues
        .send(&queue, vec![message])
        .await
        .remove(0)
        .unwrap();
    let answer = world.http("GET", "/queues/q/messages", &[], "").await;
    for part in [
        "<MessageBody>a\u{FFFD}b&#xD;c</MessageBody>",
        // Of "a\u{FFFD}b\rc".
        "<MessageBodyMD5>E866372ABA2161A790E9885F965836AF</MessageBodyMD5>",
    ] {
        assert!(answer.body.contains(part), "{part}: {}", answer.body);
    }
}
