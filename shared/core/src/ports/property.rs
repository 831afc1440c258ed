//! Properties that a sender puts beside a message's body (HELP: Message properties).

use serde::{Deserialize, Serialize};
use std::fmt;

/// What a property's value is. On the wire every value is text (aliyun-mns-sdk 1.3.0, `PropertyType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum PropertyType {
    /// Any text.
    String,
    /// Meant to be a number; MNS does not look.
    Number,
    /// `true` or `false`.
    Boolean,
    /// Bytes, as Base64.
    Binary,
}

impl PropertyType {
    /// Reads the wire's name, in any case: the vendor's clients write upper case, its pages `String`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [
            PropertyType::String,
            PropertyType::Number,
            PropertyType::Boolean,
            PropertyType::Binary,
        ]
        .into_iter()
        .find(|kind| kind.as_str().eq_ignore_ascii_case(text))
    }

    /// The wire's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            PropertyType::String => "STRING",
            PropertyType::Number => "NUMBER",
            PropertyType::Boolean => "BOOLEAN",
            PropertyType::Binary => "BINARY",
        }
    }
}

impl fmt::Display for PropertyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One of MNS's `UserProperties`: kept and given back, and not looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserProperty {
    name: String,
    #[serde(rename = "type")]
    kind: PropertyType,
    value: String,
}

/// A property that is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PropertyError {
    /// Its name is not one.
    #[error(
        "property name {0:?}: it has 1 to 256 letters, digits, \"_\", \"-\" and \".\", no \".\" at an end, and no two in a row"
    )]
    Name(String),
    /// Its value is too long.
    #[error("property {name}: its value has {len} characters, at most 4096 are kept")]
    Long {
        /// The property.
        name: String,
        /// Characters of its value.
        len: usize,
    },
    /// Its value is not of its type.
    #[error("property {name}: {value:?} is not a {kind}: give {hint}")]
    Value {
        /// The property.
        name: String,
        /// Its type.
        kind: PropertyType,
        /// Its value.
        value: String,
        /// What the type's values look like.
        hint: &'static str,
    },
    /// There are too many.
    #[error("{0} properties: a message has at most 50")]
    Many(usize),
    /// Two have one name.
    #[error("property {0} is given twice: each name once")]
    Twice(String),
}

impl UserProperty {
    /// Most properties of a message.
    pub const MOST: usize = 50;
    /// Longest name, characters.
    pub const LONGEST_NAME: usize = 256;
    /// Longest value as it is carried, characters.
    pub const LONGEST_VALUE: usize = 4_096;

    /// A property. `value` is as the wire has it, so bytes are Base64 already; whether they are is the caller's to check.
    ///
    /// # Errors
    /// [`PropertyError`], by the limits of MNS.
    pub fn new(name: String, kind: PropertyType, value: String) -> Result<Self, PropertyError> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        let dotted = name.starts_with('.') || name.ends_with('.') || name.contains("..");
        if name.is_empty() || name.len() > Self::LONGEST_NAME || dotted || !name.chars().all(plain)
        {
            return Err(PropertyError::Name(name));
        }
        let len = value.chars().count();
        if len > Self::LONGEST_VALUE {
            return Err(PropertyError::Long { name, len });
        }
        if kind == PropertyType::Boolean
            && !["true", "false"]
                .iter()
                .any(|known| known.eq_ignore_ascii_case(&value))
        {
            let hint = "true or false";
            return Err(PropertyError::Value {
                name,
                kind,
                value,
                hint,
            });
        }
        Ok(UserProperty { name, kind, value })
    }

    /// Whether a message may have these.
    ///
    /// # Errors
    /// [`PropertyError::Many`], [`PropertyError::Twice`].
    pub fn check_all(properties: &[UserProperty]) -> Result<(), PropertyError> {
        if properties.len() > Self::MOST {
            return Err(PropertyError::Many(properties.len()));
        }
        for (index, property) in properties.iter().enumerate() {
            let before = &properties[..index];
            if before.iter().any(|other| other.name == property.name) {
                return Err(PropertyError::Twice(property.name.clone()));
            }
        }
        Ok(())
    }

    /// Names it within its message; upper and lower case differ.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its value is.
    #[must_use]
    pub fn kind(&self) -> PropertyType {
        self.kind
    }

    /// Its value, as the wire has it.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    /// What it counts of its message's size, bytes: name, type and value.
    #[must_use]
    pub fn size(&self) -> usize {
        self.name.len() + self.kind.as_str().len() + self.value.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, kind: PropertyType, value: &str) -> Result<UserProperty, PropertyError> {
        UserProperty::new(name.to_owned(), kind, value.to_owned())
    }

    #[test]
    fn names_and_values_are_held_to_the_limits_of_mns() {
        let long = "x".repeat(256);
        for name in ["city", "A-Z_a.z.0", long.as_str()] {
            assert!(of(name, PropertyType::String, "").is_ok(), "{name}");
        }
        let longer = "x".repeat(257);
        for name in ["", ".a", "a.", "a..b", "a b", "名", longer.as_str()] {
            let refused = of(name, PropertyType::String, "x");
            assert_eq!(refused, Err(PropertyError::Name(name.to_owned())));
        }
        let value = "花".repeat(4_096);
        assert!(of("a", PropertyType::String, &value).is_ok());
        let value = "x".repeat(4_097);
        assert!(matches!(
            of("a", PropertyType::Binary, &value),
            Err(PropertyError::Long { len: 4_097, .. })
        ));
        assert!(of("a", PropertyType::Boolean, "true").is_ok());
        assert!(matches!(
            of("a", PropertyType::Boolean, "yes"),
            Err(PropertyError::Value { .. })
        ));
        // MNS does not look whether it is one.
        assert!(of("a", PropertyType::Number, "many").is_ok());
    }

    #[test]
    fn a_message_has_at_most_fifty_of_different_names() {
        let many = |count: usize| -> Vec<UserProperty> {
            (0..count)
                .map(|n| of(&format!("p{n}"), PropertyType::Number, "1").unwrap())
                .collect()
        };
        assert_eq!(UserProperty::check_all(&many(50)), Ok(()));
        assert_eq!(
            UserProperty::check_all(&many(51)),
            Err(PropertyError::Many(51))
        );
        let twice = [many(2), many(1)].concat();
        assert_eq!(
            UserProperty::check_all(&twice),
            Err(PropertyError::Twice("p0".into()))
        );
    }

    #[test]
    fn types_are_read_in_any_case_and_written_in_upper_case() {
        for text in ["STRING", "String", "string"] {
            let kind = PropertyType::parse(text).unwrap();
            assert_eq!((kind, kind.as_str()), (PropertyType::String, "STRING"));
        }
        assert_eq!(PropertyType::parse("DATE"), None);
    }
}
