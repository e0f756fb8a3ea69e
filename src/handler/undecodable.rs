//! Describes why data cannot be decoded, without quoting it, because a customer may have written it.

use serde_path_to_error::Error;

/// Where the data is wrong and what was expected; never the value itself.
pub(super) fn describe(error: &Error<serde_json::Error>) -> String {
    let path = match error.path().to_string().as_str() {
        "." => "data".to_owned(),
        path => format!("data.{path}"),
    };
    format!("{path} does not decode: {}", without_value(&error.inner().to_string()))
}

/// Removes the value from a message of serde such as `invalid type: string "x", expected u32`.
fn without_value(message: &str) -> String {
    // These name a field of the handler's input type, not what the customer sent.
    if message.starts_with("missing field") || message.starts_with("duplicate field") {
        return message.to_owned();
    }
    let what = ["invalid type", "invalid value", "invalid length", "unknown variant", "unknown field"]
        .into_iter()
        .find(|what| message.starts_with(what));
    match (what, message.rsplit_once(", expected ")) {
        (Some(what), Some((_, expected))) => format!("{what}, expected {expected}"),
        (Some(what), None) => what.to_owned(),
        (None, _) => "its form does not match the handler's input".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;
    use serde_json::{Value, json};

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Input {
        name: String,
        lead: Option<BTreeMap<String, u32>>,
        when: Option<std::net::Ipv4Addr>,
    }

    fn text(data: Value) -> String {
        describe(&serde_path_to_error::deserialize::<_, Input>(&data).unwrap_err())
    }

    #[test]
    fn names_the_place_and_the_expected_type() {
        assert_eq!(text(json!({})), "data does not decode: missing field `name`");
        assert_eq!(
            text(json!({"name": "x", "lead": {"id": "secret"}})),
            "data.lead.id does not decode: invalid type, expected u32"
        );
        assert!(text(json!(null)).starts_with("data does not decode: invalid type, expected struct"));
    }

    #[test]
    fn never_repeats_the_data() {
        for data in [
            json!({"name": {"a": "secret, expected secret"}}),
            json!("secret"),
            json!({"name": "x", "when": "secret"}),
            json!({"name": "x", "lead": {"id": "secret"}}),
            json!({"name": "x", "lead": "secret"}),
        ] {
            assert!(!text(data.clone()).contains("secret"), "{data}: {}", text(data.clone()));
        }
    }
}
