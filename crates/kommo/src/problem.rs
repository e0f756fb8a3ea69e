//! The body of an error, reduced to what decisions and operators need.
//!
//! Kommo's errors are RFC 9457 problem details with `validation-errors`. Title and detail can be Russian, so they are only
//! for people.

use std::fmt::Write;
use std::time::Duration;

use serde_json::Value;

use super::lenient;

/// The content of an error's body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApiProblem {
    /// The `retry_after` of a 429.
    pub retry_after: Option<Duration>,
    /// The hint about a token or a code, in English; empty if there is none.
    pub hint: String,
    /// The validation errors, with their places.
    pub errors: Vec<ValidationError>,
    /// All of Kommo's text in one line, for people.
    pub text: String,
}

/// One entry of `validation-errors`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ValidationError {
    /// Kommo's number of the entity in the request, from `0`.
    pub request_id: String,
    /// The code: `FieldMissing`, `TooLong`, …
    pub code: String,
    /// The place: `execute_handlers.params.value`.
    pub path: String,
    /// Kommo's text.
    pub detail: String,
}

/// The maximum length of a text from a response, in characters.
const MAX_TEXT_CHARS: usize = 1_000;

impl ApiProblem {
    /// Parses a body; `None` if it is not a JSON object.
    ///
    /// Each part is parsed separately, so that one undocumented part does not hide the others. Without a code or a
    /// `retry_after`, the bridge would make a wrong decision.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let map = lenient::object_of(body)?;
        let seconds = map.get("retry_after").and_then(lenient::seconds);
        let errors: Vec<ValidationError> = map
            .get("validation-errors")
            .into_iter()
            .flat_map(entries)
            .flat_map(ValidationError::of_entity)
            .collect();
        let mut text = ["title", "hint", "detail"]
            .into_iter()
            .filter_map(|key| Some(without_full_stop(map.get(key)?.as_str()?)))
            .collect::<Vec<_>>()
            .join(": ");
        for ValidationError { code, path, detail, .. } in &errors {
            let place = if path.is_empty() { String::new() } else { format!(" at {path}") };
            // Writing to a string cannot fail.
            let _infallible = write!(text, "; {code}{place}: {}", without_full_stop(detail));
        }
        Some(Self {
            retry_after: seconds.and_then(whole_seconds),
            hint: map.get("hint").and_then(Value::as_str).map(shorten).unwrap_or_default(),
            errors,
            text: shorten(&text),
        })
    }

    /// Whether a validation error has this code.
    pub fn has_code(&self, code: &str) -> bool {
        self.errors.iter().any(|error| error.code == code)
    }
}

impl ValidationError {
    /// The errors of one entity in the request.
    fn of_entity(invalid: &Value) -> Vec<Self> {
        let request_id = match invalid.get("request_id") {
            Some(Value::Number(number)) => number.to_string(),
            _ => text_of(invalid, "request_id"),
        };
        let read = |error: &Value| {
            let [code, path, detail] = ["code", "path", "detail"].map(|key| text_of(error, key));
            Self { request_id: request_id.clone(), code, path, detail }
        };
        invalid.get("errors").map(entries).unwrap_or_default().into_iter().map(read).collect()
    }
}

/// Kommo's text without its full stop, because more text follows.
fn without_full_stop(text: &str) -> &str {
    text.trim_end().trim_end_matches('.')
}

/// The entries of a list, or of an object, because PHP writes a list with gaps as an object.
fn entries(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        Value::Object(map) => map.values().collect(),
        _ => Vec::new(),
    }
}

fn text_of(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).map(shorten).unwrap_or_default()
}

/// Converts seconds to a duration; `None` if the number is invalid.
pub(super) fn whole_seconds(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds).ok()
}

