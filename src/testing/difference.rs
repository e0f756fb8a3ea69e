//! What differs between two JSON values, place by place.

use serde_json::Value;

/// A line for each place in which `actual` is not as `expected`; `place` is the name of the whole, as in `data`.
pub(super) fn differences(place: &str, expected: &Value, actual: &Value) -> Vec<String> {
    match (expected, actual) {
        (Value::Object(wanted), Value::Object(found)) => {
            let mut lines = Vec::new();
            for (key, value) in wanted {
                let place = format!("{place}.{key}");
                match found.get(key) {
                    Some(other) => lines.extend(differences(&place, value, other)),
                    None => lines.push(format!("{place}: expected {value}, but it is missing")),
                }
            }
            let more = found.iter().filter(|(key, _)| !wanted.contains_key(*key));
            lines.extend(more.map(|(key, value)| format!("{place}.{key}: unexpected, it is {value}")));
            lines
        }
        (Value::Array(wanted), Value::Array(found)) => {
            let mut lines = Vec::new();
            for (at, (value, other)) in wanted.iter().zip(found).enumerate() {
                lines.extend(differences(&format!("{place}[{at}]"), value, other));
            }
            if wanted.len() != found.len() {
                lines.push(format!("{place}: expected {} entries, found {}", wanted.len(), found.len()));
            }
            lines
        }
        _ if expected == actual => Vec::new(),
        _ => vec![format!("{place}: expected {expected}, found {actual}")],
    }
}
