//! Amazon SES: what became of a mail, as DirectMail tells it (seed 000, 2), one event a recipient.
//!
//! Both forms are read: identity notifications (`notificationType`) and event publishing (`eventType`), whose
//! sub-objects are the same (SES Developer Guide, "Amazon SNS notification contents", "Contents of event data").

use super::eventbridge::Envelope;
use crate::decoder::{Decoder, SourceKind, Verdict};
use crate::error::DecodeError;
use crate::lenient::{List, Text, shorten};
use carillon_core::event::mail::MailResult;
use carillon_core::event::{Body, Event, EventType, IdentityHasher, Product, Timestamp};
use serde::Deserialize;

const KIND: &str = "SES notification";

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Notification<'a> {
    #[serde(borrow, alias = "notificationType")]
    event_type: Text<'a>,
    #[serde(borrow)]
    mail: Option<Mail<'a>>,
    #[serde(borrow)]
    delivery: Option<Delivery<'a>>,
    #[serde(borrow)]
    bounce: Option<Bounce<'a>>,
    #[serde(borrow)]
    complaint: Option<Complaint<'a>>,
    #[serde(borrow)]
    reject: Option<Reject<'a>>,
    #[serde(borrow)]
    failure: Option<Failure<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Mail<'a> {
    #[serde(borrow)]
    timestamp: Text<'a>,
    #[serde(borrow)]
    source: Text<'a>,
    #[serde(borrow)]
    source_arn: Text<'a>,
    #[serde(borrow)]
    message_id: Text<'a>,
    #[serde(borrow)]
    destination: Option<List<Text<'a>>>,
    #[serde(borrow)]
    headers: Option<List<Header<'a>>>,
    #[serde(borrow)]
    common_headers: Option<CommonHeaders<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Header<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    value: Text<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct CommonHeaders<'a> {
    #[serde(borrow)]
    from: Option<List<Text<'a>>>,
    #[serde(borrow)]
    message_id: Text<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Delivery<'a> {
    #[serde(borrow)]
    timestamp: Text<'a>,
    #[serde(borrow)]
    recipients: Option<List<Text<'a>>>,
    #[serde(borrow)]
    smtp_response: Text<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Bounce<'a> {
    #[serde(borrow)]
    bounce_type: Text<'a>,
    #[serde(borrow)]
    bounce_sub_type: Text<'a>,
    #[serde(borrow)]
    bounced_recipients: Option<List<Recipient<'a>>>,
    #[serde(borrow)]
    timestamp: Text<'a>,
    #[serde(borrow)]
    feedback_id: Text<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Recipient<'a> {
    #[serde(borrow)]
    email_address: Text<'a>,
    #[serde(borrow)]
    status: Text<'a>,
    #[serde(borrow)]
    diagnostic_code: Text<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Complaint<'a> {
    #[serde(borrow)]
    complained_recipients: Option<List<Recipient<'a>>>,
    #[serde(borrow)]
    timestamp: Text<'a>,
    #[serde(borrow)]
    feedback_id: Text<'a>,
    #[serde(borrow)]
    complaint_feedback_type: Text<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Reject<'a> {
    #[serde(borrow)]
    reason: Text<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Failure<'a> {
    #[serde(borrow)]
    error_message: Text<'a>,
}

/// The end of one recipient's mail.
struct End<'a> {
    recipient: &'a str,
    /// When, by SES.
    time: &'a str,
    /// Seed 000 (2): 0 success, 2 invalid address, 3 taken as spam, 4 failure.
    status: &'static str,
    code: &'a str,
    message: &'a str,
    /// SES's id of the feedback; empty for a delivery.
    feedback: &'a str,
}

const SUCCESS: &str = "0";
const INVALID_ADDRESS: &str = "2";
const SPAM: &str = "3";
const FAILED: &str = "4";

