//! The management API: `POST /` and `GET /`, one action a request.
//!
//! The action stands in header `x-acs-action` or parameter `Action`; the version, where given (`x-acs-version` or
//! `Version`), must be 2022-01-19.

use crate::actions;
use crate::error::{Refused, shown};
use crate::gate::{Admitted, Scheme, Want, admit};
use crate::params::Params;
use crate::reply;
use crate::service::Service;
use axum::body::Body;
use axum::extract::State;
use axum::http::Request;
use axum::response::Response;
use serde_json::Value;
use std::sync::Arc;

/// Version of SMQ's management API.
const VERSION: &str = "2022-01-19";

/// What an action works with.
pub(crate) struct Call<'a> {
    pub(crate) service: &'a Service,
    pub(crate) request: &'a Admitted,
    pub(crate) params: &'a Params,
}

/// What an action answers: the envelope's `Data`, if it has one.
pub(crate) type Answer = Result<Option<Value>, Refused>;

/// Serves one request.
pub(crate) async fn serve(State(service): State<Arc<Service>>, request: Request<Body>) -> Response {
    let query = request.uri().query().unwrap_or_default();
    if query.split('&').any(|part| part.starts_with("accountmeta")) {
        // MNS's own account attributes live at the same path, in the dialect of the queue interface.
        return crate::queue::account(&service, request).await;
    }
    let id = service.request_id();
    let mut name = "none";
    let answer = async {
        let request = admit(&service, request, Scheme::Acs3).await?;
        let params = read(&request)?;
        let action = find(&request, &params)?;
        name = action.name;
        request.may(action.want, action.name)?;
        run(
            action.name,
            Call {
                service: &service,
                request: &request,
                params: &params,
            },
        )
        .await
    }
    .await;
    match answer {
        Ok(data) => {
            service.counters.request(name, 200);
            reply::success(data, &id)
        }
        Err(refused) => {
            service.counters.request(name, refused.status);
            if refused.status >= 500 {
                tracing::error!(action = name, request_id = id, %refused, "a management action failed");
            }
            reply::failure(&refused, &id)
        }
    }
}

fn read(request: &Admitted) -> Result<Params, Refused> {
    let kind = request.header("content-type").unwrap_or_default();
    let form = kind
        .trim_start()
        .to_ascii_lowercase()
        .starts_with("application/x-www-form-urlencoded");
    Params::read(&request.query, form.then_some(request.body.as_ref()))
}

fn find(request: &Admitted, params: &Params) -> Result<&'static Action, Refused> {
    let name = request
        .header("x-acs-action")
        .or_else(|| params.text("Action"));
    let Some(name) = name else {
        return Err(Refused::new(
            400,
            "MissingAction",
            "no action is named: give one, for example ListEventRules, in header x-acs-action or parameter Action",
        ));
    };
    let version = request
        .header("x-acs-version")
        .or_else(|| params.text("Version"));
    if let Some(version) = version.filter(|version| *version != VERSION) {
        return Err(Refused::new(
            400,
            "InvalidVersion",
            format!(
                "version {} is not served: give {VERSION} in header x-acs-version or parameter Version",
                shown(version)
            ),
        ));
    }
    TABLE
        .iter()
        .find(|action| action.name == name)
        .ok_or_else(|| {
            Refused::new(
                404,
                "InvalidAction.NotFound",
                format!(
                    "there is no action {}: give one of {}",
                    shown(name),
                    ACTIONS.join(", ")
                ),
            )
        })
}

/// An action and what a key needs for it.
struct Action {
    name: &'static str,
    want: Want,
}

macro_rules! actions {
    ($($name:ident $want:ident $run:path;)*) => {
        const TABLE: &[Action] = &[$(Action { name: stringify!($name), want: Want::$want }),*];

        /// The names of all management actions, in the order of their groups.
        pub const ACTIONS: &[&str] = &[$(stringify!($name)),*];

        async fn run(name: &str, call: Call<'_>) -> Answer {
            match name {
                $(stringify!($name) => $run(call).await,)*
                other => unreachable!("{other} was found in the same list"),
            }
        }
    };
}

actions! {
    CreateEventRule Change actions::rule_create::create;
    DeleteEventRule Change actions::rule_delete::delete;
    GetEventRule Look actions::rule_list::get;
    ListEventRules Look actions::rule_list::list;
    ApplyEventRules Look actions::rule_apply::apply;
    UpdateEventRule Change actions::rule_change::update;
    EnableEventRule Change actions::rule_change::enable;
    DisableEventRule Change actions::rule_change::disable;
    ExplainEvent Look actions::explain::explain;
    PreviewEventRule Look actions::preview::preview;
    CreateTopic Change actions::topics::create;
    DeleteTopic Change actions::topics::delete;
    GetTopicAttributes Look actions::topics::get;
    SetTopicAttributes Change actions::topics::set;
    ListTopic Look actions::topics::list;
    Subscribe Change actions::subscriptions::create;
    Unsubscribe Change actions::subscriptions::delete;
    GetSubscriptionAttributes Look actions::subscriptions::get;
    SetSubscriptionAttributes Change actions::subscriptions::set;
    ListSubscriptionByTopic Look actions::subscriptions::list;
    PublishEvents Publish actions::publish::publish;
    ReplayEvents Change actions::replay::replay;
    ListDeliveries Look actions::deliveries::list;
    FollowDeliveries Look actions::deliveries::follow;
    ListDeadLetters Look actions::dead_letters::list;
    GetDeadLetter Look actions::dead_letters::get;
    RedriveDeadLetters Change actions::dead_letters::redrive;
    DeleteDeadLetters Change actions::dead_letters::delete;
    GetAccountAttributes Look actions::account::get;
    SetAccountAttributes Change actions::account::set;
    GetEndpointAttribute Look actions::account::endpoint;
    EnableEndpoint Change actions::account::no_acl;
    DisableEndpoint Change actions::account::no_acl;
    AuthorizeEndpointAcl Change actions::account::no_acl;
    RevokeEndpointAcl Change actions::account::no_acl;
    ListSigningKeys Look actions::keys::list;
    RotateSigningKey Change actions::keys::rotate;
    RetireSigningKey Change actions::keys::retire;
    RotateWebhookSecret Change actions::keys::rotate_webhook;
    RetireWebhookSecret Change actions::keys::retire_webhook;
    CreateQueue Change actions::queues::create;
    DeleteQueue Change actions::queues::delete;
    GetQueueAttributes LookAtQueue actions::queues::get;
    SetQueueAttributes Change actions::queues::set;
    ListQueue Look actions::queues::list;
}
