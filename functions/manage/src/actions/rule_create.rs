//! CreateEventRule: a rule, the topic it publishes to and that topic's subscriptions, in one transaction.

use crate::error::Refused;
use crate::idempotency::Token;
use crate::ledger::View;
use crate::params::Params;
use crate::rpc::{Answer, Call};
use crate::service::Service;
use carillon_core::event::Timestamp;
use carillon_core::ports::{Change, QueueError, SnsError};
use carillon_core::rule::{Endpoint, EndpointKind, EndpointSpec, MatchRuleSpec, Rule, RuleSpec};
use carillon_core::topic::{
    AutoNames, QueueName, SnsTopic, Subscription, Target, Topic, TopicName, auto_names,
};
use serde_json::json;
use std::sync::Arc;

/// Form of `MatchRules`, for errors.
const MATCH_RULES: &str =
    r#"[[{"Prefix": "bucket/folder/", "Suffix": ".jpg"}], [{"Name": "bucket/key"}]]"#;
/// Form of an endpoint, for errors.
const ENDPOINT: &str = r#"{"EndpointType": "queue", "EndpointValue": "name"}"#;
/// Delivery modes of the vendor. Both end the same here: every rule publishes to a topic, and a `DIRECT` rule's one
/// queue hangs on that.
const MODES: [&str; 2] = ["BROADCAST", "DIRECT"];

/// Creates a rule.
pub(crate) async fn create(call: Call<'_>) -> Answer {
    let Call {
        service, params, ..
    } = call;
    let spec = read_spec(params)?;
    let asked = format!("CreateEventRule{}", params.canonical());
    let token = Token::of(params.text("ClientToken"), &asked)?;
    let name = spec.rule_name.clone();
    if let Some(token) = &token
        && token.seen(service.marks.as_ref(), service.now()).await?
    {
        return Ok(Some(json!(name)));
    }
    let rule = validate(service, spec)?;
    check_endpoints(service, &rule.endpoints).await?;
    let draw = service.ports.random.draw();
    service
        .ledger
        .change(|view, books| {
            let now = service.now();
            if view.rule(&rule.product, &rule.name).is_some() {
                return Err(Refused::exists(&rule.name));
            }
            let mut rule = rule.clone();
            rule.created = now;
            let mut changes = Vec::new();
            rule.topic = Some(attach(service, &rule, view, now, draw, &mut changes)?);
            // Last, since what the book holds must be committed.
            books
                .of(view, &rule.product)
                .insert(Arc::new(rule.clone()))?;
            changes.push(Change::PutRule(rule));
            Ok((changes, ()))
        })
        .await?;
    if let Some(token) = token {
        token.keep(service.marks.as_ref(), service.now()).await;
    }
    Ok(Some(json!(name)))
}

/// Reads the parameters of a rule.
pub(crate) fn read_spec(params: &Params) -> Result<RuleSpec, Refused> {
    params.parsed("DeliveryMode", |mode| {
        if MODES.contains(&mode) {
            Ok(())
        } else {
            Err("give BROADCAST or DIRECT, or leave it out")
        }
    })?;
    Ok(RuleSpec {
        product_name: params.require("ProductName")?.to_owned(),
        rule_name: params.require("RuleName")?.to_owned(),
        event_types: params.list("EventTypes")?.unwrap_or_default(),
        match_rules: params.json::<Vec<Vec<MatchRuleSpec>>>("MatchRules", MATCH_RULES)?,
        endpoint: params.json::<EndpointSpec>("Endpoint", ENDPOINT)?,
        endpoints: params.json::<Vec<EndpointSpec>>("Endpoints", &format!("[{ENDPOINT}]"))?,
        enabled: params.flag("Enabled")?,
    })
}

/// Validates a rule by itself, limits included. Those are looked at first: they have a code of their own, and bound the
/// work of the rest.
pub(crate) fn validate(service: &Service, spec: RuleSpec) -> Result<Rule, Refused> {
    let limits = &service.settings.limits.rules;
    let name = spec.rule_name.as_str();
    let endpoints =
        spec.endpoints.as_ref().map_or(0, Vec::len) + usize::from(spec.endpoint.is_some());
    limit(
        "endpoints (Endpoints) of rule",
        name,
        endpoints,
        limits.endpoints,
    )?;
    let patterns = spec.match_rules.as_deref().unwrap_or_default();
    limit(
        "resource descriptions (MatchRules) of rule",
        name,
        patterns.len(),
        limits.patterns,
    )?;
    let clauses = patterns.iter().map(Vec::len).max().unwrap_or(0);
    limit(
        "clauses of one resource description (MatchRules) of rule",
        name,
        clauses,
        limits.patterns,
    )?;
    Rule::from_spec_within(spec, limits).map_err(|faults| Refused::faults(&faults))
}

fn limit(what: &str, whose: &str, would_be: usize, limit: usize) -> Result<(), Refused> {
    if would_be <= limit {
        return Ok(());
    }
    Err(Refused::new(
        400,
        "EventRuleExceedLimit",
        format!(
            "{what} {whose:?}: there would be {would_be}, the limit is {limit}; remove some, or raise the limit"
        ),
    ))
}

/// Checks what lies outside the rules: that queues and topics of SNS exist, and that URLs may be pushed to.
pub(crate) async fn check_endpoints(
    service: &Service,
    endpoints: &[Endpoint],
) -> Result<(), Refused> {
    for (index, endpoint) in endpoints.iter().enumerate() {
        check_endpoint(service, index, endpoint).await?;
    }
    Ok(())
}