pub(crate) fn decode(
    text: &str,
    place: &str,
    envelope: Option<&Envelope<'_>>,
    decoder: &mut Decoder<'_>,
) -> Result<(), DecodeError> {
    let notification: Notification<'_> = serde_json::from_str(text)
        .map_err(|error| DecodeError::json::<Notification<'_>>(KIND, place, text, &error))?;
    let field = |name: &str| {
        if place.is_empty() {
            name.to_owned()
        } else {
            format!("{place}.{name}")
        }
    };
    let Some(mail) = &notification.mail else {
        return Err(DecodeError::missing(
            KIND,
            field("mail"),
            "the object that describes the mail",
        ));
    };
    let kind = notification.event_type.as_str();
    let ends = match ends(&notification, mail) {
        Ok(ends) => ends,
        Err(Unfit::Ignored(why)) => {
            decoder.take(SourceKind::Ses, Ok(Verdict::Ignored(why)), String::new);
            return Ok(());
        }
        Err(Unfit::Missing(name)) => {
            return Err(DecodeError::missing(
                KIND,
                field(name),
                "the object that tells what became of the mail",
            ));
        }
        Err(Unfit::Unknown) => {
            return Err(DecodeError::value(
                KIND,
                field("eventType"),
                kind,
                "one of Delivery, Bounce, Complaint, Reject, Rendering Failure, Send, DeliveryDelay, Open, Click, \
                 Subscription",
            ));
        }
    };
    if ends.is_empty() {
        let why = format!("{kind}: no recipient is named");
        decoder.take(SourceKind::Ses, Ok(Verdict::Ignored(why)), String::new);
    }
    let region = envelope
        .and_then(|envelope| envelope.region.known())
        .or_else(|| {
            mail.source_arn
                .as_str()
                .split(':')
                .nth(3)
                .filter(|region| !region.is_empty())
        })
        .or(decoder.context.region.as_deref())
        .unwrap_or(&decoder.settings.region)
        .to_owned();
    let fallback = envelope.map_or("", |envelope| envelope.time.as_str());
    for end in &ends {
        if decoder.is_flooded() {
            break;
        }
        let event = mail.event(kind, end, &region, fallback, decoder);
        decoder.take(SourceKind::Ses, Ok(Verdict::Event(Box::new(event))), || {
            text.to_owned()
        });
    }
    Ok(())
}

enum Unfit {
    Ignored(String),
    Missing(&'static str),
    Unknown,
}

/// The table of SES's outcomes against the seed's statuses.
fn ends<'a>(notification: &'a Notification<'_>, mail: &'a Mail<'_>) -> Result<Vec<End<'a>>, Unfit> {
    let to_all = |message: &'a str| {
        mail.destination
            .iter()
            .flatten()
            .map(|to| End {
                recipient: to.as_str(),
                time: "",
                status: FAILED,
                code: "",
                message,
                feedback: "",
            })
            .collect()
    };
    Ok(match notification.event_type.as_str() {
        "Delivery" => {
            let delivery = notification
                .delivery
                .as_ref()
                .ok_or(Unfit::Missing("delivery"))?;
            let message = delivery.smtp_response.as_str();
            // A delivery is one that the receiver took; 250 is SMTP's word for that (RFC 5321, 4.2.3). Looked for once:
            // the answer may be long, and the recipients many.
            let code = smtp_code(message).unwrap_or("250");
            let recipients = delivery.recipients.as_ref().or(mail.destination.as_ref());
            recipients
                .into_iter()
                .flatten()
                .map(|recipient| End {
                    recipient: recipient.as_str(),
                    time: delivery.timestamp.as_str(),
                    status: SUCCESS,
                    code,
                    message,
                    feedback: "",
                })
                .collect()
        }
        "Bounce" => {
            let bounce = notification
                .bounce
                .as_ref()
                .ok_or(Unfit::Missing("bounce"))?;
            bounce
                .bounced_recipients
                .iter()
                .flatten()
                .map(|recipient| {
                    let message = diagnostic(recipient.diagnostic_code.as_str());
                    End {
                        recipient: recipient.email_address.as_str(),
                        time: bounce.timestamp.as_str(),
                        status: bounce_status(bounce, recipient),
                        code: smtp_code(message).unwrap_or(""),
                        message,
                        feedback: bounce.feedback_id.as_str(),
                    }
                })
                .collect()
        }
        "Complaint" => {
            let complaint = notification
                .complaint
                .as_ref()
                .ok_or(Unfit::Missing("complaint"))?;
            if complaint.complaint_feedback_type.as_str() == "not-spam" {
                return Err(Unfit::Ignored(
                    "Complaint: the recipient says it is not spam".into(),
                ));
            }
            complaint
                .complained_recipients
                .iter()
                .flatten()
                .map(|recipient| End {
                    recipient: recipient.email_address.as_str(),
                    time: complaint.timestamp.as_str(),
                    status: SPAM,
                    code: "",
                    message: complaint.complaint_feedback_type.as_str(),
                    feedback: complaint.feedback_id.as_str(),
                })
                .collect()
        }
        "Reject" => to_all(
            notification
                .reject
                .as_ref()
                .map_or("", |reject| reject.reason.as_str()),
        ),
        "Rendering Failure" | "RenderingFailure" => to_all(
            notification
                .failure
                .as_ref()
                .map_or("", |failure| failure.error_message.as_str()),
        ),
        kind @ ("Send" | "DeliveryDelay" | "Open" | "Click" | "Subscription") => {
            return Err(Unfit::Ignored(format!("{kind}: not the end of a delivery")));
        }
        // SNS tells once that a topic was set up.
        "AmazonSnsSubscriptionSucceeded" => {
            return Err(Unfit::Ignored(
                "AmazonSnsSubscriptionSucceeded: SES tries a new topic".into(),
            ));
        }
        _ => return Err(Unfit::Unknown),
    })
}

/// SES's bounce types (SES Developer Guide, "Bounce types") and the recipient's enhanced status code (RFC 3463) against
/// the seed's statuses.
fn bounce_status(bounce: &Bounce<'_>, recipient: &Recipient<'_>) -> &'static str {
    match (bounce.bounce_type.as_str(), bounce.bounce_sub_type.as_str()) {
        ("Permanent", "NoEmail" | "Suppressed" | "OnAccountSuppressionList") => INVALID_ADDRESS,
        ("Permanent", _) => {
            let status = recipient.status.as_str();
            let text = recipient.diagnostic_code.as_str().to_ascii_lowercase();
            // 5.1.x: the address is bad. 5.7.x: a policy refused it, which is spam when the text says so.
            if status.starts_with("5.1.") {
                INVALID_ADDRESS
            } else if status.starts_with("5.7.")
                && ["spam", "block", "policy", "blacklist", "reputation"]
                    .iter()
                    .any(|word| text.contains(word))
            {
                SPAM
            } else {
                FAILED
            }
        }
        ("Transient", "ContentRejected") => SPAM,
        _ => FAILED,
    }
}

