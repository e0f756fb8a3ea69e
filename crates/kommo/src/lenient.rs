//! Reading JSON that PHP wrote: numbers as texts, flags as numbers, empty objects as lists, null for nothing.
//!
//! What is documented is read as documented. These forms are taken too, because a list of two hundred widgets must
//! not be lost for one of them.

use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use model::repaired_json;

/// A whole number, or a text that is one.
pub(super) fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    whole(&Value::deserialize(deserializer)?).ok_or_else(|| Error::custom("not a whole number"))
}

/// The same, or null.
pub(super) fn optional_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(None),
        Value::String(text) if text.is_empty() => Ok(None),
        value => whole(&value).map(Some).ok_or_else(|| Error::custom("neither a whole number nor null")),
    }
}

/// true, false, 1, 0, the same as texts, or null for false.
pub(super) fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(false),
        Value::Bool(flag) => Ok(flag),
        Value::Number(number) if number.as_u64() == Some(0) => Ok(false),
        Value::Number(number) if number.as_u64() == Some(1) => Ok(true),
        Value::String(text) if matches!(text.as_str(), "" | "0" | "false") => Ok(false),
        Value::String(text) if matches!(text.as_str(), "1" | "true") => Ok(true),
        _ => Err(Error::custom("neither true nor false")),
    }
}

/// A text, a number as a text, or null for an empty one.
pub(super) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(String::new()),
        Value::String(text) => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        _ => Err(Error::custom("not a text")),
    }
}

/// A list, an object in place of a list with gaps, or null for an empty one.
pub(super) fn list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let items: Vec<Value> = match Value::deserialize(deserializer)? {
        Value::Null => Vec::new(),
        Value::Array(items) => items,
        Value::Object(map) => map.into_iter().map(|(_, item)| item).collect(),
        _ => return Err(Error::custom("not a list")),
    };
    items.into_iter().map(|item| serde_json::from_value(item).map_err(Error::custom)).collect()
}

/// An object, an empty list in place of an empty object, or null for none.
pub(super) fn object<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Map<String, Value>>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(None),
        Value::Object(map) => Ok(Some(map)),
        Value::Array(items) if items.is_empty() => Ok(Some(Map::new())),
        _ => Err(Error::custom("not an object")),
    }
}

/// A whole number: as a number, a float without a fraction, or a text that is one.
pub(super) fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64().or_else(|| without_fraction(number.as_f64()?)),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn without_fraction(number: f64) -> Option<i64> {
    /// Up to here each whole number is a float of its own.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    #[allow(clippy::cast_possible_truncation, reason = "it is whole, and in range")]
    (number.fract() == 0.0 && number.abs() < EXACT).then_some(number as i64)
}

/// Seconds: as a number or a text that is one, with or without a fraction. May be negative or not finite.
pub(super) fn seconds(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// The JSON object in `body`, in spite of a BOM, white space around it, halves of characters and numbers without end.
pub(super) fn object_of(body: &[u8]) -> Option<Map<String, Value>> {
    serde_json::from_str(&repaired_json(body)).ok()
}
