//! Names of products and event types.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;

/// A product: the three of seed 000, or one that the user names.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Product {
    /// `oss`: object storage (seed 000, 3).
    Oss,
    /// `dm`: DirectMail (seed 000, 2). The vendor publishes no code for it; the name is ours.
    Mail,
    /// `viapi`: the vision platform (seed 000, 4). The vendor publishes no code for it; the name is ours.
    Vision,
    /// A product of the user's own: letters, digits and hyphens, first a letter, at most 64 characters.
    Own(Box<str>),
}

impl Product {
    /// Longest name of a user's own product, in characters.
    pub const MAX_LEN: usize = 64;

    /// The name on the wire (`ProductName`).
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Product::Oss => "oss",
            Product::Mail => "dm",
            Product::Vision => "viapi",
            Product::Own(name) => name,
        }
    }

    /// Whether rules of this product describe resources. Mail and vision rules do not (seed 000, 2 and 4.2).
    #[must_use]
    pub fn has_resources(&self) -> bool {
        !matches!(self, Product::Mail | Product::Vision)
    }

    /// Reads a `ProductName`.
    ///
    /// # Errors
    /// [`InvalidName`] when the text is not letters, digits and hyphens beginning with a letter, or is too long.
    pub fn parse(name: &str) -> Result<Self, InvalidName> {
        match name {
            "oss" => Ok(Product::Oss),
            "dm" => Ok(Product::Mail),
            "viapi" => Ok(Product::Vision),
            own => {
                let sound = own.starts_with(|c: char| c.is_ascii_alphabetic())
                    && own.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
                    && own.len() <= Self::MAX_LEN;
                if sound {
                    Ok(Product::Own(own.into()))
                } else {
                    Err(InvalidName {
                        what: "product name",
                        value: own.to_owned(),
                        want: "`oss`, `dm`, `viapi`, or a name of your own: letters, digits and hyphens, first a letter, at most 64 characters",
                    })
                }
            }
        }
    }
}

impl fmt::Display for Product {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Product {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Product {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = Cow::<'de, str>::deserialize(deserializer)?;
        Product::parse(&name).map_err(serde::de::Error::custom)
    }
}

/// An event type: `Group:Name` for storage and mail, a bare name for vision (`SuperResolveVideo`). An open set: a name
/// outside every list is an event like any other, and `Group:*` covers it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct EventType(String);

impl EventType {
    /// Longest event type, in bytes.
    pub const MAX_LEN: usize = 256;

    /// Reads an event type in any spelling the seeds use, and gives the canonical one: a leading `oss:` or `* oss:` is
    /// dropped (seed 002 and the SMQ API example), and the misspelled classes of seed 000 become the real ones
    /// (`ObjectCreate:`, `ObjectDownload:`, `ObjectRemove:`).
    ///
    /// # Errors
    /// [`InvalidName`] when it is empty, too long, or holds white space, control characters or `*`.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let name = canonical(text);
        let sound = !name.is_empty()
            && name.len() <= Self::MAX_LEN
            && !name.starts_with(':')
            && !name.ends_with(':')
            && !name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '*');
        if sound {
            Ok(EventType(name.into_owned()))
        } else {
            Err(InvalidName {
                what: "event type",
                value: text.to_owned(),
                want: "`Group:Name` such as `ObjectCreated:PutObject`, without blanks or `*`, at most 256 bytes",
            })
        }
    }

    /// The canonical spelling.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The class before the colon: `ObjectCreated` of `ObjectCreated:PutObject`. None for a bare name.
    #[must_use]
    pub fn group(&self) -> Option<&str> {
        self.0.split_once(':').map(|(group, _)| group)
    }
}

/// The canonical spelling of an event type or of a `Group:*` pattern.
///
/// Borrows when the text is canonical already, so that a reader of many events allocates for misprints alone.
#[must_use]
pub fn canonical(text: &str) -> Cow<'_, str> {
    // Until nothing falls off any more: what is written must be read as what it was.
    let mut text = text.trim();
    while let Some(rest) = text
        .strip_prefix("* ")
        .or_else(|| text.strip_prefix("oss:"))
    {
        text = rest;
    }
    // The classes as seed 000 (3.1) misprints them; seeds 002 and 004 have the true ones.
    const MISPRINTS: [(&str, &str); 4] = [
        ("ObjectCreate:", "ObjectCreated:"),
        ("ObjectDownload:", "ObjectDownloaded:"),
        ("ObjectRemove:", "ObjectRemoved:"),
        ("ObjectRemove>", "ObjectRemoved:"),
    ];
    for (wrong, right) in MISPRINTS {
        if let Some(name) = text.strip_prefix(wrong) {
            return Cow::Owned(format!("{right}{name}"));
        }
    }
    Cow::Borrowed(text)
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for EventType {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = Cow::<'de, str>::deserialize(deserializer)?;
        EventType::parse(&name).map_err(serde::de::Error::custom)
    }
}

/// A name that cannot be used, and what would do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} {value:?} cannot be used: give {want}")]
pub struct InvalidName {
    /// What was being named.
    pub what: &'static str,
    /// The text as given.
    pub value: String,
    /// What would have done.
    pub want: &'static str,
}