/// `smtp; 550 5.1.1 user unknown` -> `550 5.1.1 user unknown` (RFC 3464, diagnostic-type).
fn diagnostic(code: &str) -> &str {
    match code.split_once(';') {
        Some((kind, rest)) if kind.trim().eq_ignore_ascii_case("smtp") => rest.trim_start(),
        _ => code,
    }
}

/// The first three-digit reply code of an SMTP answer.
fn smtp_code(text: &str) -> Option<&str> {
    text.split(|c: char| !c.is_ascii_digit())
        .find(|word| word.len() == 3 && matches!(word.as_bytes()[0], b'2' | b'4' | b'5'))
}

/// `Name <user@host>` -> `user@host`.
fn address(text: &str) -> &str {
    match (text.rfind('<'), text.rfind('>')) {
        (Some(start), Some(end)) if start < end => text[start + 1..end].trim(),
        _ => text.trim(),
    }
}

impl Mail<'_> {
    fn event(
        &self,
        kind: &str,
        end: &End<'_>,
        region: &str,
        fallback: &str,
        decoder: &Decoder<'_>,
    ) -> Event {
        let header = |name: &str| {
            self.headers
                .iter()
                .flatten()
                .find(|header| header.name.as_str().eq_ignore_ascii_case(name))
                .and_then(|header| header.value.known())
        };
        let common = self.common_headers.as_ref();
        let account = address(self.source.as_str());
        let from = common
            .and_then(|common| common.from.as_ref())
            .and_then(|from| from.first())
            .map(|from| address(from.as_str()))
            .filter(|from| !from.is_empty())
            .unwrap_or(account);
        let received = time(self.timestamp.as_str());
        let ended = time(end.time).or_else(|| time(fallback)).or(received);
        let text = |time: Option<Timestamp>| time.map(civil).unwrap_or_default();
        let result = MailResult {
            env_id: value(self.message_id.as_str()),
            msg_id: value(
                header("Message-ID")
                    .or(common.and_then(|common| common.message_id.known()))
                    .unwrap_or(self.message_id.as_str()),
            ),
            account: value(account),
            from: value(from),
            rcpt: value(address(end.recipient)),
            recv_time: text(received),
            end_time: text(ended),
            status: end.status.to_owned(),
            // Both samples of seed 000 (2) say `deliver`, the good and the bad one.
            event: "deliver".to_owned(),
            region: value(region),
            err_code: end.code.to_owned(),
            err_msg: value(end.message),
        };
        let event_type = match end.status {
            SUCCESS => "Deliver:SendSuccessfully",
            _ => "Deliver:SendFailed",
        };
        Event {
            product: Product::Mail,
            event_type: EventType::parse(event_type).expect("both names are sound"),
            resource: String::new(),
            time: ended.unwrap_or(decoder.hint.received),
            id: IdentityHasher::new("ses")
                .part(kind)
                .part(self.message_id.as_str())
                .part(end.recipient)
                .part(end.feedback)
                .finish(),
            body: Body::Plain(result.to_text()),
        }
    }
}

/// Values are not URL-encoded (seed 000, 2); only what would break the form is: `&` becomes `%26`, a line break a blank.
fn value(text: &str) -> String {
    text.trim()
        .replace('&', "%26")
        .replace("\r\n", " ")
        .replace(['\r', '\n'], " ")
}

/// SES writes ISO 8601, and identity notifications sometimes `2018-10-08T14:05:45 +0000`.
fn time(text: &str) -> Option<Timestamp> {
    let text = shorten(text, 40);
    Timestamp::parse(&text)
        .or_else(|_| Timestamp::parse(&text.replace(' ', "")))
        .ok()
}

/// `YYYY-MM-DD hh:mm:ss` in UTC: the seed's form names no zone.
fn civil(time: Timestamp) -> String {
    let iso = time.to_iso();
    iso.get(..19).unwrap_or(&iso).replace('T', " ")
}
