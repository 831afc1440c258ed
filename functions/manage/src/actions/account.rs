//! Account and endpoint attributes, as far as they mean something here.
//!
//! Logging to a log service and message tracing do not exist: `/metrics` and ListDeliveries are what tells. Who may reach
//! an endpoint is decided by keys and by the listen address, not by lists of networks.

use crate::error::Refused;
use crate::rpc::{Answer, Call};
use serde_json::json;

/// What holds for the account: nothing can be switched, so both are off.
pub(crate) async fn get(_: Call<'_>) -> Answer {
    Ok(Some(
        json!({ "LogEnabled": false, "MessageTraceEnabled": false, "LogStoreName": "", "ProjectName": "" }),
    ))
}

/// Takes what changes nothing, and refuses what would.
pub(crate) async fn set(call: Call<'_>) -> Answer {
    for name in ["LogEnabled", "MessageTraceEnabled"] {
        if call.params.flag(name)? == Some(true) {
            return Err(Refused::argument(
                name,
                "true",
                "there is no log service here: read /metrics and ListDeliveries",
            ));
        }
    }
    for name in ["LogStoreName", "ProjectName"] {
        if let Some(value) = call.params.text(name) {
            return Err(Refused::argument(
                name,
                value,
                "there is no log service here: leave it out",
            ));
        }
    }
    Ok(None)
}

/// The public endpoint is there, for everybody who can sign.
pub(crate) async fn endpoint(call: Call<'_>) -> Answer {
    call.params.require("EndpointType")?;
    Ok(Some(json!({ "EndpointEnabled": true, "CidrList": [] })))
}

/// What would change who can reach the service.
pub(crate) async fn no_acl(_: Call<'_>) -> Answer {
    Err(Refused::new(
        400,
        "UnsupportedOperation",
        "endpoints are opened and closed by the listen address and the access keys of the service, not by this action",
    ))
}
