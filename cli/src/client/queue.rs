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

    /// Sends a body as it is.
    pub(crate) fn send_message(
        &self,
        queue: &str,
        body: &str,
        delay: u32,
    ) -> Result<String, Failure> {
        let body = quick_xml::escape::escape(body);
        let xml = format!(
            r#"<?xml version="1.0" encoding="utf-8"?><Message xmlns="{NAMESPACE}"><MessageBody>{body}</MessageBody><DelaySeconds>{delay}</DelaySeconds><Priority>8</Priority></Message>"#
        );
        let text = self.queue_exchange("POST", &format!("/queues/{queue}/messages"), xml)?;
        let sent: QueueMessage = read(&text.unwrap_or_default())?;
        Ok(sent.message_id)
    }

    /// Deletes a received message.
    pub(crate) fn delete_message(&self, queue: &str, receipt: &str) -> Result<(), Failure> {
        let receipt = utf8_percent_encode(receipt, NON_ALPHANUMERIC);
        self.queue_exchange(
            "DELETE",
            &format!("/queues/{queue}/messages?ReceiptHandle={receipt}"),
            String::new(),
        )?;
        Ok(())
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
        if answer.status < 400 {
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
