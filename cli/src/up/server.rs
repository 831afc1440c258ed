//! The HTTP server: the router behind bounds that no client can exceed.

use axum::extract::{Request, State};
use axum::http::Method;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use carillon_core::ports::MetricsText;
use carillon_manage::Service;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tower_http::timeout::RequestBodyTimeoutLayer;

/// Longest silence within a request's body.
const BODY_PATIENCE: Duration = Duration::from_secs(15);
/// Bytes of a request's head after which no more of it is read; the read that reaches them may bring as many again.
const MAX_HEAD: usize = 64 * 1024;
/// Most header lines of a request.
const MAX_HEADERS: usize = 100;
/// How long a long poll may go on after the service was asked to stop, so that an answer under way still leaves.
const LAST_WAIT: Duration = Duration::from_millis(200);
/// Descriptors left to the store, to pushes and to the runtime.
const RESERVED: u64 = 512;
/// Pause after the system had no descriptor left.
const AFTER_EXHAUSTION: Duration = Duration::from_millis(100);

/// Bounds that an operator sets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Most connections at a time; each open one costs under 30 KB, an idle one too.
    pub(crate) connections: usize,
    /// Time for the head of a request, and so for an idle connection too: below it a keep-alive client is welcome.
    pub(crate) idle: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds {
            connections: 16_384,
            idle: Duration::from_secs(30),
        }
    }
}

/// Connections, as `/metrics` tells of them.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    open: AtomicU64,
    turned_away: AtomicU64,
}

#[async_trait::async_trait]
impl MetricsText for Connections {
    async fn text(&self) -> String {
        format!(
            "# HELP carillon_connections Connections open now.\n\
             # TYPE carillon_connections gauge\n\
             carillon_connections {}\n\
             # HELP carillon_connections_turned_away_total Connections turned away, since there were too many.\n\
             # TYPE carillon_connections_turned_away_total counter\n\
             carillon_connections_turned_away_total {}\n",
            self.open.load(Ordering::Relaxed),
            self.turned_away.load(Ordering::Relaxed)
        )
    }
}

/// One open connection; counted until it goes.
struct Place {
    _permit: OwnedSemaphorePermit,
    counts: Arc<Connections>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.counts.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Ends long polls when the service stops: what waits for news must not hold up the end.
async fn end_long_polls(
    State((mut stopped, service)): State<(watch::Receiver<bool>, Arc<Service>)>,
    request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path().to_owned();
    let queue = request.method() == Method::GET && path.starts_with("/queues/");
    let follows = request
        .headers()
        .get("x-acs-action")
        .is_some_and(|action| action == "FollowDeliveries");
    if !queue && !follows {
        return next.run(request).await;
    }
    let ending = async {
        // An error says that nobody can stop the service any more.
        if stopped.wait_for(|stopped| *stopped).await.is_err() {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(LAST_WAIT).await;
    };
    tokio::select! {
        biased;
        response = next.run(request) => response,
        () = ending => {
            carillon_manage::unavailable(&service, &path, "the service is stopping: ask again in a moment")
        }
    }
}

/// Serves until `stopped`, then lets requests under way finish.
pub(crate) async fn serve(
    listener: TcpListener,
    service: Arc<Service>,
    bounds: Bounds,
    counts: Arc<Connections>,
    mut stopped: watch::Receiver<bool>,
) {
    let router = carillon_manage::router(service.clone())
        .layer(RequestBodyTimeoutLayer::new(BODY_PATIENCE))
        .layer(from_fn_with_state(
            (stopped.clone(), service),
            end_long_polls,
        ));
    let most = places(bounds.connections);
    let places = Arc::new(Semaphore::new(most));
    let graceful = GracefulShutdown::new();
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.idle)
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
        let Ok(permit) = places.clone().try_acquire_owned() else {
            counts.turned_away.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(limit = most, "too many connections, one was turned away");
            continue;
        };
        counts.open.fetch_add(1, Ordering::Relaxed);
        let place = Place {
            _permit: permit,
            counts: counts.clone(),
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
fn places(wanted: usize) -> usize {
    let limit = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(1024);
    let room = limit.saturating_sub(RESERVED).max(64);
    usize::try_from(room).unwrap_or(usize::MAX).min(wanted)
}
