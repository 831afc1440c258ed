//! MNS's `UserProperties` as message attributes of SQS, so that consumers of either see them.
//!
//! | MNS | SQS |
//! |---|---|
//! | STRING | `String` |
//! | NUMBER, BOOLEAN | `String.NUMBER`, `String.BOOLEAN`: SQS would look at a `Number`, and MNS does not |
//! | BINARY | `Binary` |
//!
//! SQS takes ten attributes where MNS takes fifty, none of them empty, and none whose name begins with `AWS.` or `Amazon.`
//! (SQS: Message metadata): what it does not take is refused before it is sent. Attributes that other senders made are
//! shown in the order of their names; of types that MNS does not know, the part before the dot counts.

use super::text::is_sendable;
use aws_sdk_sqs::primitives::Blob;
use aws_sdk_sqs::types::MessageAttributeValue;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use carillon_core::ports::{PropertyType, QueueError, UserProperty};
use std::collections::HashMap;

/// Most attributes of a message.
const MOST: usize = 10;

type Attributes = HashMap<String, MessageAttributeValue>;

/// The attributes to send, if there are any.
pub(super) fn attributes(properties: &[UserProperty]) -> Result<Option<Attributes>, QueueError> {
    if properties.is_empty() {
        return Ok(None);
    }
    if properties.len() > MOST {
        return Err(QueueError::Refused(format!(
            "the message has {} properties, and SQS keeps {MOST}: put some of them into the body",
            properties.len()
        )));
    }
    let all = properties
        .iter()
        .map(|property| Ok((property.name().to_owned(), value(property)?)));
    all.collect::<Result<_, _>>().map(Some)
}

fn value(property: &UserProperty) -> Result<MessageAttributeValue, QueueError> {
    let (name, value) = (property.name(), property.value());
    let refused =
        |why: &str| QueueError::Refused(format!("property {name}: {why}: put it into the body"));
    let lower = name.to_ascii_lowercase();
    if lower.starts_with("aws.") || lower.starts_with("amazon.") {
        return Err(refused("SQS keeps names that begin so for itself"));
    }
    if value.is_empty() {
        return Err(refused("SQS takes no empty value"));
    }
    let built = MessageAttributeValue::builder();
    let built = match property.kind() {
        PropertyType::Binary => {
            let bytes = STANDARD
                .decode(value)
                .map_err(|_| refused("its value is not Base64"))?;
            built
                .data_type("Binary")
                .binary_value(Blob::new(bytes))
                .build()
        }
        _ if !is_sendable(value) => {
            return Err(refused("it holds a character that SQS does not take"));
        }
        PropertyType::String => built.data_type("String").string_value(value).build(),
        kind @ (PropertyType::Number | PropertyType::Boolean) => built
            .data_type(format!("String.{kind}"))
            .string_value(value)
            .build(),
    };
    Ok(built.expect("the data type is set"))
}

/// The properties that a received message's attributes tell. What MNS could not carry is left out.
pub(super) fn properties(attributes: Option<Attributes>) -> Vec<UserProperty> {
    let mut properties: Vec<UserProperty> = attributes
        .unwrap_or_default()
        .into_iter()
        .filter_map(|(name, value)| {
            let (kind, text) = read(&value)?;
            UserProperty::new(name, kind, text).ok()
        })
        .collect();
    properties.sort_by(|a, b| a.name().cmp(b.name()));
    properties
}

fn read(value: &MessageAttributeValue) -> Option<(PropertyType, String)> {
    if let Some(bytes) = value.binary_value() {
        return Some((PropertyType::Binary, STANDARD.encode(bytes)));
    }
    let (general, label) = match value.data_type().split_once('.') {
        Some((general, label)) => (general, PropertyType::parse(label)),
        None => (value.data_type(), None),
    };
    let kind = match (general, label) {
        ("String", Some(kind @ (PropertyType::Number | PropertyType::Boolean))) => kind,
        ("Number", _) => PropertyType::Number,
        _ => PropertyType::String,
    };
    Some((kind, value.string_value()?.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn property(name: &str, kind: PropertyType, value: &str) -> UserProperty {
        UserProperty::new(name.to_owned(), kind, value.to_owned()).unwrap()
    }

    #[test]
    fn they_come_back_as_they_went() {
        let all = [
            property("binary", PropertyType::Binary, "AAH/"),
            property("boolean", PropertyType::Boolean, "true"),
            property("number", PropertyType::Number, "not a number"),
            property("string", PropertyType::String, "花 <&>"),
        ];
        assert_eq!(properties(attributes(&all).unwrap()), all);
        assert_eq!(attributes(&[]).unwrap(), None);
    }

    #[test]
    fn what_sqs_does_not_take_is_refused_with_the_reason() {
        let eleven: Vec<_> = (0..11)
            .map(|n| property(&format!("p{n}"), PropertyType::Number, "1"))
            .collect();
        for (given, why) in [
            (eleven, "SQS keeps 10"),
            (vec![property("e", PropertyType::String, "")], "empty"),
            (vec![property("aws.x", PropertyType::String, "v")], "itself"),
            (
                vec![property("c", PropertyType::String, "\u{1}")],
                "character",
            ),
        ] {
            let Err(QueueError::Refused(text)) = attributes(&given) else {
                panic!("{given:?} was taken");
            };
            assert!(text.contains(why), "{text}");
        }
    }

    #[test]
    fn attributes_of_other_senders_are_shown() {
        let of = |kind: &str| {
            MessageAttributeValue::builder()
                .data_type(kind)
                .string_value("7")
                .build()
                .unwrap()
        };
        let given = [
            ("a", "Number.int"),
            ("b", "String.colour"),
            ("c c", "String"),
        ]
        .map(|(name, kind)| (name.to_owned(), of(kind)));
        let read = properties(Some(given.into_iter().collect()));
        // MNS knows no name with a blank.
        let want = [
            property("a", PropertyType::Number, "7"),
            property("b", PropertyType::String, "7"),
        ];
        assert_eq!(read, want);
    }
}
