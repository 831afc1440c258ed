//! A request that was let in once is not let in again: not by this process, nor by another of the same service, nor after
//! a restart, which is to the marks the same.

// `allow-unwrap-in-tests` knows test functions, not their helpers.
#![allow(clippy::unwrap_used)]

mod support;

use carillon_core::event::Timestamp;
use carillon_core::ports::{Marks, MemoryMarks, StoreError};
use carillon_manage::{AccessKey, Role, Settings};
use serde_json::Value;
use std::sync::Arc;
use support::{World, world_with};

fn guarded(marks: Arc<dyn Marks>) -> World {
    let key = AccessKey {
        id: "AKID".to_owned(),
        secret: "SECRET".to_owned(),
        role: Role::Admin,
    };
    let settings = Settings {
        access_keys: vec![key],
        ..Settings::default()
    };
    world_with(Arc::default(), Some(marks), settings)
}

/// A sound request of `cases/auth.json`, signed by another implementation at the stopped clock's noon.
fn sound() -> Value {
    let cases: Vec<Value> = serde_json::from_str(include_str!("cases/auth.json")).unwrap();
    cases
        .into_iter()
        .find(|case| {
            case["status"] == 200
                && case["headers"]
                    .to_string()
                    .contains("x-acs-signature-nonce")
                && case["headers"].to_string().contains("AKID")
        })
        .unwrap()
}

async fn send(world: &World, case: &Value) -> (u16, String) {
    let headers: Vec<(String, String)> = serde_json::from_value(case["headers"].clone()).unwrap();
    let headers: Vec<_> = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let text = |member: &str| case[member].as_str().unwrap();
    let answer = world
        .http(text("method"), text("target"), &headers, text("body"))
        .await;
    (answer.status, answer.body)
}

#[tokio::test]
async fn a_replayed_nonce_is_refused_by_every_process_and_after_a_restart() {
    let marks: Arc<dyn Marks> = Arc::new(MemoryMarks::default());
    let (first, second) = (guarded(marks.clone()), guarded(marks.clone()));
    let case = sound();
    assert_eq!(send(&first, &case).await.0, 200);
    for world in [&first, &second, &guarded(marks)] {
        let (status, body) = send(world, &case).await;
        assert_eq!(status, 400, "{body}");
        assert!(body.contains("SignatureNonceUsed"), "{body}");
    }
    // The mark need not stand longer than the request's own date is taken.
    second.clock.advance(15 * 60 * 1000 + 1);
    let (status, body) = send(&second, &case).await;
    assert_eq!(status, 403, "{body}");
    assert!(body.contains("TimeExpired"), "{body}");
}

/// Marks of a store that does not answer.
struct Down;

#[async_trait::async_trait]
impl Marks for Down {
    async fn set(
        &self,
        _: &str,
        _: &str,
        _: Timestamp,
        _: Timestamp,
    ) -> Result<Option<String>, StoreError> {
        Err(StoreError("the table is throttled".to_owned()))
    }

    async fn get(&self, _: &str, _: Timestamp) -> Result<Option<String>, StoreError> {
        Err(StoreError("the table is throttled".to_owned()))
    }
}

#[tokio::test]
async fn where_nonces_cannot_be_remembered_nobody_is_let_in() {
    let (status, body) = send(&guarded(Arc::new(Down)), &sound()).await;
    assert_eq!(status, 500, "{body}");
    assert!(body.contains("InternalError"), "{body}");
}

#[tokio::test]
async fn a_client_token_holds_for_every_process_and_after_a_restart() {
    let marks: Arc<dyn Marks> = Arc::new(MemoryMarks::default());
    let store = Arc::default();
    let open = || world_with(Arc::clone(&store), Some(marks.clone()), Settings::default());
    let rule = |prefix: &str| {
        vec![
            ("ProductName".to_owned(), "oss".to_owned()),
            ("RuleName".to_owned(), "r".to_owned()),
            ("EventTypes".to_owned(), "ObjectCreated:*".to_owned()),
            ("MatchRules.1.1.Prefix".to_owned(), prefix.to_owned()),
            ("Endpoint.EndpointType".to_owned(), "queue".to_owned()),
            ("Endpoint.EndpointValue".to_owned(), "q".to_owned()),
            ("ClientToken".to_owned(), "token-1".to_owned()),
        ]
    };
    let create = async |world: &World, prefix: &str| {
        let rule = rule(prefix);
        let rule: Vec<_> = rule.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        world.act("CreateEventRule", &rule).await
    };
    let first = open();
    first.queue("q").await;
    assert_eq!(create(&first, "a/").await.status, 200);
    let restarted = open();
    restarted.queue("q").await;
    assert_eq!(create(&restarted, "a/").await.data(), "r");
    assert_eq!(
        create(&restarted, "b/").await.code(),
        "IdempotentParameterMismatch"
    );
    restarted.clock.advance(24 * 3600 * 1000);
    assert_eq!(
        create(&restarted, "a/").await.code(),
        "EventRuleAlreadyExist"
    );
}
