// The targets that speak to the whole router of the control plane, over ports held in memory: nothing a client can write
// may end in a panic or in a 5xx, and nothing that is not signed by a key of ours may be let in.

use axum::body::Body;
use axum::http::Request;
use carillon_manage::{AccessKey, Role, Settings};
use std::future::Future;

#[path = "../../functions/manage/tests/support/mod.rs"]
pub(crate) mod support;

use support::{Answer, World, world};

pub(crate) fn run<T>(test: impl Future<Output = T>) -> T {
    thread_local! {
        static RUNTIME: tokio::runtime::Runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime without drivers needs nothing of the machine");
    }
    RUNTIME.with(|runtime| runtime.block_on(test))
}

/// A request as its text has it: the request line, the headers, an empty line, the body. None when no client could send it.
fn request(text: &str) -> Option<Request<Body>> {
    let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
    let mut lines = head.lines();
    let (method, target) = lines.next()?.split_once(' ')?;
    if !target.starts_with('/') {
        return None;
    }
    let mut request = Request::builder().method(method).uri(target);
    let mut host = false;
    for line in lines {
        let (name, value) = line.split_once(':')?;
        host |= name.eq_ignore_ascii_case("host");
        request = request.header(name, value.trim());
    }
    if !host {
        request = request.header("host", "127.0.0.1:9324");
    }
    request.body(Body::from(body.to_owned())).ok()
}

/// A service with a queue, a rule, a topic and a message, so that there is something to meet.
async fn furnished() -> World {
    let world = world(Settings::default());
    world.queue("q").await;
    world.rule("r", "b/", "q").await;
    world.act("CreateTopic", &[("TopicName", "t")]).await;
    world
}

fn sound(answer: &Answer, asked: &str) {
    // A batch of which some messages were not taken is a 500 that lists each, as the vendor has it.
    let in_part = answer.status == 500 && answer.body.contains("<Messages ");
    assert!(
        answer.status < 500 || in_part,
        "{}: {} to {asked:?}",
        answer.status,
        answer.body
    );
}

/// The management API and direct publish, without keys: any request gets an answer, and never a 5xx.
pub fn management(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    // The publisher of the tests is told by this word to be unavailable, which is a 503 as it should be.
    if text.contains("unavailable") || text.contains("failed") {
        return;
    }
    if let Some(request) = request(&text) {
        run(async { sound(&furnished().await.send(request).await, &text) });
    }
}

/// The queue interface: the first byte chooses the door, the rest is the body.
pub fn queue_xml(data: &[u8]) {
    const DOORS: &[(&str, &str)] = &[
        ("POST", "/queues/q/messages"),
        ("PUT", "/queues/another"),
        ("PUT", "/queues/q?metaoverride=true"),
        ("DELETE", "/queues/q/messages"),
        (
            "PUT",
            "/queues/q/messages?receiptHandle=1-2&visibilityTimeout=1",
        ),
        ("GET", "/queues/q/messages?numOfMessages=16&waitseconds=0"),
        ("GET", "/queues"),
    ];
    let Some((door, body)) = data.split_first() else {
        return;
    };
    let (method, target) = DOORS[usize::from(*door) % DOORS.len()];
    let body = String::from_utf8_lossy(body);
    run(async {
        let world = world(Settings::default());
        world.queue("q").await;
        let headers = [
            ("x-mns-version", "2015-06-06"),
            ("content-type", "text/xml"),
        ];
        let answer = world.http(method, target, &headers, &body).await;
        sound(&answer, &body);
        // What a send took can be received again.
        if answer.status == 201 && target.ends_with("/messages") {
            let all = "/queues/q/messages?numOfMessages=16&peekonly=true";
            let peeked = world.http("GET", all, &headers, "").await;
            assert!(
                matches!(peeked.status, 200 | 404),
                "{} {}",
                peeked.status,
                peeked.body
            );
        }
    });
}

/// A service with a key whose secret no input knows: whatever the headers say, only the open paths answer.
pub fn signatures(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Some(request) = request(&text) else {
        return;
    };
    let path = request.uri().path().to_owned();
    if path == "/healthz" || path.starts_with("/certs/") {
        return;
    }
    let key = AccessKey {
        id: "AKID".to_owned(),
        secret: "nobody knows it".to_owned(),
        role: Role::Admin,
    };
    let answer = run(async {
        let settings = Settings {
            access_keys: vec![key],
            ..Settings::default()
        };
        world(settings).send(request).await
    });
    assert!(
        (400..500).contains(&answer.status),
        "{} {} to {text:?}",
        answer.status,
        answer.body
    );
}
