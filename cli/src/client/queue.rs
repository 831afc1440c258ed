//! The MNS queue interface, from the consumer's side.

use super::{Client, sign};
use crate::failure::Failure;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

const NAMESPACE: &str = "http://mns.aliyuncs.com/doc/v1/";

/// A message as the interface gives it.
#[derive(Clone, Debug, Default, Deserialize, serde::Serialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct QueueMessage {
    pub(crate) message_id: String,
    pub(crate) message_body: String,
    #[serde(rename = "MessageBodyMD5")]
    pub(crate) message_body_md5: String,
    pub(crate) receipt_handle: Option<String>,
    pub(crate) enqueue_time: i64,
    pub(crate) dequeue_count: u32,
    pub(crate) priority: u8,
}

/// Answer of the batch forms.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct ReceivedList {
    #[serde(rename = "Message", default)]
    pub(crate) messages: Vec<QueueMessage>,
}

/// What became of the messages of a batch.
#[derive(Debug, Default, Deserialize)]
struct SentList {
    #[serde(rename = "Message", default)]
    messages: Vec<Sent>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Sent {
    message_id: String,
    error_code: String,
    error_message: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Changed {
    receipt_handle: String,
    next_visible_time: i64,
}

/// A receipt that names nothing any more.
fn gone() -> Failure {
    Failure::Refused(
        "MessageNotExist: no message has this handle: it was deleted, or its visibility timeout ran out; receive it again"
            .into(),
    )
}

#[derive(Deserialize)]
struct ErrorBody {
    #[serde(rename = "Code", default)]
    code: String,
    #[serde(rename = "Message", default)]
    message: String,
}

impl Client {
    /// Receives up to `count` (1 to 16), waiting up to `wait` seconds for the first.
    pub(crate) fn receive(
        &self,
        queue: &str,
        count: u8,
        wait: u8,
    ) -> Result<Vec<QueueMessage>, Failure> {
        self.messages(&format!(
            "/queues/{queue}/messages?numOfMessages={count}&waitseconds={wait}"
        ))
    }

    /// Looks without taking.
    pub(crate) fn peek(&self, queue: &str, count: u8) -> Result<Vec<QueueMessage>, Failure> {
        self.messages(&format!(
            "/queues/{queue}/messages?numOfMessages={count}&peekonly=true"
        ))
    }

    /// Sends up to sixteen bodies as they are; an answer for each, in order. Without `delay`, the queue's own holds.
    pub(crate) fn send_messages(
        &self,
        queue: &str,
        bodies: &[String],
        delay: Option<u32>,
    ) -> Result<Vec<Result<String, String>>, Failure> {
        let delay = delay.map_or(String::new(), |seconds| {
            format!("<DelaySeconds>{seconds}</DelaySeconds>")
        });
        let messages: String = bodies
            .iter()
            .map(|body| {
                let body = quick_xml::escape::escape(body.as_str());
                format!("<Message><MessageBody>{body}</MessageBody>{delay}</Message>")
            })
            .collect();
        let xml = format!(
            r#"<?xml version="1.0" encoding="utf-8"?><Messages xmlns="{NAMESPACE}">{messages}</Messages>"#
        );
        let text = self.queue_exchange("POST", &format!("/queues/{queue}/messages"), xml)?;
        let answers: SentList = read(&text.unwrap_or_default())?;
        let answers = answers.messages.into_iter().map(|sent| {
            if sent.error_code.is_empty() {
                Ok(sent.message_id)
            } else {
                Err(format!("{}: {}", sent.error_code, sent.error_message))
            }
        });
        Ok(answers.collect())
    }

    /// Makes a received message visible again after `seconds`; gives its new handle and that time, in epoch milliseconds.
    pub(crate) fn change_visibility(
        &self,
        queue: &str,
        receipt: &str,
        seconds: u32,
    ) -> Result<(String, i64), Failure> {
        let receipt = utf8_percent_encode(receipt, NON_ALPHANUMERIC);
        let target =
            format!("/queues/{queue}/messages?ReceiptHandle={receipt}&VisibilityTimeout={seconds}");
        let text = self.queue_exchange("PUT", &target, String::new())?;
        let changed: Changed = read(&text.ok_or_else(gone)?)?;
        Ok((changed.receipt_handle, changed.next_visible_time))
    }

    /// Deletes a received message.
    pub(crate) fn delete_message(&self, queue: &str, receipt: &str) -> Result<(), Failure> {
        let receipt = utf8_percent_encode(receipt, NON_ALPHANUMERIC);
        let target = format!("/queues/{queue}/messages?ReceiptHandle={receipt}");
        match self.queue_exchange("DELETE", &target, String::new())? {
            Some(_) => Ok(()),
            None => Err(gone()),
        }
    }

    fn messages(&self, target: &str) -> Result<Vec<QueueMessage>, Failure> {
        match self.queue_exchange("GET", target, String::new())? {
            Some(text) => Ok(read::<ReceivedList>(&text)?.messages),
            None => Ok(Vec::new()),
        }
    }

    /// One exchange; none when the queue has no message.
    fn queue_exchange(
        &self,
        method: &str,
        target: &str,
        xml: String,
    ) -> Result<Option<String>, Failure> {
        let mut headers = vec![
            ("content-type", "text/xml;charset=utf-8".to_owned()),
            ("x-mns-version", "2015-06-06".to_owned()),
        ];
        if let Some(keys) = &self.keys {
            headers.extend(sign::mns(keys, method, target, &headers));
        }
        let answer = self.exchange(method, target, &headers, xml.into_bytes())?;
        // A batch of which some messages were refused is answered with an error status, and tells each.
        if answer.status < 400 || answer.text.contains("<Messages ") {
            return Ok(Some(answer.text));
        }
        match quick_xml::de::from_str::<ErrorBody>(&answer.text) {
            Ok(error) if error.code == "MessageNotExist" => Ok(None),
            Ok(error) => Err(Failure::Refused(format!(
                "{}: {}",
                error.code, error.message
            ))),
            Err(_) => Err(answer.refusal(&serde_json::from_str(&answer.text).unwrap_or_default())),
        }
    }
}

fn read<T: serde::de::DeserializeOwned>(xml: &str) -> Result<T, Failure> {
    quick_xml::de::from_str(xml)
        .map_err(|error| Failure::Unusable(format!("the service's XML cannot be read: {error}")))
}
