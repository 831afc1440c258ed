//! The door over access keys that an operator changes while the control plane runs.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod support;

use axum::Router;
use base64::Engine as _;
use carillon_core::event::Timestamp;
use carillon_core::ports::{Clock, StoreError};
use carillon_manage::{AccessKey, AccessKeyDocument, Door, Settings};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use support::{MemoryStore, NOON, world_over};

/// The document, and the clock.
struct Operator {
    now: AtomicI64,
    document: Mutex<Result<Option<String>, StoreError>>,
    silent: Mutex<bool>,
    opened: AtomicUsize,
}

impl Operator {
    fn writes(&self, document: &str) {
        *self.document.lock().unwrap() = Ok(Some(document.to_owned()));
        self.now.fetch_add(30_000, Ordering::SeqCst);
    }
}

impl Clock for Operator {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.now.load(Ordering::SeqCst))
    }
}

#[async_trait::async_trait]
impl AccessKeyDocument for Operator {
    async fn read(&self) -> Result<Option<String>, StoreError> {
        if *self.silent.lock().unwrap() {
            std::future::pending::<()>().await;
        }
        self.document.lock().unwrap().clone()
    }
}

fn door() -> (Arc<Operator>, Door) {
    let operator = Arc::new(Operator {
        now: AtomicI64::new(NOON),
        document: Mutex::new(Ok(None)),
        silent: Mutex::new(false),
        opened: AtomicUsize::new(0),
    });
    let door = Door::new(Some(operator.clone()), operator.clone());
    (operator, door)
}

/// What the key gets to hear: a status, `closed`, or why the door cannot be opened.
async fn knock(operator: &Operator, door: &Door, key: &str) -> String {
    let open = |access_keys: Vec<AccessKey>| async {
        operator.opened.fetch_add(1, Ordering::SeqCst);
        let settings = Settings {
            access_keys,
            ..Settings::default()
        };
        Ok::<Router, _>(world_over(Arc::<MemoryStore>::default(), settings).router)
    };
    let router = match door.router(open).await {
        Ok(Some(router)) => router,
        Ok(None) => return "closed".to_owned(),
        Err(error) => return error.to_string(),
    };
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("{key}:secret"));
    let request = axum::http::Request::get("/metrics")
        .header("host", "example.com")
        .header("authorization", format!("Basic {pair}"));
    let request = request.body(axum::body::Body::empty()).unwrap();
    let answer = tower::ServiceExt::oneshot(router, request).await.unwrap();
    answer.status().as_u16().to_string()
}

fn document(ids: &[&str]) -> String {
    let keys = ids
        .iter()
        .map(|id| serde_json::json!({"id": id, "secret": "secret", "role": "read-only"}));
    serde_json::Value::from_iter(keys).to_string()
}

#[tokio::test]
async fn a_key_that_is_taken_out_opens_nothing_half_a_minute_later() {
    let (operator, door) = door();
    assert_eq!(knock(&operator, &door, "a").await, "closed");
    operator.writes(&document(&["a", "b"]));
    assert_eq!(knock(&operator, &door, "a").await, "200");
    assert_eq!(knock(&operator, &door, "b").await, "200");
    operator.writes(&document(&["b"]));
    assert_ne!(knock(&operator, &door, "a").await, "200");
    assert_eq!(knock(&operator, &door, "b").await, "200");
    assert_eq!(operator.opened.load(Ordering::SeqCst), 2);
    operator.writes("[]");
    assert_eq!(knock(&operator, &door, "b").await, "closed");
}

#[tokio::test]
async fn a_document_that_cannot_be_understood_closes_the_door_and_is_not_quoted() {
    let (operator, door) = door();
    operator.writes(&document(&["a"]));
    assert_eq!(knock(&operator, &door, "a").await, "200");
    operator.writes(r#"[{"id": "a", "secret": 12345}]"#);
    let told = knock(&operator, &door, "a").await;
    assert!(told.contains("line 1") && !told.contains("12345"), "{told}");
    operator.writes(&document(&["a"]));
    assert_eq!(knock(&operator, &door, "a").await, "200");
}

#[tokio::test(start_paused = true)]
async fn keys_that_cannot_be_read_now_stay_as_they_were() {
    let (operator, door) = door();
    operator.writes(&document(&["a"]));
    assert_eq!(knock(&operator, &door, "a").await, "200");
    *operator.document.lock().unwrap() = Err(StoreError("down".to_owned()));
    operator.now.fetch_add(30_000, Ordering::SeqCst);
    assert_eq!(knock(&operator, &door, "a").await, "200");
    *operator.silent.lock().unwrap() = true;
    operator.now.fetch_add(30_000, Ordering::SeqCst);
    let began = tokio::time::Instant::now();
    assert_eq!(knock(&operator, &door, "a").await, "200");
    assert!(began.elapsed() <= std::time::Duration::from_secs(5));
    // A door that was never opened stays shut.
    let fresh = Door::new(Some(operator.clone()), operator.clone());
    let told = knock(&operator, &fresh, "a").await;
    assert!(told.contains("no answer"), "{told}");
}
