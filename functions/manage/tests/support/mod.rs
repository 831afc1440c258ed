//! A control plane over ports held in memory, with a stopped clock, and a client that speaks to its router directly.
// `allow-unwrap-in-tests` knows test functions, not their helpers.
#![allow(dead_code, unreachable_pub, missing_docs, clippy::unwrap_used)]

mod archive;
pub mod golden;
pub mod keys;
mod queues;
mod store;

pub use archive::MemoryArchive;
pub use queues::MemoryQueues;
pub use store::{MemoryDead, MemoryStore};

use axum::body::Body;
use axum::http::{HeaderMap, Request};
use carillon_core::event::Timestamp;
use carillon_core::ports::{
    Clock, Marks, PublishError, PublishReceipt, Publisher, Random, Submission,
};
use carillon_manage::{Ports, Service, Settings, router};
use http_body_util::BodyExt as _;
use serde_json::Value;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use tower::ServiceExt as _;

/// 2026-11-22T12:00:00Z: where the clock stands.
pub const NOON: i64 = 1_795_348_800_000;

pub struct StoppedClock(AtomicI64);

impl StoppedClock {
    pub fn advance(&self, millis: i64) {
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for StoppedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

/// Numbers in a row, so that ids are the same in every run.
#[derive(Default)]
pub struct Counting(AtomicU64);

impl Random for Counting {
    fn draw(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }
}

/// Accepts one event for each body, and answers as the body's first word asks.
#[derive(Default)]
pub struct Publications(pub Mutex<Vec<Submission>>);

#[async_trait::async_trait]
impl Publisher for Publications {
    async fn publish(&self, submission: Submission) -> Result<PublishReceipt, PublishError> {
        let text = String::from_utf8_lossy(&submission.body).into_owned();
        self.0.lock().unwrap().push(submission);
        let status = match text.split_whitespace().next() {
            Some("unreadable") => {
                return Err(PublishError::Unreadable(
                    "the body is not JSON: send events".into(),
                ));
            }
            Some("unavailable") => {
                return Err(PublishError::Unavailable {
                    reason: "the queue is full".into(),
                    covered: true,
                });
            }
            Some("covered") => Some(Ok(())),
            Some("failed") => Some(Err("QueueNotExist".to_owned())),
            _ => None,
        };
        Ok(PublishReceipt {
            accepted: 1,
            status,
            ..PublishReceipt::default()
        })
    }
}

/// A control plane and everything it stands on.
pub struct World {
    pub router: axum::Router,
    pub clock: Arc<StoppedClock>,
    pub store: Arc<MemoryStore>,
    pub queues: Arc<MemoryQueues>,
    pub dead: Arc<MemoryDead>,
    pub archive: Arc<MemoryArchive>,
    pub published: Arc<Publications>,
}

pub fn world(settings: Settings) -> World {
    world_over(Arc::default(), settings)
}

/// A control plane over a store that may have others.
pub fn world_over(store: Arc<MemoryStore>, settings: Settings) -> World {
    world_with(store, None, settings)
}

/// A control plane over a store and marks that may have others.
pub fn world_with(
    store: Arc<MemoryStore>,
    marks: Option<Arc<dyn Marks>>,
    settings: Settings,
) -> World {
    world_finished(store, marks, settings, |service| service)
}

/// The same, with what `finish` adds to the control plane.
pub fn world_finished(
    store: Arc<MemoryStore>,
    marks: Option<Arc<dyn Marks>>,
    settings: Settings,
    finish: impl FnOnce(Service) -> Service,
) -> World {
    let clock = Arc::new(StoppedClock(AtomicI64::new(NOON)));
    let queues = Arc::new(MemoryQueues::new(clock.clone()));
    let (dead, published) = (Arc::<MemoryDead>::default(), Arc::<Publications>::default());
    let ports = Ports {
        rules: store.clone(),
        queues: queues.clone(),
        sender: queues.clone(),
        consumer: queues.clone(),
        publisher: published.clone(),
        clock: clock.clone(),
        random: Arc::new(Counting::default()),
        attempts: Some(dead.clone()),
        dead_letters: Some(dead.clone()),
        certificates: None,
        metrics: Vec::new(),
        marks,
        webhook_secrets: None,
        url_check: None,
    };
    let archive = Arc::<MemoryArchive>::default();
    let service = Service::new(ports, settings).remembering(archive.clone());
    let router = router(Arc::new(finish(service)));
    World {
        router,
        clock,
        store,
        queues,
        dead,
        archive,
        published,
    }
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    pub fn data(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.body);
        self.json()["Data"].clone()
    }

    pub fn code(&self) -> String {
        self.json()["Code"].as_str().unwrap_or_default().to_owned()
    }

    pub fn message(&self) -> String {
        self.json()["Message"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }
}

impl World {
    pub async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    pub async fn http(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(target);
        if !headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("host"))
        {
            request = request.header("host", "127.0.0.1:9324");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Body::from(body.to_owned())).unwrap())
            .await
    }

    /// One management action.
    pub async fn act(&self, action: &str, parameters: &[(&str, &str)]) -> Answer {
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(parameters)
            .finish();
        self.http(
            "POST",
            &format!("/?{query}"),
            &[("x-acs-action", action), ("x-acs-version", "2022-01-19")],
            "",
        )
        .await
    }

    /// A queue by that name.
    pub async fn queue(&self, name: &str) {
        let answer = self.act("CreateQueue", &[("QueueName", name)]).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }

    /// A rule over objects that begin with `prefix`, told to a queue.
    pub async fn rule(&self, name: &str, prefix: &str, queue: &str) -> Answer {
        self.act(
            "CreateEventRule",
            &[
                ("ProductName", "oss"),
                ("RuleName", name),
                ("EventTypes", r#"["ObjectCreated:*"]"#),
                ("MatchRules", &format!(r#"[[{{"Prefix":"{prefix}"}}]]"#)),
                (
                    "Endpoint",
                    &format!(r#"{{"EndpointType":"queue","EndpointValue":"{queue}"}}"#),
                ),
            ],
        )
        .await
    }
}
