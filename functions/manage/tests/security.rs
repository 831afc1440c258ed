//! Who is let in. `cases/auth.json` was computed by another implementation (Python's hmac and hashlib) under the keys
//! below, at the stopped clock's noon; cases run in order, since nonces are remembered.

// `allow-unwrap-in-tests` knows test functions, not their helpers.
#![allow(clippy::unwrap_used)]

mod support;

use axum::body::Body;
use axum::http::Request;
use carillon_manage::{AccessKey, Role, Settings};
use serde::Deserialize;
use support::{World, world};

fn key(id: &str, secret: &str, role: Role) -> AccessKey {
    AccessKey {
        id: id.to_owned(),
        secret: secret.to_owned(),
        role,
    }
}

fn guarded() -> World {
    let access_keys = vec![
        key("AKID", "SECRET", Role::Admin),
        key("RO", "ROSECRET", Role::ReadOnly),
        key("PUB", "PUBSECRET", Role::Publish),
        key("CON", "CONSECRET", Role::Consume),
    ];
    world(Settings {
        access_keys,
        ..Settings::default()
    })
}

#[derive(Deserialize)]
struct Case {
    name: String,
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: String,
    status: u16,
    code: Option<String>,
}

#[tokio::test]
async fn signatures_dates_nonces_and_roles() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("cases/auth.json")).unwrap();
    assert!(cases.len() > 50);
    let world = guarded();
    for case in cases {
        let headers: Vec<_> = case
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let answer = world
            .http(&case.method, &case.target, &headers, &case.body)
            .await;
        assert_eq!(answer.status, case.status, "{}: {}", case.name, answer.body);
        if let Some(code) = case.code {
            assert!(
                answer.body.contains(&code),
                "{}: want {code}, have {}",
                case.name,
                answer.body
            );
        }
        assert!(
            !answer.body.contains("SECRET"),
            "{}: {}",
            case.name,
            answer.body
        );
    }
}

/// The worked example of the vendor's page on the signature, version 3: its date and its version are not ours, and which
/// of the two is told shows that the signature itself was taken.
#[tokio::test]
async fn the_vendor_s_own_example_verifies() {
    let world = world(Settings {
        access_keys: vec![key("YourAccessKeyId", "YourAccessKeySecret", Role::Admin)],
        ..Settings::default()
    });
    world.clock.advance(1_698_315_752_000 - support::NOON);
    let example = [
        ("host", "ecs.cn-shanghai.aliyuncs.com"),
        ("x-acs-action", "RunInstances"),
        (
            "x-acs-content-sha256",
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        ),
        ("x-acs-date", "2023-10-26T10:22:32Z"),
        ("x-acs-signature-nonce", "3156853299f313e23d1673dc12e1703d"),
        ("x-acs-version", "2014-05-26"),
        (
            "authorization",
            "ACS3-HMAC-SHA256 Credential=YourAccessKeyId,SignedHeaders=host;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version,Signature=06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0",
        ),
    ];
    let target =
        "/?ImageId=win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd&RegionId=cn-shanghai";
    let answer = world.http("POST", target, &example, "").await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (400, "InvalidVersion")
    );
    let again = world.http("POST", target, &example, "").await;
    assert_eq!(again.code(), "SignatureNonceUsed");
}

