//! PublishEvents: what `POST /events` does, as an action. The events stand in parameter `Events`, or are the body itself
//! when that is no form.

use crate::error::Refused;
use crate::events::{publish as hand_over, submission};
use crate::rpc::{Answer, Call};
use serde_json::json;

/// Publishes; `Data` is `{"Accepted": N}`.
pub(crate) async fn publish(call: Call<'_>) -> Answer {
    let Call {
        service,
        request,
        params,
    } = call;
    let kind = request
        .header("content-type")
        .unwrap_or_default()
        .to_ascii_lowercase();
    let body = match params.text("Events") {
        Some(events) => events.as_bytes().to_vec(),
        None if !request.body.is_empty() && !kind.contains("x-www-form-urlencoded") => {
            request.body.to_vec()
        }
        None => return Err(Refused::missing("Events")),
    };
    let mut submission = submission(request, body);
    if let Some(product) = params.text("ProductName") {
        submission.product = Some(product.to_owned());
    }
    let accepted = hand_over(service, submission).await.answer?;
    Ok(Some(json!({ "Accepted": accepted })))
}