/// Checks one endpoint, the rule's `index`th.
pub(crate) async fn check_endpoint(
    service: &Service,
    index: usize,
    endpoint: &Endpoint,
) -> Result<(), Refused> {
    match endpoint.kind {
        EndpointKind::Queue => {
            let queue = queue_name(index, &endpoint.value)?;
            match service.ports.queues.get(&queue).await {
                Ok(_) => Ok(()),
                Err(QueueError::NotExist(_)) => Err(Refused::no_queue(queue.as_str())),
                Err(error) => Err(error.into()),
            }
        }
        EndpointKind::Http => check_url(
            service,
            &format!("Endpoints[{index}].EndpointValue"),
            &endpoint.value,
        ),
        EndpointKind::Topic => match endpoint.sns() {
            Some(topic) => {
                check_sns(
                    service,
                    &format!("Endpoints[{index}].EndpointValue"),
                    &topic,
                )
                .await
            }
            None => Ok(()),
        },
    }
}

/// The first of the two checks of a push's address.
pub(crate) fn check_url(service: &Service, field: &str, url: &str) -> Result<(), Refused> {
    // A password in an error message is a password in a log.
    let shown = match url.rsplit_once('@') {
        Some((_, rest)) => format!("...@{rest}"),
        None => url.to_owned(),
    };
    if !(url.starts_with("http://") || url.starts_with("https://")) {
        return Err(Refused::argument(
            field,
            &shown,
            "give a URL that begins with http:// or https://",
        ));
    }
    match &service.ports.url_check {
        Some(check) => check(url).map_err(|reason| Refused::argument(field, &shown, reason)),
        None => Ok(()),
    }
}

/// Whether this installation can publish to a topic of SNS.
pub(crate) async fn check_sns(
    service: &Service,
    field: &str,
    topic: &SnsTopic,
) -> Result<(), Refused> {
    let Some(sns) = &service.sns else {
        let cure = "this is a topic of SNS, and this installation has no access to SNS (only one deployed to AWS has): \
                    name a topic of its own, or deploy the stack";
        return Err(Refused::argument(field, topic.as_str(), cure));
    };
    match sns.check(topic).await {
        Ok(()) => Ok(()),
        Err(SnsError::NotExist(_)) => Err(Refused::new(
            404,
            "TopicNotExist",
            format!(
                "{field}: there is no topic {:?} in SNS: create it there, or correct the ARN",
                topic.as_str()
            ),
        )),
        Err(SnsError::Denied(why) | SnsError::Refused(why)) => {
            Err(Refused::argument(field, topic.as_str(), why))
        }
        Err(error @ SnsError::Unavailable(_)) => Err(Refused::internal(error)),
    }
}

fn queue_name(index: usize, value: &str) -> Result<QueueName, Refused> {
    QueueName::from_endpoint(value).map_err(|error| {
        Refused::argument(&format!("Endpoints[{index}].EndpointValue"), value, error)
    })
}

/// Gives the rule its topic: the one its topic endpoint names, or one made for it, with a subscription for each endpoint.
pub(crate) fn attach(
    service: &Service,
    rule: &Rule,
    view: &View,
    now: Timestamp,
    draw: u64,
    changes: &mut Vec<Change>,
) -> Result<TopicName, Refused> {
    if let Some(endpoint) = rule
        .endpoints
        .iter()
        .find(|endpoint| endpoint.is_own_topic())
    {
        let topic = TopicName::parse(&endpoint.value).map_err(|error| {
            Refused::argument("Endpoints[0].EndpointValue", &endpoint.value, error)
        })?;
        view.topic(&topic)?;
        return Ok(topic);
    }
    limit(
        "topics of account",
        &service.settings.account_id,
        view.topics.len() + 1,
        service.settings.limits.topics,
    )?;
    // Two rules of one name within a millisecond and with one draw: only after a delete, yet a name is taken once.
    let names = (0..1000)
        .map(|step| auto_names(&rule.product, &rule.name, now, draw.wrapping_add(step)))
        .find(|names| !view.topics.contains_key(&names.topic()))
        .ok_or_else(|| Refused::internal("no name is free for the rule's topic"))?;
    let topic = names.topic();
    changes.push(Change::PutTopic(Topic {
        name: topic.clone(),
        made_for: Some((rule.product.clone(), rule.name.clone())),
        created: now,
        modified: now,
        max_message_size: Topic::MAX_MESSAGE_SIZE,
        logging: false,
    }));
    for (index, endpoint) in rule.endpoints.iter().enumerate() {
        changes.extend(subscribe(&topic, &names, index, endpoint, now)?);
    }
    Ok(topic)
}

/// The subscription of one endpoint; none of a topic of Carillon's, whose subscriptions are the user's.
pub(crate) fn subscribe(
    topic: &TopicName,
    names: &AutoNames,
    index: usize,
    endpoint: &Endpoint,
    now: Timestamp,
) -> Result<Option<Change>, Refused> {
    let target = match endpoint.kind {
        EndpointKind::Http => Target::Http(endpoint.value.clone()),
        EndpointKind::Queue => Target::Queue(queue_name(index, &endpoint.value)?),
        EndpointKind::Topic => match endpoint.sns() {
            Some(topic) => Target::Sns(topic),
            None => return Ok(None),
        },
    };
    let subscription =
        Subscription::auto(topic.clone(), names.subscription(index + 1), target, now);
    Ok(Some(Change::PutSubscription(subscription)))
}
