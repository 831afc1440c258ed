//! Queues themselves: create, change, look, list, delete.

use super::read::{self, Element};
use super::write::Xml;
use super::{Admitted, Answer};
use crate::actions::queues;
use crate::error::Refused;
use crate::params::flag;
use crate::service::Service;
use carillon_core::ports::{QueueAttributes, UserQueue};
use carillon_core::topic::QueueName;
use std::ops::RangeInclusive;

/// `PUT /queues/{name}`: 201, or 204 when the queue is there with equal attributes.
pub(super) async fn create(
    service: &Service,
    request: &Admitted,
    queue: &QueueName,
) -> Result<Answer, Refused> {
    let attributes = attributes(request, QueueAttributes::default())?;
    let made = queues::make(service, queue, attributes).await?;
    let location = Some(url(request, queue));
    Ok(Answer {
        status: if made { 201 } else { 204 },
        body: None,
        location,
    })
}

/// `PUT /queues/{name}?metaoverride=true`: changes what the body names, keeps the rest.
pub(super) async fn set(
    service: &Service,
    request: &Admitted,
    queue: &QueueName,
) -> Result<Answer, Refused> {
    let held = service.ports.queues.get(queue).await?;
    let attributes = attributes(request, held.attributes)?;
    queues::check(service, queue, &attributes).await?;
    service
        .ports
        .queues
        .set_attributes(queue, attributes)
        .await?;
    Ok(Answer::empty(204))
}

/// `GET /queues/{name}`.
pub(super) async fn get(service: &Service, queue: &QueueName) -> Result<Answer, Refused> {
    let queue = service.ports.queues.get(queue).await?;
    Ok(Answer::xml(
        200,
        Xml::document("Queue", |xml| members(xml, &queue)),
    ))
}

/// `DELETE /queues/{name}`: 204, whether or not there was one (MNS DeleteQueue).
pub(super) async fn delete(service: &Service, queue: &QueueName) -> Result<Answer, Refused> {
    service.ports.queues.delete(queue).await?;
    Ok(Answer::empty(204))
}

/// Most queues of one answer (`x-mns-ret-number`, MNS ListQueue).
const MOST: usize = 1000;

/// `GET /queues`.
pub(super) async fn list(service: &Service, request: &Admitted) -> Result<Answer, Refused> {
    let number = match request.header("x-mns-ret-number") {
        None => MOST,
        Some(text) => text.trim().parse().ok().filter(|number| (1..=MOST).contains(number)).ok_or_else(|| {
            Refused::new(
                400,
                "InvalidArgument",
                format!("header x-mns-ret-number, value {text:?}: give a whole number from 1 to {MOST}"),
            )
        })?,
    };
    let prefix = request.header("x-mns-prefix").unwrap_or_default();
    let marker = request.header("x-mns-marker").unwrap_or_default();
    let with_meta = request
        .header("x-mns-with-meta")
        .and_then(flag)
        .unwrap_or(false);
    let all = service.ports.queues.list(prefix).await?;
    // The marker is the name of the first queue not yet shown.
    let mut left = all.iter().skip_while(|queue| queue.name.as_str() < marker);
    let page: Vec<_> = left.by_ref().take(number).collect();
    let next = left.next();
    Ok(Answer::xml(
        200,
        Xml::document("Queues", |xml| {
            for queue in page {
                xml.element("Queue", |xml| {
                    xml.text("QueueURL", &url(request, &queue.name));
                    if with_meta {
                        members(xml, queue);
                    }
                });
            }
            if let Some(next) = next {
                xml.text("NextMarker", next.name.as_str());
            }
        }),
    ))
}

fn url(request: &Admitted, queue: &QueueName) -> String {
    // Who reached us by TLS did so through something in front of us, which says so.
    let scheme = match request.header("x-forwarded-proto") {
        Some("https") => "https",
        _ => "http",
    };
    format!(
        "{scheme}://{}/queues/{queue}",
        request.header("host").unwrap_or("127.0.0.1")
    )
}

fn members(xml: &mut Xml, queue: &UserQueue) {
    let UserQueue {
        name,
        attributes,
        created,
        modified,
        statistics,
    } = queue;
    xml.text("QueueName", name.as_str());
    xml.value("CreateTime", created.as_millis().div_euclid(1000));
    xml.value("LastModifyTime", modified.as_millis().div_euclid(1000));
    xml.value("DelaySeconds", attributes.delay_seconds);
    xml.value("MaximumMessageSize", attributes.maximum_message_size);
    xml.value(
        "MessageRetentionPeriod",
        attributes.message_retention_period,
    );
    xml.value("VisibilityTimeout", attributes.visibility_timeout);
    xml.value("PollingWaitSeconds", attributes.polling_wait_seconds);
    xml.value("ActiveMessages", statistics.active);
    xml.value("InactiveMessages", statistics.inactive);
    xml.value("DelayMessages", statistics.delayed);
    xml.text(
        "LoggingEnabled",
        if attributes.logging_enabled {
            "True"
        } else {
            "False"
        },
    );
}

/// The attributes of a `Queue` document, over those held. An empty body names none.
fn attributes(request: &Admitted, held: QueueAttributes) -> Result<QueueAttributes, Refused> {
    let mut new = held;
    if request.body.is_empty() {
        return Ok(new);
    }
    let root = read::document(&request.body)?;
    if root.name != "Queue" {
        return Err(Refused::new(
            400,
            "MalformedXML",
            format!(
                "the body's root is {:?}: a queue's attributes stand in Queue",
                root.name
            ),
        ));
    }
    // Bounds: MNS limits.
    set_number(&root, "DelaySeconds", 0..=604_800, &mut new.delay_seconds)?;
    set_number(
        &root,
        "MaximumMessageSize",
        1_024..=65_536,
        &mut new.maximum_message_size,
    )?;
    set_number(
        &root,
        "MessageRetentionPeriod",
        60..=604_800,
        &mut new.message_retention_period,
    )?;
    set_number(
        &root,
        "VisibilityTimeout",
        1..=43_200,
        &mut new.visibility_timeout,
    )?;
    set_number(
        &root,
        "PollingWaitSeconds",
        0..=30,
        &mut new.polling_wait_seconds,
    )?;
    if let Some(text) = root.child("LoggingEnabled")? {
        new.logging_enabled = flag(text.trim())
            .ok_or_else(|| Refused::argument("LoggingEnabled", text, "give True or False"))?;
    }
    Ok(new)
}

fn set_number(
    root: &Element,
    name: &str,
    bounds: RangeInclusive<u32>,
    slot: &mut u32,
) -> Result<(), Refused> {
    if let Some(number) = number(root, name, bounds)? {
        *slot = number;
    }
    Ok(())
}

/// A number in a child element.
pub(super) fn number(
    root: &Element,
    name: &str,
    bounds: RangeInclusive<u32>,
) -> Result<Option<u32>, Refused> {
    root.child(name)?
        .map(|text| within(name, text, bounds))
        .transpose()
}

/// A whole number within its bounds.
pub(super) fn within(name: &str, text: &str, bounds: RangeInclusive<u32>) -> Result<u32, Refused> {
    text.trim()
        .parse()
        .ok()
        .filter(|number| bounds.contains(number))
        .ok_or_else(|| {
            let cure = format!(
                "give a whole number from {} to {}",
                bounds.start(),
                bounds.end()
            );
            Refused::argument(name, text, cure)
        })
}
