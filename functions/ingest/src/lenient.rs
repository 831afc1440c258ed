//! Values as real sources write them: a text may be a number, a number may be a text, and either may be `null`.

use crate::error::MAX_RECORDS;
use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};
use std::borrow::Cow;
use std::fmt;

/// A text, borrowed from the body whenever it holds no escapes. Absent, `null` and `""` are one: empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Text<'a>(pub(crate) Cow<'a, str>);

impl Text<'_> {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text, if there is one.
    pub(crate) fn known(&self) -> Option<&str> {
        (!self.0.is_empty()).then_some(&*self.0)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(text.to_owned())))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(text)))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(number.to_string())))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(number.to_string())))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(number.to_string())))
    }

    fn visit_unit<E: Error>(self) -> Result<Text<'de>, E> {
        Ok(Text::default())
    }

    fn visit_none<E: Error>(self) -> Result<Text<'de>, E> {
        Ok(Text::default())
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<Text<'de>, D::Error> {
        inner.deserialize_any(TextVisitor)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

/// A whole number, written as a number or as a text (Ceph RGW writes `"size":"1024"`). Absent, `null` and `""` are
/// unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Whole(pub(crate) Option<i64>);

struct WholeVisitor;

impl<'de> Visitor<'de> for WholeVisitor {
    type Value = Whole;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number")
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Whole, E> {
        Ok(Whole(Some(number)))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Whole, E> {
        i64::try_from(number)
            .map(|number| Whole(Some(number)))
            .map_err(|_| E::custom(format_args!("{number} is larger than 9223372036854775807")))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Whole, E> {
        // CloudTrail writes byte counts as floats (`1024.0`); up to 2^53 each is exact.
        if number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0 {
            #[allow(clippy::cast_possible_truncation)]
            Ok(Whole(Some(number as i64)))
        } else {
            Err(E::custom(format_args!("{number} is not a whole number")))
        }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Whole, E> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(Whole(None));
        }
        text.parse()
            .map(|number| Whole(Some(number)))
            .map_err(|_| E::custom(format_args!("{text:?} is not a whole number")))
    }

    fn visit_unit<E: Error>(self) -> Result<Whole, E> {
        Ok(Whole(None))
    }

    fn visit_none<E: Error>(self) -> Result<Whole, E> {
        Ok(Whole(None))
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<Whole, D::Error> {
        inner.deserialize_any(WholeVisitor)
    }
}

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WholeVisitor)
    }
}

/// A list of bounded length: a body of a megabyte must not become a hundred in memory.
#[derive(Debug, Default)]
pub(crate) struct List<T>(Vec<T>);

impl<T> std::ops::Deref for List<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<'a, T> IntoIterator for &'a List<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListVisitor<T>(std::marker::PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for ListVisitor<T> {
            type Value = List<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of at most 10000 elements")
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(
                self,
                mut array: A,
            ) -> Result<List<T>, A::Error> {
                let mut list = Vec::new();
                while let Some(element) = array.next_element()? {
                    if list.len() == MAX_RECORDS {
                        return Err(A::Error::invalid_length(MAX_RECORDS + 1, &self));
                    }
                    list.push(element);
                }
                Ok(List(list))
            }
        }

        deserializer.deserialize_seq(ListVisitor(std::marker::PhantomData))
    }
}

/// A value of at most `limit` characters, for an error message.
pub(crate) fn shorten(value: &str, limit: usize) -> String {
    let mut short: String = value.chars().take(limit).collect();
    if short.len() < value.len() {
        short.push('…');
    }
    short
}

/// A text that may stand in an array of which it is the first (CloudTrail's `requestParameters`). Anything else that is
/// no text counts as absent: these members are extras, and a strange one must not lose the event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct First<'a>(Cow<'a, str>);

impl First<'_> {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn known(&self) -> Option<&str> {
        (!self.0.is_empty()).then_some(&*self.0)
    }
}

struct FirstVisitor;

impl<'de> Visitor<'de> for FirstVisitor {
    type Value = First<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string, or an array of strings")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<First<'de>, E> {
        Ok(First(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<First<'de>, E> {
        Ok(First(Cow::Owned(text.to_owned())))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<First<'de>, E> {
        Ok(First(Cow::Owned(number.to_string())))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<First<'de>, E> {
        Ok(First(Cow::Owned(number.to_string())))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<First<'de>, E> {
        Ok(First::default())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<First<'de>, E> {
        Ok(First::default())
    }

    fn visit_unit<E: Error>(self) -> Result<First<'de>, E> {
        Ok(First::default())
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut array: A) -> Result<First<'de>, A::Error> {
        let first = array.next_element::<First<'de>>()?.unwrap_or_default();
        while array.next_element::<serde::de::IgnoredAny>()?.is_some() {}
        Ok(first)
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<First<'de>, A::Error> {
        while map
            .next_entry::<serde::de::IgnoredAny, serde::de::IgnoredAny>()?
            .is_some()
        {}
        Ok(First::default())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for First<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FirstVisitor)
    }
}
