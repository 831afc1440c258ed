//! The control plane: SMQ's management API (version 2022-01-19), the MNS queue interface, and direct publish, as one
//! router over the ports of core.
//!
//! ```no_run
//! # async fn host(ports: carillon_manage::Ports) -> std::io::Result<()> {
//! use carillon_manage::{Service, Settings, router};
//!
//! let service = Service::new(ports, Settings::default());
//! let router = router(std::sync::Arc::new(service));
//! # let _ = router;
//! # Ok(())
//! # }
//! ```
//!
//! # Exact rules
//!
//! | path | what |
//! |---|---|
//! | `POST /`, `GET /` | management actions, named in header `x-acs-action` or parameter `Action`; see `rpc.rs` for the list |
//! | `/queues`, `/queues/{name}`, `/queues/{name}/messages` | the MNS queue interface, XML |
//! | `/topics` | refused in words: MNS's REST interface of topics is not served |
//! | `POST /events` | direct publish |
//! | `GET /certs/{file}` | certificates of HTTP pushes |
//! | `GET /healthz`, `GET /metrics` | liveness; Prometheus text |
//!
//! * With access keys, every request but `/healthz` and `/certs/` is signed: ACS3-HMAC-SHA256 at `/` and `/events`, MNS
//!   HMAC-SHA1 at `/queues`, either ACS3 or HTTP Basic at `/metrics`. A key has one [`Role`]. Dates may be off by 15
//!   minutes; an ACS3 nonce is taken once.
//! * Without access keys, only requests that name a loopback host and come from no page of another origin are answered.
//! * Every change of rules is judged on one version of the store and committed on that version: of two racing rules that
//!   overlap, exactly one is created, and the other is told which rule it met and with which event.
//! * A replay sends accepted events through match once more, under the ids they had: to everybody whom they concern by the
//!   rules of now, or to one rule alone. It goes page by page, and can be cut off and gone on with anywhere.
//! * Every refusal has a code and a message that names the field, the value and the cure ([`Refused`]).
//!
//! # What this crate will not do
//!
//! It opens no socket and keeps no data of its own: the host serves the router, and the ports hold everything. It makes
//! no deliveries. The signature of the queue interface (MNS HMAC-SHA1) knows no nonce: such a request can be replayed within
//! the 15 minutes of its date, as with MNS itself; use TLS where others can listen.

mod actions;
mod auth;
#[cfg(feature = "aws")]
pub mod cloud;
mod door;
mod error;
mod events;
mod gate;
mod idempotency;
mod ledger;
mod metrics;
mod params;
mod queue;
mod reply;
mod rpc;
mod service;
mod throttle;

pub use carillon_core::ruleset::Overlap;
pub use door::{AccessKeyDocument, Door, DoorError};
pub use error::Refused;
pub use rpc::ACTIONS;
pub use service::{
    AccessKey, Decode, Limits, Ports, Role, Service, Settings, UrlCheck, WebhookSecrets,
    WebhookSecretsOf,
};

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::Request;
use axum::response::Response;
use axum::routing::{any, get, post};
use std::sync::Arc;

/// The router. Host it as any axum router, or call it as a tower service.
pub fn router(service: Arc<Service>) -> Router {
    Router::new()
        .route("/", get(rpc::serve).post(rpc::serve).put(rpc::serve))
        .route("/queues", any(queue::serve))
        .route("/queues/", any(queue::serve))
        .route("/queues/{*rest}", any(queue::serve))
        .route("/topics", any(queue::topics))
        .route("/topics/{*rest}", any(queue::topics))
        .route("/events", post(events::serve))
        .route("/certs/{file}", get(certificate))
        .route("/healthz", get(health))
        .route("/metrics", get(metrics::serve))
        .fallback(nowhere)
        .method_not_allowed_fallback(no_method)
        // The gate bounds bodies itself, and says so in the caller's dialect.
        .layer(DefaultBodyLimit::disable())
        .with_state(service)
}

/// The answer to a request that the host cannot let go on: 503 `ServiceUnavailable`, in the dialect of the door that the
/// path names.
#[must_use]
pub fn unavailable(service: &Service, path: &str, message: &str) -> Response {
    let refused = Refused::new(503, "ServiceUnavailable", message);
    if path.starts_with("/queues") {
        queue::refuse(&refused, &service.mns_request_id())
    } else {
        reply::failure(&refused, &service.request_id())
    }
}

async fn health() -> &'static str {
    "ok\n"
}

async fn certificate(State(service): State<Arc<Service>>, Path(file): Path<String>) -> Response {
    match service
        .ports
        .certificates
        .as_ref()
        .and_then(|certificates| certificates.pem(&file))
    {
        Some(pem) => reply::text(200, "application/x-pem-file", pem),
        None => {
            let refused = Refused::new(
                404,
                "NotFound",
                "there is no such certificate: take the URL that pushes carry",
            );
            reply::failure(&refused, &service.request_id())
        }
    }
}

async fn no_method(State(service): State<Arc<Service>>, request: Request<Body>) -> Response {
    let refused = Refused::new(
        405,
        "MethodNotAllowed",
        format!(
            "method {} means nothing at {}: header Allow names those that do",
            request.method(),
            request.uri().path()
        ),
    );
    gate::drain(request.into_body()).await;
    reply::failure(&refused, &service.request_id())
}

async fn nowhere(State(service): State<Arc<Service>>, request: Request<Body>) -> Response {
    gate::drain(request.into_body()).await;
    let refused = Refused::new(
        404,
        "NotFound",
        "there is nothing at this path: POST / manages, /queues/{name}/messages holds messages, POST /events publishes",
    );
    reply::failure(&refused, &service.request_id())
}
