//! Lenient parsing of JSON from PHP: numbers as strings, flags as numbers, empty objects as lists, and null for empty
//! values.
//!
//! The documented forms are parsed as documented. These other forms are accepted too, so that one odd widget does not make
//! a list of 200 unreadable.

use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use model::repaired_json;

/// Parses a whole number, or a string that contains one.
pub(super) fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    whole(&Value::deserialize(deserializer)?).ok_or_else(|| Error::custom("not a whole number"))
}

/// Parses a whole number, a string that contains one, an empty string or null.
pub(super) fn optional_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(None),
        Value::String(text) if text.is_empty() => Ok(None),
        value => whole(&value).map(Some).ok_or_else(|| Error::custom("neither a whole number nor null")),
    }
}

/// Parses true, false, 1 or 0, also as strings; null and an empty string mean false.
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

/// Parses a string, a number as a string, or null as an empty string.
pub(super) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(String::new()),
        Value::String(text) => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        _ => Err(Error::custom("not a string")),
    }
}

/// Parses a list, an object instead of a list with gaps, or null as an empty list.
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

/// Parses an object, an empty list instead of an empty object, or null as `None`.
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

/// The whole number in `value`: a number, a float without a fraction, or a string that contains one.
pub(super) fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64().or_else(|| without_fraction(number.as_f64()?)),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn without_fraction(number: f64) -> Option<i64> {
    /// Below this limit, a float represents each whole number exactly.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    #[allow(clippy::cast_possible_truncation, reason = "it is a whole number in range")]
    (number.fract() == 0.0 && number.abs() < EXACT).then_some(number as i64)
}

/// The seconds in `value`: a number or a string that contains one, also with a fraction. May be negative or not finite.
pub(super) fn seconds(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// Parses the JSON object in `body`. It may have a BOM, surrounding white space, half characters, and numbers with too many
/// digits.
pub(super) fn object_of(body: &[u8]) -> Option<Map<String, Value>> {
    serde_json::from_str(&repaired_json(body)).ok()
}
