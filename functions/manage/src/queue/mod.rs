//! The MNS queue interface: REST with XML bodies, as the vendor's queue clients speak it (MNS help, "Queue API").
//!
//! | request | what |
//! |---|---|
//! | `PUT /queues/{name}` | create: 201, or 204 when it exists with equal attributes; `?metaoverride=true` changes it |
//! | `GET`, `DELETE /queues/{name}` | attributes; delete |
//! | `GET /queues` | list, by headers `x-mns-prefix`, `-ret-number`, `-marker`, `-with-meta` |
//! | `POST /queues/{name}/messages` | send one (`Message`) or up to 16 (`Messages`) |
//! | `GET` | receive; `?waitseconds`, `?numOfMessages`, `?peekonly=true` |
//! | `DELETE` | delete by `?ReceiptHandle`, or up to 16 (`ReceiptHandles`) |
//! | `PUT` | `?ReceiptHandle&VisibilityTimeout`: change visibility |

mod attributes;
mod messages;
mod properties;
mod read;
mod write;

use crate::error::Refused;
use crate::gate::{Admitted, Scheme, Want, admit};
use crate::params::flag;
use crate::reply;
use crate::service::Service;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Method, Request};
use axum::response::Response;
use carillon_core::topic::QueueName;
use std::sync::Arc;
use write::Xml;

/// Version of the queue interface, on every answer.
const VERSION: &str = "2015-06-06";
/// Namespace of every document.
const NAMESPACE: &str = "http://mns.aliyuncs.com/doc/v1/";

/// An answer before it is one: status, document, and where a new queue stands.
struct Answer {
    status: u16,
    body: Option<Xml>,
    location: Option<String>,
}

impl Answer {
    fn empty(status: u16) -> Self {
        Answer {
            status,
            body: None,
            location: None,
        }
    }

    fn xml(status: u16, body: Xml) -> Self {
        Answer {
            status,
            body: Some(body),
            location: None,
        }
    }
}

/// What a request's parameters are read from: the query alone.
struct Query<'a>(&'a str);

impl Query<'_> {
    fn text(&self, name: &str) -> Option<String> {
        form_urlencoded::parse(self.0.as_bytes())
            .find(|(held, _)| held.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.into_owned())
    }

    /// A switch: off when it is not there, on when it stands there alone.
    fn flag(&self, name: &str) -> Result<bool, Refused> {
        match self.text(name).as_deref() {
            None => Ok(false),
            Some("") => Ok(true),
            Some(text) => {
                flag(text.trim()).ok_or_else(|| Refused::argument(name, text, "give true or false"))
            }
        }
    }

    fn number(
        &self,
        name: &str,
        bounds: std::ops::RangeInclusive<u32>,
    ) -> Result<Option<u32>, Refused> {
        self.text(name)
            .map(|text| attributes::within(name, &text, bounds))
            .transpose()
    }
}

/// Serves everything under `/queues`.
pub(crate) async fn serve(State(service): State<Arc<Service>>, request: Request<Body>) -> Response {
    let id = service.mns_request_id();
    let mut name = "none";
    let answer = async {
        let request = admit(&service, request, Scheme::Mns).await?;
        let target = target(&request)?;
        let (action, want) = action(&request, &target)?;
        name = action;
        request.may(want, action)?;
        run(&service, &request, target).await
    }
    .await;
    finish(&service, name, answer, &id)
}

/// Answers MNS's topic interface, which is not served, so that its clients can read why.
pub(crate) async fn topics(
    State(service): State<Arc<Service>>,
    request: Request<Body>,
) -> Response {
    let id = service.mns_request_id();
    let answer = async {
        admit(&service, request, Scheme::Mns).await?;
        Err(Refused::new(
            400,
            "UnsupportedOperation",
            "the REST interface of topics is not served: manage topics and subscriptions with the management API \
             (CreateTopic, Subscribe) at /, and publish with POST /events",
        ))
    }
    .await;
    finish(&service, "Topics", answer, &id)
}

/// Serves MNS's account attributes (`/?accountmeta=true`): there is one, the bucket for logs, and it is always empty.
pub(crate) async fn account(service: &Service, request: Request<Body>) -> Response {
    let id = service.mns_request_id();
    let answer = async {
        let request = admit(service, request, Scheme::Mns).await?;
        match request.method {
            Method::GET => {
                request.may(Want::Look, "GetAccountAttributes")?;
                Ok(Answer::xml(
                    200,
                    Xml::document("Account", |xml| xml.text("LoggingBucket", "")),
                ))
            }
            Method::PUT => {
                request.may(Want::Change, "SetAccountAttributes")?;
                Err(Refused::new(
                    400,
                    "InvalidArgument",
                    "LoggingBucket: logs go nowhere but to /metrics and ListDeliveries",
                ))
            }
            ref other => Err(no_method(other)),
        }
    }
    .await;
    finish(service, "AccountAttributes", answer, &id)
}

fn finish(
    service: &Service,
    name: &'static str,
    answer: Result<Answer, Refused>,
    id: &str,
) -> Response {
    if let Err(refused) = &answer
        && refused.status >= 500
    {
        tracing::error!(action = name, request_id = id, %refused, "a queue request failed");
    }
    let answer = answer.unwrap_or_else(|refused| refusal(&refused, id));
    service.counters.request(name, answer.status);
    respond(answer, id)
}