#[tokio::test]
async fn without_keys_no_page_from_elsewhere_is_answered() {
    let world = world(Settings {
        hosts: vec!["bells.local:9324".to_owned()],
        ..Settings::default()
    });
    let cases: [(&[(&str, &str)], u16); 13] = [
        (&[("host", "127.0.0.1:9324")], 200),
        (&[("host", "localhost:9324")], 200),
        (&[("host", "[::1]:9324")], 200),
        (&[("host", "bells.local:9324")], 200),
        // DNS rebinding: the page's own name, made to resolve to this machine.
        (&[("host", "rebound.example:9324")], 403),
        (&[("host", "127.0.0.1.rebound.example")], 403),
        (&[("host", "192.168.1.7:9324")], 403),
        (&[("host", "")], 403),
        (
            &[
                ("host", "127.0.0.1:9324"),
                ("origin", "http://127.0.0.1:9324"),
            ],
            200,
        ),
        (
            &[
                ("host", "127.0.0.1:9324"),
                ("origin", "https://evil.example"),
            ],
            403,
        ),
        (
            &[
                ("host", "127.0.0.1:9324"),
                ("origin", "http://127.0.0.1:8000"),
            ],
            403,
        ),
        (&[("host", "127.0.0.1:9324"), ("origin", "null")], 403),
        (
            &[("host", "127.0.0.1:9324"), ("sec-fetch-site", "cross-site")],
            403,
        ),
    ];
    for (headers, status) in cases {
        for (method, target, good) in [
            ("POST", "/?Action=ListQueue", 200),
            ("GET", "/queues", 200),
            ("POST", "/events", 200),
            ("GET", "/metrics", 200),
        ] {
            let answer = world.http(method, target, headers, "one").await;
            let want = if status == 200 { good } else { status };
            assert_eq!(
                answer.status, want,
                "{method} {target} {headers:?}: {}",
                answer.body
            );
        }
        assert_eq!(world.http("GET", "/healthz", headers, "").await.status, 200);
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_in_words() {
    let world = world(Settings::default());
    world.queue("q").await;
    let large = "x".repeat(2 * 1024 * 1024);
    for (target, limit) in [
        ("/events", "1048576"),
        ("/?Action=ListQueue", "1048576"),
        // Room for the XML round a batch of sixteen full messages.
        ("/queues/q/messages", "1572864"),
    ] {
        let answer = world.http("POST", target, &[], &large).await;
        assert_eq!(answer.status, 413, "{target}");
        assert!(
            answer.body.contains("RequestTooLarge") && answer.body.contains(limit),
            "{}",
            answer.body
        );
    }
    assert!(world.published.0.lock().unwrap().is_empty());
}

#[tokio::test]
async fn hostile_xml_is_refused() {
    let world = world(Settings::default());
    world.queue("q").await;
    let entities = r#"<!DOCTYPE m [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><Message><MessageBody>&b;</MessageBody></Message>"#;
    let deep = format!(
        "{}x{}",
        "<Message>".repeat(50_000),
        "</Message>".repeat(50_000)
    );
    let many = format!(
        "<Messages>{}</Messages>",
        "<Message><MessageBody>x</MessageBody></Message>".repeat(17)
    );
    for (body, code) in [
        (entities, "MalformedXML"),
        (deep.as_str(), "MalformedXML"),
        (&many, "InvalidArgument"),
    ] {
        let answer = world.http("POST", "/queues/q/messages", &[], body).await;
        assert_eq!(answer.status, 400, "{}", answer.body);
        assert!(answer.body.contains(code), "{}", answer.body);
    }
    assert_eq!(
        world
            .http("GET", "/queues/q/messages", &[], "")
            .await
            .status,
        404
    );
}

#[tokio::test]
async fn bytes_that_are_no_text_are_no_panic() {
    let world = guarded();
    for header in [
        "authorization",
        "host",
        "x-acs-date",
        "content-md5",
        "x-mns-date",
        "origin",
    ] {
        for target in [
            "/",
            "/queues",
            "/events",
            "/metrics",
            "/queues/%ff%fe/messages",
            "/?Action=%ff",
        ] {
            let request = Request::builder()
                .method("POST")
                .uri(target)
                .header(header, [0xFF, 0xFE, 0x80].as_slice())
                .body(Body::from(vec![0xFF; 10]))
                .unwrap();
            let answer = world.send(request).await;
            assert!(
                (400..500).contains(&answer.status),
                "{header} {target}: {}",
                answer.body
            );
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An action without parameters, signed with ACS3-HMAC-SHA256.
fn signed(id: &str, secret: &str, action: &str) -> Vec<(&'static str, String)> {
    use hmac::{Hmac, KeyInit as _, Mac as _};
    use sha2::{Digest as _, Sha256};
    let hash = hex(&Sha256::digest(b""));
    let mut headers = vec![
        ("host", "127.0.0.1".to_owned()),
        ("x-acs-action", action.to_owned()),
        ("x-acs-content-sha256", hash.clone()),
        ("x-acs-date", "2026-11-22T12:00:00Z".to_owned()),
        ("x-acs-signature-nonce", format!("{id}-{action}")),
        ("x-acs-version", "2022-01-19".to_owned()),
    ];
    let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let lines: String = headers
        .iter()
        .map(|(name, value)| format!("{name}:{value}\n"))
        .collect();
    let canonical = format!("POST\n/\n\n{lines}\n{names}\n{hash}");
    let text = format!("ACS3-HMAC-SHA256\n{}", hex(&Sha256::digest(canonical)));
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(text.as_bytes());
    let signature = hex(&mac.finalize().into_bytes());
    headers.push((
        "authorization",
        format!("ACS3-HMAC-SHA256 Credential={id},SignedHeaders={names},Signature={signature}"),
    ));
    headers
}

/// Every action there is, by keys of every role: those that change anything are for admins alone, and publishing is for
/// publishers. An action added tomorrow that only looks by its name, but changes, does not hide here.
#[tokio::test]
async fn a_read_only_key_writes_nothing_by_any_action() {
    let looks = ["Get", "List", "Explain", "Preview", "Follow"];
    let keys = [
        ("RO", "ROSECRET"),
        ("PUB", "PUBSECRET"),
        ("CON", "CONSECRET"),
    ];
    let world = guarded();
    let before = world.store.version_now();
    for action in carillon_manage::ACTIONS {
        for (id, secret) in keys {
            let headers = signed(id, secret, action);
            let headers: Vec<_> = headers
                .iter()
                .map(|(name, value)| (*name, value.as_str()))
                .collect();
            let answer = world.http("POST", "/", &headers, "").await;
            let open = match id {
                "RO" => looks.iter().any(|look| action.starts_with(look)),
                "PUB" => matches!(*action, "PublishEvents" | "GetQueueAttributes"),
                _ => *action == "GetQueueAttributes",
            };
            let denied = answer.status == 403 && answer.code() == "AccessDenied";
            assert_eq!(denied, !open, "{action} by {id}: {}", answer.body);
        }
    }
    assert_eq!(world.store.version_now(), before);
}

/// Whoever writes a password into an endpoint does not find it again in the refusal, which may be logged.
#[tokio::test]
async fn a_password_in_an_endpoint_is_not_repeated() {
    let world = world(Settings::default());
    world.act("CreateTopic", &[("TopicName", "t")]).await.data();
    let answer = world
        .act(
            "Subscribe",
            &[
                ("TopicName", "t"),
                ("SubscriptionName", "s"),
                ("PushType", "http"),
                ("Endpoint", "ftp://user:hidden@example.com/hook"),
            ],
        )
        .await;
    assert_eq!(answer.status, 400);
    assert!(
        answer.body.contains("example.com/hook") && !answer.body.contains("hidden"),
        "{}",
        answer.body
    );
}
