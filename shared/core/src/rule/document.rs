//! JSON that people wrote, with what a plain reader would pass over in silence: members that stand twice in one object.

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::fmt;

/// One element of an array, and the members that it repeats.
pub(super) struct Element {
    /// The element; of a member that stands several times, the last.
    pub(super) value: Value,
    /// Path and later value of each member that stands a further time, in their order.
    pub(super) repeated: Vec<(String, Value)>,
}

/// Reads a JSON text: the elements of an array, or the value that it is instead.
pub(super) fn read(text: &[u8]) -> serde_json::Result<Result<Vec<Element>, Value>> {
    if !text.trim_ascii_start().starts_with(b"[") {
        return serde_json::from_slice(text).map(Err);
    }
    let mut reader = serde_json::Deserializer::from_slice(text);
    let elements = reader.deserialize_seq(Elements)?;
    reader.end()?;
    Ok(Ok(elements))
}

struct Elements;

impl<'de> Visitor<'de> for Elements {
    type Value = Vec<Element>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Self::Value, A::Error> {
        let mut elements = Vec::new();
        let mut walk = Walk::default();
        while let Some(value) = array.next_element_seed(&mut walk)? {
            elements.push(Element {
                value,
                repeated: std::mem::take(&mut walk.repeated),
            });
        }
        Ok(elements)
    }
}

/// Where the reader is, and what it has found.
#[derive(Default)]
struct Walk {
    path: String,
    repeated: Vec<(String, Value)>,
}

impl<'de> DeserializeSeed<'de> for &mut Walk {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &mut Walk {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E: Error>(self, state: bool) -> Result<Value, E> {
        Ok(Value::Bool(state))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Value, E> {
        Ok(Number::from_f64(number).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(text.to_owned()))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Value, E> {
        Ok(Value::String(text))
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Value, A::Error> {
        use fmt::Write as _;
        let mut elements = Vec::new();
        let before = self.path.len();
        loop {
            let _ = write!(self.path, "[{}]", elements.len());
            let element = array.next_element_seed(&mut *self)?;
            self.path.truncate(before);
            match element {
                Some(element) => elements.push(element),
                None => return Ok(Value::Array(elements)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        let before = self.path.len();
        while let Some(name) = object.next_key::<String>()? {
            if before > 0 {
                self.path.push('.');
            }
            self.path.push_str(&name);
            let value = object.next_value_seed(&mut *self)?;
            if members.contains_key(&name) {
                self.repeated.push((self.path.clone(), value.clone()));
            }
            members.insert(name, value);
            self.path.truncate(before);
        }
        Ok(Value::Object(members))
    }
}