/// Refuses a request in the dialect of this interface.
pub(crate) fn refuse(refused: &Refused, id: &str) -> Response {
    respond(refusal(refused, id), id)
}

fn refusal(refused: &Refused, id: &str) -> Answer {
    Answer::xml(
        refused.status,
        Xml::document("Error", |xml| {
            xml.text("Code", refused.code);
            xml.text("Message", &refused.message);
            xml.text("RequestId", id);
            xml.text("HostId", "carillon");
        }),
    )
}

fn respond(answer: Answer, id: &str) -> Response {
    let mut response = match answer.body {
        Some(body) => reply::text(answer.status, "text/xml;charset=utf-8", body.finish()),
        None => {
            let mut response = Response::new(Body::empty());
            if let Ok(status) = answer.status.try_into() {
                *response.status_mut() = status;
            }
            response
        }
    };
    reply::put(response.headers_mut(), "x-mns-request-id", id);
    reply::put(response.headers_mut(), "x-mns-version", VERSION);
    if let Some(location) = &answer.location {
        reply::put(response.headers_mut(), "location", location);
    }
    response
}

/// What a path names.
enum Target {
    /// All queues.
    Queues,
    /// One.
    Queue(QueueName),
    /// Its messages.
    Messages(QueueName),
}

fn target(request: &Admitted) -> Result<Target, Refused> {
    let rest = request.path.strip_prefix("/queues").unwrap_or_default();
    // One slash alone: with more of them a name that a client left empty would make `messages` the queue.
    let rest = rest.strip_prefix('/').unwrap_or(rest);
    if rest.is_empty() {
        return Ok(Target::Queues);
    }
    let (name, what) = rest.split_once('/').unwrap_or((rest, ""));
    let name = percent_encoding::percent_decode_str(name).decode_utf8_lossy();
    let queue = QueueName::parse(&name).map_err(|error| {
        // The vendor tells the two apart (MNS help, "Error codes").
        let length = name.is_empty() || name.chars().count() > QueueName::MAX_LEN;
        let code = if length {
            "QueueNameLengthError"
        } else {
            "InvalidQueueName"
        };
        Refused::new(400, code, error.to_string())
    })?;
    match what.trim_end_matches('/') {
        "" => Ok(Target::Queue(queue)),
        "messages" => Ok(Target::Messages(queue)),
        other => Err(Refused::new(
            404,
            "NotFound",
            format!(
                "a queue has nothing named {other:?}: /queues/{queue}/messages holds its messages"
            ),
        )),
    }
}

fn no_method(method: &Method) -> Refused {
    Refused::new(
        405,
        "MethodNotAllowed",
        format!("method {method} means nothing here: see the MNS queue API"),
    )
}

/// The action's name in the vendor's words, and what a key needs for it.
fn action(request: &Admitted, target: &Target) -> Result<(&'static str, Want), Refused> {
    let query = Query(&request.query);
    Ok(match (target, request.method.as_str()) {
        (Target::Queues, "GET") => ("ListQueue", Want::Look),
        (Target::Queue(_), "PUT") if query.flag("metaoverride")? => {
            ("SetQueueAttributes", Want::Change)
        }
        (Target::Queue(_), "PUT") => ("CreateQueue", Want::Change),
        (Target::Queue(_), "GET") => ("GetQueueAttributes", Want::LookAtQueue),
        (Target::Queue(_), "DELETE") => ("DeleteQueue", Want::Change),
        (Target::Messages(_), "POST") => ("SendMessage", Want::Publish),
        (Target::Messages(_), "GET") if query.flag("peekonly")? => ("PeekMessage", Want::Peek),
        (Target::Messages(_), "GET") => ("ReceiveMessage", Want::Consume),
        (Target::Messages(_), "DELETE") => ("DeleteMessage", Want::Consume),
        (Target::Messages(_), "PUT") => ("ChangeMessageVisibility", Want::Consume),
        _ => return Err(no_method(&request.method)),
    })
}

async fn run(service: &Service, request: &Admitted, target: Target) -> Result<Answer, Refused> {
    let query = Query(&request.query);
    match (target, request.method.as_str()) {
        (Target::Queues, _) => attributes::list(service, request).await,
        (Target::Queue(queue), "PUT") if query.flag("metaoverride")? => {
            attributes::set(service, request, &queue).await
        }
        (Target::Queue(queue), "PUT") => attributes::create(service, request, &queue).await,
        (Target::Queue(queue), "GET") => attributes::get(service, &queue).await,
        (Target::Queue(queue), _) => attributes::delete(service, &queue).await,
        (Target::Messages(queue), "POST") => messages::send(service, request, &queue).await,
        (Target::Messages(queue), "GET") if query.flag("peekonly")? => {
            messages::peek(service, &query, &queue).await
        }
        (Target::Messages(queue), "GET") => messages::receive(service, &query, &queue).await,
        (Target::Messages(queue), "DELETE") => {
            messages::delete(service, request, &query, &queue).await
        }
        (Target::Messages(queue), _) => messages::change_visibility(service, &query, &queue).await,
    }
}
