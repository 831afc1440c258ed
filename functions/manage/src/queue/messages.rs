//! Messages of a queue: send, receive, peek, delete, change visibility, and their batches.

use super::attributes::number;
use super::properties;
use super::read::{self, Element};
use super::write::{Xml, carried};
use super::{Admitted, Answer, Query};
use crate::error::Refused;
use crate::service::Service;
use carillon_core::ports::{Message, OutgoingMessage, QueueError, Receipt};
use carillon_core::topic::QueueName;
use md5::{Digest as _, Md5};
use std::fmt::Write as _;
use std::time::Duration;

/// Most messages of a batch (MNS limits).
const BATCH: u32 = 16;

/// `POST .../messages`: one `Message`, or `Messages`.
///
/// A batch of which some messages were not taken is answered with 500 and one element for each, in order: those that
/// were taken with their ids, the others with `ErrorCode` and `ErrorMessage` (MNS BatchSendMessage).
pub(super) async fn send(
    service: &Service,
    request: &Admitted,
    queue: &QueueName,
) -> Result<Answer, Refused> {
    let root = read::document(&request.body)?;
    let batch = match root.name.as_str() {
        "Message" => false,
        "Messages" => true,
        other => {
            return Err(Refused::new(
                400,
                "MalformedXML",
                format!("the body's root is {other:?}: send Message, or Messages for a batch"),
            ));
        }
    };
    let elements: Vec<&Element> = if batch {
        root.children
            .iter()
            .filter(|child| child.name == "Message")
            .collect()
    } else {
        vec![&root]
    };
    check_count(elements.len(), "Message")?;
    // What is wrong with one message of a batch is that message's affair alone.
    let read: Vec<Result<OutgoingMessage, Refused>> =
        elements.iter().map(|element| outgoing(element)).collect();
    let digests: Vec<Option<String>> = read
        .iter()
        .map(|read| read.as_ref().ok().map(|message| md5_hex(&message.body)))
        .collect();
    let sound: Vec<OutgoingMessage> = read
        .iter()
        .filter_map(|read| read.as_ref().ok().cloned())
        .collect();
    let mut sent = if sound.is_empty() {
        Vec::new()
    } else {
        service.ports.sender.send(queue, sound).await
    }
    .into_iter();
    let results: Vec<Result<(String, String), Refused>> = read
        .into_iter()
        .zip(digests)
        .map(|(read, digest)| {
            read?;
            let id = sent.next().unwrap_or_else(|| {
                Err(QueueError::Unavailable(
                    "the queue gave no answer for this message".into(),
                ))
            })?;
            Ok((id, digest.unwrap_or_default()))
        })
        .collect();

    if !batch {
        let (id, digest) = results
            .into_iter()
            .next()
            .expect("there is exactly one message")?;
        return Ok(Answer::xml(
            201,
            Xml::document("Message", |xml| taken(xml, &id, &digest)),
        ));
    }
    // No queue, no batch: one error says it.
    let refusals = results.iter().filter_map(|result| result.as_ref().err());
    if let Some(refused) = refusals
        .into_iter()
        .find(|refused| refused.code == "QueueNotExist")
    {
        return Err(refused.clone());
    }
    let status = if results.iter().all(Result::is_ok) {
        201
    } else {
        500
    };
    let document = Xml::document("Messages", |xml| {
        for result in &results {
            xml.element("Message", |xml| match result {
                Ok((id, digest)) => taken(xml, id, digest),
                Err(refused) => {
                    xml.text("ErrorCode", refused.code);
                    xml.text("ErrorMessage", &refused.message);
                }
            });
        }
    });
    Ok(Answer::xml(status, document))
}

fn taken(xml: &mut Xml, id: &str, digest: &str) {
    xml.text("MessageId", id);
    xml.text("MessageBodyMD5", digest);
}

