//! Direct publish of a mail result: DirectMail's own text (seed 000, 2), passed on as it stands.

use crate::decoder::{Decoder, Verdict};
use crate::error::DecodeError;
use carillon_core::event::mail::MailResult;
use carillon_core::event::{Body, Event, EventType, IdentityHasher, Product, Timestamp};

pub(crate) const KIND: &str = "mail text";

/// Whether a text is a mail result. Newer ones begin with `X-Notify-Message-ID=` (DirectMail help, "Event
/// notification").
pub(crate) fn is_mail(text: &str) -> bool {
    text.starts_with("env_id=")
        || text.starts_with("X-Notify-Message-ID=")
        || text.contains("&env_id=")
}

pub(crate) fn decode(text: &str, decoder: &Decoder<'_>) -> Result<Verdict, DecodeError> {
    let result = MailResult::parse(text);
    if result.env_id.is_empty() && result.rcpt.is_empty() {
        return Err(DecodeError::missing(
            KIND,
            "env_id",
            "the members of the result: env_id=...&msg_id=...&account=...&from=...&rcpt=...&recv_time=...&end_time=...\
             &status=...&event=deliver&region=...&err_code=...&err_msg=...",
        ));
    }
    let event_type = match (
        decoder.event_type_of_headers(),
        result.event.as_str(),
        result.status.as_str(),
    ) {
        (Some(name), _, _) => EventType::parse(name).map_err(|error| {
            DecodeError::value(KIND, "x-carillon-event-type", &error.value, error.want)
        })?,
        (None, "deliver" | "", "0") => named("SendSuccessfully"),
        (None, "deliver" | "", "2" | "3" | "4") => named("SendFailed"),
        (None, "deliver" | "", "") => {
            return Err(DecodeError::missing(
                KIND,
                "status",
                "0 (success), 2 (invalid address), 3 (taken as spam) or 4 (failure)",
            ));
        }
        (None, "deliver" | "", other) => {
            return Err(DecodeError::value(
                KIND,
                "status",
                other,
                "0 (success), 2 (invalid address), 3 (taken as spam) or 4 (failure)",
            ));
        }
        // `open`, `click`: types of a later release (DirectMail help), named by the member.
        (None, other, _) => {
            let mut letters = other.chars();
            let name: String = letters
                .next()
                .into_iter()
                .flat_map(char::to_uppercase)
                .chain(letters)
                .collect();
            EventType::parse(&format!("Deliver:{name}")).map_err(|_| {
                DecodeError::value(KIND, "event", other, "`deliver`, `open` or `click`")
            })?
        }
    };
    let time = Timestamp::parse(&result.end_time).or_else(|_| Timestamp::parse(&result.recv_time));
    Ok(Verdict::Event(Box::new(Event {
        product: Product::Mail,
        event_type,
        resource: String::new(),
        time: time.unwrap_or(decoder.hint.received),
        // The text has an id of the mail, none of the notification: the whole of it decides.
        id: IdentityHasher::new("mail").part(text).finish(),
        body: Body::Plain(text.to_owned()),
    })))
}

fn named(name: &str) -> EventType {
    EventType::parse(&format!("Deliver:{name}")).expect("both names are sound")
}
