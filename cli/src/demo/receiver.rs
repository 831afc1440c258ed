//! A small HTTP receiver, as a consumer of pushes would run one.

use crate::failure::Failure;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver as Channel, Sender};
use std::time::{Duration, Instant};

/// One push, as received.
pub(super) struct Push {
    pub(super) at: Instant,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

/// The receiver.
pub(super) struct Receiver {
    address: SocketAddr,
    pushes: Mutex<Channel<Push>>,
}

impl Receiver {
    pub(super) async fn start(address: SocketAddr) -> Result<Self, Failure> {
        let failed = |error: std::io::Error| {
            Failure::Unusable(format!("cannot listen on {address}: {error}"))
        };
        let listener = tokio::net::TcpListener::bind(address)
            .await
            .map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let (sender, pushes) = mpsc::channel();
        let router = Router::new().fallback(take).with_state(sender);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Receiver {
            address,
            pushes: pushes.into(),
        })
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/notifications", self.address)
    }

    /// The next push, or none within the time.
    pub(super) fn next(&self, within: Duration) -> Option<Push> {
        let pushes = self
            .pushes
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        pushes.recv_timeout(within).ok()
    }
}

async fn take(State(sender): State<Sender<Push>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let push = Push {
        at: Instant::now(),
        headers,
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    // The demo that listens may have ended already.
    let _ = sender.send(push);
    StatusCode::NO_CONTENT
}