fn check_count(count: usize, what: &str) -> Result<(), Refused> {
    if (1..=BATCH as usize).contains(&count) {
        return Ok(());
    }
    Err(Refused::new(
        400,
        "InvalidArgument",
        format!("{what}: there are {count}; give from 1 to {BATCH}"),
    ))
}

fn outgoing(element: &Element) -> Result<OutgoingMessage, Refused> {
    let body = element
        .child("MessageBody")?
        .filter(|body| !body.is_empty());
    let body = body.ok_or_else(|| {
        Refused::new(
            400,
            "InvalidArgument",
            "MessageBody is missing or empty: give a text",
        )
    })?;
    for member in ["SystemProperties", "MessageGroupId"] {
        let given = element.children.iter().find(|child| child.name == member);
        if given.is_some_and(|given| !given.children.is_empty() || !given.text.trim().is_empty()) {
            // Taken and lost would be worse than refused.
            return Err(Refused::new(
                400,
                "InvalidArgument",
                format!("{member} is not kept by these queues: put it into MessageBody"),
            ));
        }
    }
    // A delay that is given, zero too, stands above the queue's own (MNS SendMessage).
    let given = number(element, "DelaySeconds", 0..=604_800)?;
    let priority = number(element, "Priority", 1..=16)?;
    Ok(OutgoingMessage {
        body: body.to_owned(),
        delay: Duration::from_secs(u64::from(given.unwrap_or(0))),
        at_once: given == Some(0),
        priority: priority.map(|priority| u8::try_from(priority).expect("at most 16")),
        properties: properties::read(element)?,
        ..OutgoingMessage::default()
    })
}

/// `GET .../messages`: takes one message, or with `numOfMessages` up to so many; 404 `MessageNotExist` when none came
/// within `waitseconds` (default: the queue's own setting).
pub(super) async fn receive(
    service: &Service,
    query: &Query<'_>,
    queue: &QueueName,
) -> Result<Answer, Refused> {
    let wait = query
        .number("waitseconds", 0..=30)?
        .map(|seconds| Duration::from_secs(u64::from(seconds)));
    let count = query.number("numOfMessages", 1..=BATCH)?;
    let messages = service
        .ports
        .consumer
        .receive(queue, count.unwrap_or(1) as usize, wait)
        .await?;
    show(&messages, count.is_some())
}

/// `GET .../messages?peekonly=true`: looks at messages and leaves them where they are.
pub(super) async fn peek(
    service: &Service,
    query: &Query<'_>,
    queue: &QueueName,
) -> Result<Answer, Refused> {
    let count = query.number("numOfMessages", 1..=BATCH)?;
    let messages = service
        .ports
        .consumer
        .peek(queue, count.unwrap_or(1) as usize)
        .await?;
    show(&messages, count.is_some())
}

fn show(messages: &[Message], batch: bool) -> Result<Answer, Refused> {
    let Some(first) = messages.first() else {
        return Err(Refused::new(404, "MessageNotExist", "Message not exist."));
    };
    let document = if batch {
        Xml::document("Messages", |xml| {
            for message in messages {
                xml.element("Message", |xml| members(xml, message));
            }
        })
    } else {
        Xml::document("Message", |xml| members(xml, first))
    };
    Ok(Answer::xml(200, document))
}

fn members(xml: &mut Xml, message: &Message) {
    xml.text("MessageId", &message.id);
    if let Some(receipt) = &message.receipt {
        xml.text("ReceiptHandle", &receipt.0);
    }
    xml.text("MessageBody", &message.body);
    // Of the body as the consumer reads it, so that one who checks is content.
    xml.text("MessageBodyMD5", &md5_hex(&carried(&message.body)));
    xml.value("EnqueueTime", message.enqueued.as_millis());
    if message.receipt.is_some() {
        xml.value("NextVisibleTime", message.next_visible.as_millis());
    }
    xml.value("FirstDequeueTime", message.first_received.as_millis());
    xml.value("DequeueCount", message.receive_count);
    xml.value("Priority", message.priority);
    properties::write(xml, &message.properties);
}

