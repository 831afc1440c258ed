//! One attempt at an HTTP endpoint.

use crate::{Ports, ToSign};
use carillon_core::delivery::{Delivery, Outcome, OutcomeClass};
use carillon_core::event::Timestamp;
use carillon_core::ports::{PushFailure, PushRequest};
use carillon_core::push::guard::PushUrl;
use carillon_core::push::headers::{self, Md5Style};
use carillon_core::push::{Push, body, outcome};
use carillon_core::topic::{Subscription, Target};

/// Pushes once and judges the answer.
pub(crate) async fn attempt(
    ports: &Ports,
    subscription: &Subscription,
    delivery: &Delivery,
    now: Timestamp,
) -> Outcome {
    let Target::Http(endpoint) = &subscription.target else {
        return unsent(
            "this subscription pushes to a queue".to_owned(),
            OutcomeClass::Retry,
        );
    };
    let judge = |result| outcome::of_push(result, ports.settings.outcomes, ports.clock.now());
    let url = match PushUrl::parse(endpoint) {
        Ok(url) => url,
        Err(error) => return judge(Err(PushFailure::Refused(error.to_string()))),
    };
    let push = Push {
        notification: &delivery.notification,
        subscription,
        account: &ports.settings.account,
    };
    let text = body::render(&push);
    let md5 = Md5Style::of(subscription.format).write(text.as_bytes());
    let request_id = headers::request_id([ports.random.draw(), ports.random.draw()]);
    let mut headers = headers::compose(&push, md5, now, request_id);
    let what = ToSign {
        subscription,
        notification: &delivery.notification,
        target: url.target(),
        body: &text,
        now,
    };
    if let Err(error) = ports.signer.sign(what, &mut headers).await {
        return unsent(error.to_string(), OutcomeClass::Retry);
    }
    let request = PushRequest {
        url: endpoint.clone(),
        headers,
        body: text.into(),
        timeout: subscription.timeout(),
    };
    judge(ports.http.push(request).await)
}

fn unsent(detail: String, class: OutcomeClass) -> Outcome {
    Outcome {
        class,
        status: None,
        detail,
        retry_after: None,
    }
}