/// Limits a text from outside to one line of at most [`MAX_TEXT_CHARS`] characters, for logs and tables.
fn shorten(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_TEXT_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_validation_errors() {
        let body = r#"{"title":"Ошибка","type":"about:blank","status":400,"detail":"Ошибка валидации",
            "validation-errors":[{"request_id":"0","errors":[{"code":"TooLong","path":"execute_handlers.params.value","detail":"max 80"}]}]}"#;
        let problem = ApiProblem::read(body.as_bytes()).unwrap();
        assert!(problem.has_code("TooLong") && !problem.has_code("TooFew"));
        assert_eq!(
            problem.text,
            "Ошибка: Ошибка валидации; TooLong at execute_handlers.params.value: max 80"
        );
    }

    #[test]
    fn validation_errors_are_parsed_despite_odd_bytes() {
        let body = "\u{feff}{\"validation-errors\":[{\"request_id\":1,\"errors\":[
            {\"code\":\"FieldMissing\",\"path\":\"password\",\"detail\":\"It is missing.\"}]}]}";
        let expected = ValidationError {
            request_id: "1".into(),
            code: "FieldMissing".into(),
            path: "password".into(),
            detail: "It is missing.".into(),
        };
        assert_eq!(ApiProblem::read(body.as_bytes()).unwrap().errors, [expected]);
    }

    #[test]
    fn full_stops_in_kommos_texts_are_removed() {
        let body = r#"{"title":"Error.","hint":"Wrong token.","detail":"It is invalid. ",
            "validation-errors":[{"errors":[{"code":"TooLong","path":"data","detail":"max 80."},
                {"code":"Invalid","path":"","detail":"not valid."}]}]}"#;
        let text = ApiProblem::read(body.as_bytes()).unwrap().text;
        assert_eq!(text, "Error: Wrong token: It is invalid; TooLong at data: max 80; Invalid: not valid");
    }

    #[test]
    fn reads_retry_after_as_number_or_text() {
        let after = |body: &str| ApiProblem::read(body.as_bytes()).unwrap().retry_after;
        assert_eq!(after(r#"{"retry_after":300}"#), Some(Duration::from_secs(300)));
        assert_eq!(after(r#"{"retry_after":"1.5"}"#), Some(Duration::from_millis(1_500)));
        for nonsense in
            [r#"{"retry_after":-1}"#, r#"{"retry_after":"soon"}"#, r#"{"retry_after":1e300}"#, "{}"]
        {
            assert_eq!(after(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn part_of_another_shape_hides_no_other_part() {
        let after = |body: &str| ApiProblem::read(body.as_bytes()).unwrap().retry_after;
        for body in [
            r#"{"retry_after":300,"validation-errors":null}"#,
            r#"{"retry_after":300,"title":429}"#,
            r#"{"retry_after":300,"validation-errors":["none"]}"#,
        ] {
            assert_eq!(after(body), Some(Duration::from_secs(300)), "{body}");
        }
        for body in [
            r#"{"validation-errors":[{"errors":[{"code":"TooFew","path":null,"detail":5}]}]}"#,
            r#"{"validation-errors":[{"errors":{"3":{"code":"TooFew"}}}],"detail":["x"]}"#,
            r#"{"validation-errors":{"1":{"errors":[{"code":"TooFew"}]}}}"#,
            r#"{"validation-errors":[{"request_id":"0"},{"errors":[{"code":"TooFew"}]}]}"#,
        ] {
            let errors = ApiProblem::read(body.as_bytes()).unwrap().errors;
            assert_eq!(errors.iter().map(|error| &*error.code).collect::<Vec<_>>(), ["TooFew"], "{body}");
        }
    }

    #[test]
    fn odd_bytes_around_and_within_a_problem_hide_no_text() {
        for body in [
            &b"\xef\xbb\xbf{\"title\":\"Forbidden\"}"[..],
            b"\r\n {\"title\":\"Forbidden\",\"detail\":[\"\\ud83d\"],\"x\":1e999}\n",
        ] {
            assert_eq!(ApiProblem::read(body).map(|problem| problem.text).as_deref(), Some("Forbidden"));
        }
    }

    #[test]
    fn other_bodies_are_not_problem_documents() {
        for body in ["", "<html>", "[]", "\"x\"", "Accepted"] {
            assert_eq!(ApiProblem::read(body.as_bytes()), None, "{body}");
        }
        // This is JSON, but of another shape.
        assert_eq!(ApiProblem::read(br#"{"title":5}"#), Some(ApiProblem::default()));
        let long = format!(r#"{{"title":"{}\n"}}"#, "x".repeat(5_000));
        assert_eq!(ApiProblem::read(long.as_bytes()).unwrap().text.len(), MAX_TEXT_CHARS);
    }
}