/// Upper-case hex, as MNS writes `MessageBodyMD5`.
fn md5_hex(text: &str) -> String {
    Md5::digest(text.as_bytes())
        .iter()
        .fold(String::with_capacity(32), |mut hex, byte| {
            let _ = write!(hex, "{byte:02X}");
            hex
        })
}

/// `DELETE .../messages`: by `?ReceiptHandle`, or by a body of `ReceiptHandles`.
///
/// A batch of which some could not be deleted is answered with 404 and one `Error` for each of those (MNS
/// BatchDeleteMessage).
pub(super) async fn delete(
    service: &Service,
    request: &Admitted,
    query: &Query<'_>,
    queue: &QueueName,
) -> Result<Answer, Refused> {
    if let Some(handle) = query.text("ReceiptHandle") {
        let results = service
            .ports
            .consumer
            .delete(queue, &[Receipt(handle)])
            .await?;
        for result in results {
            result?;
        }
        return Ok(Answer::empty(204));
    }
    if request.body.is_empty() {
        return Err(missing_handle());
    }
    let root = read::document(&request.body)?;
    if root.name != "ReceiptHandles" {
        return Err(Refused::new(
            400,
            "MalformedXML",
            format!(
                "the body's root is {:?}: send ReceiptHandles, one ReceiptHandle for each message",
                root.name
            ),
        ));
    }
    let receipts: Vec<Receipt> = root
        .children
        .iter()
        .filter(|child| child.name == "ReceiptHandle")
        .map(|child| Receipt(child.text.trim().to_owned()))
        .collect();
    check_count(receipts.len(), "ReceiptHandle")?;
    let results = service.ports.consumer.delete(queue, &receipts).await?;
    let failed: Vec<(&Receipt, Refused)> = receipts
        .iter()
        .zip(results)
        .filter_map(|(receipt, result)| result.err().map(|error| (receipt, error.into())))
        .collect();
    if failed.is_empty() {
        return Ok(Answer::empty(204));
    }
    let document = Xml::document("Errors", |xml| {
        for (receipt, refused) in &failed {
            xml.element("Error", |xml| {
                xml.text("ErrorCode", refused.code);
                xml.text("ErrorMessage", &refused.message);
                xml.text("ReceiptHandle", &receipt.0);
            });
        }
    });
    Ok(Answer::xml(404, document))
}

/// The vendor has a code for this alone (MNS help, "Error codes"), and another for a missing timeout.
fn missing_handle() -> Refused {
    Refused::new(
        400,
        "MissingReceiptHandle",
        "ReceiptHandle is missing: give it in the query, or several in the body",
    )
}

/// `PUT .../messages?ReceiptHandle&VisibilityTimeout`: gives the handle to use from now on, and when the message becomes
/// visible again.
pub(super) async fn change_visibility(
    service: &Service,
    query: &Query<'_>,
    queue: &QueueName,
) -> Result<Answer, Refused> {
    let handle = query.text("ReceiptHandle").ok_or_else(missing_handle)?;
    // MNS bounds it from 1; 0 is taken too, as SQS does: give the message back at once.
    let seconds = query
        .number("VisibilityTimeout", 0..=43_200)?
        .ok_or_else(|| {
            Refused::new(
                400,
                "MissingVisibilityTimeout",
                "VisibilityTimeout is missing: give it in the query, in seconds",
            )
        })?;
    let visibility = Duration::from_secs(u64::from(seconds));
    let (receipt, visible) = service
        .ports
        .consumer
        .change_visibility(queue, &Receipt(handle), visibility)
        .await?;
    let document = Xml::document("ChangeVisibility", |xml| {
        xml.text("ReceiptHandle", &receipt.0);
        xml.value("NextVisibleTime", visible.as_millis());
    });
    Ok(Answer::xml(200, document))
}
