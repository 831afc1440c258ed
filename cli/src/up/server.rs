//! The HTTP server: the router behind bounds that no client can exceed.

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tower_http::timeout::RequestBodyTimeoutLayer;

/// Time for the head of a request, and so for an idle connection too: below it a keep-alive client is welcome.
const HEAD_PATIENCE: Duration = Duration::from_secs(30);
/// Longest silence within a request's body.
const BODY_PATIENCE: Duration = Duration::from_secs(15);
/// Most bytes of a request's head.
const MAX_HEAD: usize = 64 * 1024;
/// Most header lines of a request.
const MAX_HEADERS: usize = 100;
/// Most connections at a time; each open one costs a few kilobytes.
const MAX_CONNECTIONS: usize = 16_384;
/// Descriptors left to the store, to pushes and to the runtime.
const RESERVED: u64 = 512;
/// Pause after the system had no descriptor left.
const AFTER_EXHAUSTION: Duration = Duration::from_millis(100);

/// Serves until `stopped`, then lets requests under way finish.
pub(super) async fn serve(
    listener: TcpListener,
    router: Router,
    mut stopped: watch::Receiver<bool>,
) {
    let router = router.layer(RequestBodyTimeoutLayer::new(BODY_PATIENCE));
    let places = Arc::new(Semaphore::new(places()));
    let graceful = GracefulShutdown::new();
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_PATIENCE)
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_HEADERS);
    loop {
        let accepted = tokio::select! {
            _ = stopped.wait_for(|stopped| *stopped) => break,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // A connection that ended before it was taken, or no descriptor left: neither ends the service.
                tracing::warn!(%error, "a connection could not be taken");
                tokio::time::sleep(AFTER_EXHAUSTION).await;
                continue;
            }
        };
        let Ok(place) = places.clone().try_acquire_owned() else {
            tracing::warn!(
                limit = MAX_CONNECTIONS,
                "too many connections, one was turned away"
            );
            continue;
        };
        // Answers are small and awaited: they leave at once.
        let _ = stream.set_nodelay(true);
        let service = TowerToHyperService::new(router.clone());
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection broke");
            }
            drop(place);
        });
    }
    drop(listener);
    graceful.shutdown().await;
}

/// How many connections the system's limit on descriptors leaves room for, after raising it as far as it goes.
fn places() -> usize {
    let limit = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(1024);
    let room = limit.saturating_sub(RESERVED).max(64);
    usize::try_from(room)
        .unwrap_or(usize::MAX)
        .min(MAX_CONNECTIONS)
}
