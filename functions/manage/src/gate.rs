//! The gate every request but `/healthz` and `/certs/*` passes: bounded body, then who asks, then what they may do.

use crate::auth::{acs3, basic, loopback, mns};
use crate::error::Refused;
use crate::service::{Role, Service};
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, Request, header};
use http_body_util::BodyExt as _;
use tokio::sync::OwnedSemaphorePermit;

/// A request that was let in.
pub(crate) struct Admitted {
    pub(crate) method: Method,
    /// Path as sent, still percent-encoded.
    pub(crate) path: String,
    /// Query as sent; empty when there is none.
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// What who asks may do.
    pub(crate) role: Role,
    /// Held for as long as a body larger than the others' is.
    _large: Option<OwnedSemaphorePermit>,
}

/// What a request wants, as roles see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Want {
    /// Look at rules, topics, queues, deliveries.
    Look,
    /// Change them.
    Change,
    /// Publish events, send messages.
    Publish,
    /// Receive, delete, hide messages.
    Consume,
    /// Look at messages without taking them.
    Peek,
    /// Look at the attributes of a queue: whoever sends or receives may.
    LookAtQueue,
}

impl Admitted {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Whether the key's role covers `want`; `what` names the action in the refusal.
    pub(crate) fn may(&self, want: Want, what: &str) -> Result<(), Refused> {
        let covered = match self.role {
            Role::Admin => true,
            Role::ReadOnly => matches!(want, Want::Look | Want::Peek | Want::LookAtQueue),
            Role::Publish => matches!(want, Want::Publish | Want::LookAtQueue),
            Role::Consume => matches!(want, Want::Consume | Want::Peek | Want::LookAtQueue),
        };
        if covered {
            return Ok(());
        }
        Err(Refused::denied(format!(
            "{what} is not open to a key with the role {}: sign with a key that has a wider role",
            self.role.as_str()
        )))
    }
}

/// How a request shows who sends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// ACS3-HMAC-SHA256.
    Acs3,
    /// MNS HMAC-SHA1.
    Mns,
    /// ACS3, or HTTP Basic with key id and secret: what collectors of metrics can do.
    Acs3OrBasic,
}

/// Lets a request in, or tells why not.
pub(crate) async fn admit(
    service: &Service,
    request: Request<Body>,
    scheme: Scheme,
) -> Result<Admitted, Refused> {
    let (parts, body) = request.into_parts();
    service
        .throttle
        .take(service.settings.max_requests_per_second, service.now())?;
    let keys = &service.settings.access_keys;
    if keys.is_empty() {
        // Before the body is read: a page from elsewhere shall not even make us read.
        loopback::check(&parts.uri, &parts.headers, &service.settings.hosts)?;
    }
    let expects = parts.headers.contains_key(header::EXPECT);
    let (limit, large) = body_limit(service, &parts.headers, scheme)?;
    let body = read(body, &parts.headers, limit, expects).await?;
    let mut admitted = Admitted {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers,
        body,
        role: Role::Admin,
        _large: large,
    };
    if admitted.headers.get(header::HOST).is_none() {
        // HTTP/2 carries the host as :authority; signatures name it `host` all the same.
        if let Some(Ok(host)) = parts
            .uri
            .authority()
            .map(|authority| authority.as_str().parse())
        {
            admitted.headers.insert(header::HOST, host);
        }
    }
    if !keys.is_empty() {
        let (now, marks) = (service.now(), service.marks.as_ref());
        admitted.role = match scheme {
            Scheme::Acs3 => acs3::verify(keys, marks, &admitted, now).await?,
            Scheme::Mns => mns::verify(keys, &admitted, now)?,
            Scheme::Acs3OrBasic => match basic::verify(keys, &admitted.headers) {
                Some(role) => role,
                None => acs3::verify(keys, marks, &admitted, now).await?,
            },
        };
    }
    Ok(admitted)
}

/// The largest body that this request may have. A batch of messages needs room for the XML round them and for what it
/// escapes; a rule file may be larger than anything else, but only one at a time, so that memory stays bounded.
fn body_limit(
    service: &Service,
    headers: &HeaderMap,
    scheme: Scheme,
) -> Result<(usize, Option<OwnedSemaphorePermit>), Refused> {
    let settings = &service.settings;
    if scheme == Scheme::Mns {
        return Ok((settings.max_body / 2 * 3, None));
    }
    let is_file = headers
        .get("x-acs-action")
        .is_some_and(|action| action == "ApplyEventRules");
    if !is_file || declared(headers).is_none_or(|declared| declared <= settings.max_body) {
        return Ok((settings.max_body, None));
    }
    match service.large.clone().try_acquire_owned() {
        Ok(permit) => Ok((settings.max_rule_file, Some(permit))),
        Err(_) => Err(Refused::new(
            429,
            "TooManyRequests",
            "another large rule file is being read: send this one when that is done",
        )),
    }
}

fn declared(headers: &HeaderMap) -> Option<usize> {
    headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse().ok())
}

/// How much of a body that is too large is still read, so that the sender comes to see the refusal rather than a broken
/// connection; in bytes.
const DRAINED: usize = 16 * 1024 * 1024;

/// Reads a body that nobody wants, for the sake of its sender; see [`DRAINED`].
pub(crate) async fn drain(mut body: Body) {
    let mut seen = 0_usize;
    while let Some(Ok(frame)) = body.frame().await {
        seen = seen.saturating_add(frame.data_ref().map_or(0, Bytes::len));
        if seen > DRAINED {
            return;
        }
    }
}

async fn read(
    mut body: Body,
    headers: &HeaderMap,
    limit: usize,
    expects: bool,
) -> Result<Bytes, Refused> {
    let too_large = || {
        Refused::new(
            413,
            "RequestTooLarge",
            format!("the request body is larger than {limit} bytes: send less in one request"),
        )
    };
    let declared = declared(headers);
    if declared.is_some_and(|declared| declared > limit && (expects || declared > DRAINED)) {
        return Err(too_large());
    }
    let mut held = Vec::with_capacity(declared.unwrap_or(0).min(limit));
    let mut seen = 0_usize;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            Refused::new(
                400,
                "InvalidRequest",
                format!("the request body broke off: {error}; send it again"),
            )
        })?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        seen = seen.saturating_add(data.len());
        if seen <= limit {
            held.extend_from_slice(&data);
        } else {
            held = Vec::new();
            if seen > DRAINED {
                break;
            }
        }
    }
    if seen > limit {
        Err(too_large())
    } else {
        Ok(Bytes::from(held))
    }
}
