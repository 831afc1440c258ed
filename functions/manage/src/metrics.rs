//! `GET /metrics`: what this process counted, in Prometheus's text format 0.0.4, and what its hosts add.

use crate::gate::{Scheme, Want, admit};
use crate::reply;
use crate::service::Service;
use axum::body::Body;
use axum::extract::State;
use axum::http::Request;
use axum::response::Response;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Counters of the control plane. Labels come from fixed lists, so their number is bounded.
#[derive(Default)]
pub(crate) struct Counters {
    requests: Mutex<BTreeMap<(&'static str, u16), u64>>,
    accepted: AtomicU64,
    refused: AtomicU64,
}

impl Counters {
    /// An action was answered with this status.
    pub(crate) fn request(&self, action: &'static str, status: u16) {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        *requests.entry((action, status)).or_default() += 1;
    }

    /// So many events were accepted by direct publish.
    pub(crate) fn accepted(&self, events: usize) {
        self.accepted.fetch_add(events as u64, Ordering::Relaxed);
    }

    /// A published body was refused.
    pub(crate) fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    fn text(&self) -> String {
        let mut text = String::from(
            "# HELP carillon_requests_total Requests answered by the control plane.\n\
             # TYPE carillon_requests_total counter\n",
        );
        for ((action, status), count) in
            &*self.requests.lock().unwrap_or_else(PoisonError::into_inner)
        {
            let _ = writeln!(
                text,
                "carillon_requests_total{{action=\"{action}\",status=\"{status}\"}} {count}"
            );
        }
        let plain = [
            (
                "carillon_published_events_total",
                "Events accepted by direct publish.",
                &self.accepted,
            ),
            (
                "carillon_published_refused_total",
                "Published bodies refused.",
                &self.refused,
            ),
        ];
        for (name, help, count) in plain {
            let count = count.load(Ordering::Relaxed);
            let _ = writeln!(
                text,
                "# HELP {name} {help}\n# TYPE {name} counter\n{name} {count}"
            );
        }
        text
    }
}

/// Serves `/metrics`.
pub(crate) async fn serve(State(service): State<Arc<Service>>, request: Request<Body>) -> Response {
    let admitted = admit(&service, request, Scheme::Acs3OrBasic).await;
    if let Err(refused) = admitted.and_then(|request| request.may(Want::Look, "/metrics")) {
        return reply::failure(&refused, &service.request_id());
    }
    let mut text = service.counters.text();
    for more in &service.ports.metrics {
        text.push_str(&more.text().await);
    }
    reply::text(200, "text/plain; version=0.0.4; charset=utf-8", text)
}
