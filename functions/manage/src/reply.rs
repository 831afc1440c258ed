//! SMQ's envelope (version 2022-01-19): what every management action answers.

use crate::error::Refused;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::Serialize;
use serde_json::Value;

/// The envelope of a success.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Success<'a> {
    request_id: &'a str,
    code: u16,
    status: &'static str,
    message: &'static str,
    success: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Value>,
}

/// The body of a refusal, as the vendor's SDKs read it.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Failure<'a> {
    code: &'a str,
    message: &'a str,
    request_id: &'a str,
}

fn json(status: u16, body: &impl Serialize, request_id: &str) -> Response {
    let text =
        serde_json::to_vec(body).expect("an envelope has only string keys and finite numbers");
    let mut response = Response::new(Body::from(text));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json;charset=utf-8"),
    );
    put(response.headers_mut(), "x-acs-request-id", request_id);
    response
}

/// Adds a header whose value is known to be visible ASCII.
pub(crate) fn put(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// A success. `data` is left out when the action has none.
pub(crate) fn success(data: Option<Value>, request_id: &str) -> Response {
    let body = Success {
        request_id,
        code: 200,
        status: "Success",
        message: "operation success",
        success: true,
        data,
    };
    json(200, &body, request_id)
}

/// A refusal.
pub(crate) fn failure(refused: &Refused, request_id: &str) -> Response {
    let body = Failure {
        code: refused.code,
        message: &refused.message,
        request_id,
    };
    json(refused.status, &body, request_id)
}

/// A text for a person or a machine, outside of any envelope.
pub(crate) fn text(status: u16, content_type: &'static str, body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
