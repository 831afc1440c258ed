//! `POST /events`: direct publish. 200 `{"accepted":N}` once everything is durable; OSS bodies of which a rule covers an
//! event are answered with `x-oss-process-status` (seed 000, 3.1) and `x-oss-event-status` (the newer OSS help) too.
//! Why a record gave no event stands in `x-carillon-ignored`, for whoever wonders at a zero.

use crate::error::Refused;
use crate::gate::{Admitted, Scheme, Want, admit};
use crate::reply;
use crate::service::Service;
use axum::body::Body;
use axum::extract::State;
use axum::http::Request;
use axum::response::Response;
use carillon_core::event::{
    EVENT_STATUS_HEADER, PROCESS_STATUS_HEADER, event_status, process_status,
};
use carillon_core::ports::{PublishError, PublishReceipt, Submission};
use serde_json::json;
use std::sync::Arc;

/// Serves `/events`.
pub(crate) async fn serve(State(service): State<Arc<Service>>, request: Request<Body>) -> Response {
    let id = service.request_id();
    let admitted = async {
        let request = admit(&service, request, Scheme::Acs3).await?;
        request.may(Want::Publish, "POST /events")?;
        Ok(request)
    }
    .await;
    let outcome = match admitted {
        Ok(request) => publish(&service, submission(&request, request.body.to_vec())).await,
        Err(refused) => Outcome {
            answer: Err(refused),
            ignored: Vec::new(),
            status: None,
        },
    };
    let code = outcome
        .answer
        .as_ref()
        .map_or_else(|refused| refused.status, |_| 200);
    service.counters.request("PublishEvents", code);
    let mut response = match &outcome.answer {
        Ok(accepted) => {
            let mut response = reply::text(
                200,
                "application/json",
                json!({ "accepted": accepted }).to_string(),
            );
            reply::put(response.headers_mut(), "x-acs-request-id", &id);
            if let Some(why) = ignored(&outcome.ignored) {
                reply::put(response.headers_mut(), "x-carillon-ignored", &why);
            }
            response
        }
        Err(refused) => reply::failure(refused, &id),
    };
    if let Some(status) = &outcome.status {
        reply::put(
            response.headers_mut(),
            PROCESS_STATUS_HEADER,
            &process_status(status),
        );
        reply::put(
            response.headers_mut(),
            EVENT_STATUS_HEADER,
            &event_status(status),
        );
    }
    response
}

/// The first reason, and how many others there are, in the letters that a header may hold.
fn ignored(reasons: &[String]) -> Option<String> {
    /// Longest reason told, in letters.
    const LONGEST: usize = 300;
    let mut told: String = reasons
        .first()?
        .chars()
        .take(LONGEST)
        .map(|letter| match letter {
            ' '..='~' => letter,
            _ => '?',
        })
        .collect();
    if reasons.len() > 1 {
        told.push_str(&format!(" (and {} more)", reasons.len() - 1));
    }
    Some(told)
}

/// What became of a published body.
pub(crate) struct Outcome {
    /// How many events were accepted, or why none.
    pub(crate) answer: Result<usize, Refused>,
    /// Why records that were understood gave no event.
    pub(crate) ignored: Vec<String>,
    /// What the status headers tell, where there are any: an OSS body of which a rule covers an event.
    pub(crate) status: Option<Result<(), String>>,
}

/// What is published: the body, and all headers but those that hold secrets.
pub(crate) fn submission(request: &Admitted, body: Vec<u8>) -> Submission {
    let headers = request
        .headers
        .iter()
        .filter(|(name, _)| {
            !matches!(
                name.as_str(),
                "authorization" | "cookie" | "x-acs-security-token"
            )
        })
        .filter_map(|(name, value)| {
            Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
        })
        .collect();
    let product = request
        .header("x-carillon-product")
        .map(|product| product.trim().to_owned());
    Submission {
        body,
        product: product.filter(|product| !product.is_empty()),
        headers,
    }
}

/// Publishes, and counts.
pub(crate) async fn publish(service: &Service, submission: Submission) -> Outcome {
    let refuse = |status, code, reason: String| {
        service.counters.refused();
        Outcome {
            answer: Err(Refused::new(status, code, reason)),
            ignored: Vec::new(),
            status: None,
        }
    };
    if submission.body.is_empty() {
        let cure =
            "the body is empty: send events, for example {\"events\":[...]} or {\"Records\":[...]}";
        return refuse(400, "InvalidArgument", cure.to_owned());
    }
    match service.ports.publisher.publish(submission).await {
        Ok(PublishReceipt {
            accepted,
            ignored,
            status,
        }) => {
            service.counters.accepted(accepted);
            Outcome {
                answer: Ok(accepted),
                ignored,
                status,
            }
        }
        Err(PublishError::Unreadable(reason)) => refuse(400, "InvalidArgument", reason),
        Err(PublishError::Unavailable { reason, covered }) => {
            let mut outcome = refuse(
                503,
                "ServiceUnavailable",
                format!("not accepted: {reason}; send it again later"),
            );
            outcome.status = covered.then_some(Err(reason));
            outcome
        }
    }
}
