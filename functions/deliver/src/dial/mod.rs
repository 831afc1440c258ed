//! The HTTP client: one push out, the beginning of one answer in. Everything is bounded: the time of the whole exchange,
//! the head of the answer, what is read of its body.
//!
//! # Exact rules
//!
//! * HTTP/1.1, or HTTP/2 where the server agrees to it in the TLS handshake. Connections are reused per scheme, host and
//!   port.
//! * The URL is judged by the guard before anything else, a literal address with it; every address that a name resolves
//!   to is judged right before it is dialled, and when any of them is refused none is dialled.
//! * No redirect is followed. No proxy is used: no environment variable is read.
//! * The status decides. Once it is there, trouble with the rest of the answer (slow, endless, broken) changes nothing;
//!   it costs a second at most, and the connection.

mod connect;
mod resolve;
mod tls;

pub use resolve::{Resolve, SystemResolver};
pub use tls::{InvalidRoots, TlsRoots};

use bytes::Bytes;
use carillon_core::ports::{HttpDialler, PushFailure, PushRequest, PushResponse};
use carillon_core::push::guard::{AddressGuard, PushUrl};
use connect::{Connector, Failure};
use http::{HeaderName, HeaderValue, Method, Request, Response, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Most bytes of an answer's body that are kept, as text.
pub const EXCERPT: usize = 1_024;
/// Most bytes of an answer's body that are read, so that the connection may be used again; a longer body costs it.
const DRAINED: usize = 64 * 1_024;
/// Longest time the body may take once the status is there.
const BODY_PATIENCE: Duration = Duration::from_secs(1);
/// Most bytes of an answer's head.
const MAX_HEAD: usize = 64 * 1_024;
/// Most header lines of an answer.
const MAX_HEADERS: usize = 100;
/// An unused connection is kept this long: below the idle timeouts of common servers and balancers (60 s and more).
const IDLE: Duration = Duration::from_secs(30);
/// Unused connections kept for one endpoint.
const IDLE_PER_HOST: usize = 64;

/// How a [`Dialler`] is built.
pub struct DiallerSettings {
    /// Which addresses may be dialled.
    pub guard: AddressGuard,
    /// Whom TLS trusts.
    pub roots: TlsRoots,
    /// Who turns names into addresses.
    pub resolver: Arc<dyn Resolve>,
}

impl Default for DiallerSettings {
    /// Public addresses alone, the Mozilla roots, the system's resolver.
    fn default() -> Self {
        DiallerSettings {
            guard: AddressGuard::default(),
            roots: TlsRoots::default(),
            resolver: Arc::new(SystemResolver::default()),
        }
    }
}

/// The HTTP client. One per process; cheap to clone.
#[derive(Clone)]
pub struct Dialler {
    client: Client<Connector, Full<Bytes>>,
    guard: Arc<AddressGuard>,
}

impl Dialler {
    /// Builds the client. Dials nothing yet.
    #[must_use]
    pub fn new(settings: DiallerSettings) -> Self {
        let guard = Arc::new(settings.guard);
        let connector = Connector::new(
            guard.clone(),
            settings.resolver,
            settings.roots.client_config(),
        );
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_PER_HOST)
            .http1_max_buf_size(MAX_HEAD)
            .http1_max_headers(MAX_HEADERS)
            .http2_max_header_list_size(u32::try_from(MAX_HEAD).expect("64 KiB fit in 32 bits"))
            .build(connector);
        Dialler { client, guard }
    }

    fn request(&self, push: PushRequest) -> Result<Request<Full<Bytes>>, PushFailure> {
        let refused = |reason: String| PushFailure::Refused(reason);
        let url = PushUrl::parse(&push.url).map_err(|error| refused(error.to_string()))?;
        self.guard
            .check_url(&url)
            .map_err(|error| refused(error.to_string()))?;
        let uri: Uri = url
            .to_string()
            .parse()
            .map_err(|error| refused(format!("{url} cannot be requested: {error}")))?;
        let mut request = Request::new(Full::new(Bytes::from_owner(Body(push.body))));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri;
        let headers = request.headers_mut();
        headers.reserve(push.headers.len());
        for (name, value) in push.headers {
            let text = HeaderValue::from_maybe_shared(Bytes::from(value)).map_err(|_| {
                refused(format!("header {name} has a value that HTTP cannot carry"))
            })?;
            headers.insert(HeaderName::from_static(name), text);
        }
        Ok(request)
    }
}

struct Body(Arc<str>);

impl AsRef<[u8]> for Body {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

#[async_trait::async_trait]
impl HttpDialler for Dialler {
    async fn push(&self, push: PushRequest) -> Result<PushResponse, PushFailure> {
        let timeout = push.timeout;
        let deadline = Instant::now() + timeout;
        let request = self.request(push)?;
        let response = match tokio::time::timeout_at(deadline, self.client.request(request)).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(failure(&error)),
            Err(_) => return Err(PushFailure::Timeout(timeout)),
        };
        Ok(read(response, deadline.min(Instant::now() + BODY_PATIENCE)).await)
    }
}

/// Reads what is wanted of an answer.
async fn read(response: Response<Incoming>, deadline: Instant) -> PushResponse {
    let text = |name: http::HeaderName| {
        let value = response.headers().get(name)?;
        Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let mut answer = PushResponse {
        status: response.status().as_u16(),
        retry_after: text(http::header::RETRY_AFTER),
        date: text(http::header::DATE),
        excerpt: String::new(),
    };
    let mut body = response.into_body();
    let mut kept = Vec::new();
    let mut read = 0;
    while let Ok(Some(Ok(frame))) = tokio::time::timeout_at(deadline, body.frame()).await {
        let Some(data) = frame.data_ref() else {
            continue;
        };
        read += data.len();
        let room = EXCERPT - kept.len();
        kept.extend_from_slice(&data[..data.len().min(room)]);
        if read > DRAINED {
            break;
        }
    }
    answer.excerpt = String::from_utf8_lossy(&kept).into_owned();
    answer
}

/// The class of an error, by its type and never by its text.
fn failure(error: &hyper_util::client::legacy::Error) -> PushFailure {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(inner) = cause {
        if let Some(failure) = inner.downcast_ref::<Failure>() {
            return failure.0.clone();
        }
        cause = inner.source();
    }
    // The outermost text says "client error"; the innermost says what happened.
    let mut innermost: &(dyn StdError + 'static) = error;
    while let Some(inner) = innermost.source() {
        innermost = inner;
    }
    let text = innermost.to_string();
    if error.is_connect() {
        PushFailure::Connect(text)
    } else {
        PushFailure::Broken(text)
    }
}
