//! One event of an NDJSON stream: one element of the seeds' `events` array, of which only what rules look at is read.
//!
//! Events of other products carry `product` (`dm`, `viapi`, one of the user's own; also written `ProductName`),
//! `eventName`, and, if their rules describe resources, `resource`.

use carillon_core::event::{Product, canonical};
use serde::Deserialize;
use serde::de::{Deserializer, Visitor};
use std::borrow::Cow;
use std::fmt;

/// A text that is borrowed from the line unless it holds escapes.
#[derive(Debug)]
struct Text<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Borrowing;
        impl<'de> Visitor<'de> for Borrowing {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text in quotes")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Borrowing)
    }
}

#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct Members<'a> {
    #[serde(borrow, rename = "eventName")]
    event_name: Option<Text<'a>>,
    #[serde(borrow)]
    oss: Option<Oss<'a>>,
    #[serde(borrow, alias = "ProductName")]
    product: Option<Text<'a>>,
    #[serde(borrow)]
    resource: Option<Text<'a>>,
    events: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct Oss<'a> {
    #[serde(borrow)]
    bucket: Option<Bucket<'a>>,
    #[serde(borrow)]
    object: Option<Object<'a>>,
}

#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct Bucket<'a> {
    #[serde(borrow)]
    name: Option<Text<'a>>,
}

#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct Object<'a> {
    #[serde(borrow)]
    key: Option<Text<'a>>,
}

/// What rules look at.
#[derive(Debug)]
pub(super) struct Line<'a> {
    /// None for storage: the common case costs nothing.
    pub(super) product: Option<Product>,
    /// In the canonical spelling.
    pub(super) event_type: Cow<'a, str>,
}

impl<'a> Line<'a> {
    /// Reads a line; its resource is written to `resource`, which is cleared first.
    ///
    /// # Errors
    /// What is wrong, with the value and what would do.
    pub(super) fn read(line: &'a [u8], resource: &mut String) -> Result<Line<'a>, String> {
        resource.clear();
        let text = std::str::from_utf8(line).map_err(|error| {
            format!(
                "byte {} is not UTF-8: events are JSON in UTF-8",
                error.valid_up_to() + 1
            )
        })?;
        let shown = || text.trim_end().chars().take(80).collect::<String>();
        let members: Members<'a> = serde_json::from_str(text).map_err(|error| {
            format!(
                "{:?} is no event ({error}): each line is one element of the `events` array",
                shown()
            )
        })?;
        let Some(Text(name)) = members.event_name else {
            let cure = match members.events {
                Some(_) => {
                    "the line holds a whole `events` array: write each of its elements on a line of its own"
                }
                None => "name the event, for example \"eventName\":\"ObjectCreated:PutObject\"",
            };
            return Err(format!(
                "member eventName is missing in {:?}: {cure}",
                shown()
            ));
        };
        let event_type = match name {
            Cow::Borrowed(name) => canonical(name),
            Cow::Owned(name) => Cow::Owned(canonical(&name).into_owned()),
        };
        if event_type.is_empty() {
            return Err(
                "member eventName is empty: name the event, for example ObjectCreated:PutObject"
                    .to_owned(),
            );
        }
        let product = match members.product {
            None => None,
            Some(Text(name)) => Some(Product::parse(&name).map_err(|error| error.to_string())?),
        };
        let product = product.filter(|product| *product != Product::Oss);
        if let Some(Text(given)) = members.resource {
            resource.push_str(&given);
        } else if let Some(oss) = members.oss {
            let bucket = oss.bucket.and_then(|bucket| bucket.name);
            resource.push_str(bucket.as_ref().map_or("", |Text(bucket)| bucket));
            if let (false, Some(object)) = (resource.is_empty(), oss.object) {
                resource.push('/');
                resource.push_str(object.key.as_ref().map_or("", |Text(key)| key));
            }
        }
        if resource.is_empty() && product.is_none() {
            return Err(format!(
                "member oss.bucket.name is missing in {:?}: name the bucket (events of other products carry `product`)",
                shown()
            ));
        }
        Ok(Line {
            product,
            event_type,
        })
    }
}
