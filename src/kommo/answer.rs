//! What Kommo answered, reduced to what decisions are made on.
//!
//! Titles and details can be Russian, so decisions look at the status and at the codes of validation
//! errors, never at a text for people. Kommo's errors are RFC 9457 problems with `validation-errors`;
//! a 403 without JSON is its way to say that the address is blocked.

use std::fmt::Write;
use std::time::Duration;

use serde_json::Value;

use super::lenient;

/// The outcome of one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Kommo answered.
    Status {
        /// The HTTP status.
        status: u16,
        /// What the header `Retry-After` asks for, if there was one.
        retry_after: Option<Duration>,
        /// The body, if it was JSON; empty if it was, but broke off.
        problem: Option<Problem>,
    },
    /// There was no connection, so the call cannot have arrived.
    NotSent(String),
    /// The call may have arrived, but its answer did not.
    Lost {
        /// What went wrong.
        why: String,
        /// Whether it was that time ran out.
        timed_out: bool,
    },
}

/// What the body of an error says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problem {
    /// `retry_after` of a 429.
    pub retry_after: Option<Duration>,
    /// The codes of the validation errors: `TooFew`, `TooLong`, ….
    pub codes: Vec<String>,
    /// All of it in one line for a person.
    pub text: String,
}

/// The longest text that is kept of an answer.
const MOST_TEXT: usize = 1_000;

impl Problem {
    /// Reads a body; none if it is no JSON object.
    ///
    /// Each part is read by itself: one that is not as documented must not take the others with it, since
    /// a code or a pause that is overlooked makes the bridge do the wrong thing.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let map = lenient::object_of(body)?;
        let seconds = map.get("retry_after").and_then(lenient::seconds);
        let faults: Vec<&Value> = map
            .get("validation-errors")
            .into_iter()
            .flat_map(entries)
            .filter_map(|invalid| invalid.get("errors"))
            .flat_map(entries)
            .collect();
        let mut text = ["title", "hint", "detail"]
            .into_iter()
            .filter_map(|key| map.get(key)?.as_str())
            .collect::<Vec<_>>()
            .join(": ");
        for fault in &faults {
            let [code, path, detail] = ["code", "path", "detail"].map(|key| word(fault, key));
            // Writing to a string cannot fail.
            let _infallible = write!(text, "; {code} at {path}: {detail}");
        }
        Some(Self {
            retry_after: seconds.and_then(whole_seconds),
            codes: faults.iter().map(|fault| word(fault, "code").to_owned()).collect(),
            text: shorten(&text),
        })
    }
}

/// The entries of a list; also of an object, because that is what PHP makes of a list with gaps.
pub(super) fn entries(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        Value::Object(map) => map.values().collect(),
        _ => Vec::new(),
    }
}

pub(super) fn word<'a>(fault: &'a Value, key: &str) -> &'a str {
    fault.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// A pause in seconds as a duration; none if it is no sensible number.
pub(super) fn whole_seconds(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds).ok()
}

/// Texts from outside go into logs and tables: one line, not too long.
pub(super) fn shorten(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MOST_TEXT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_validation_errors() {
        let body = r#"{"title":"Ошибка","type":"about:blank","status":400,"detail":"Ошибка валидации",
            "validation-errors":[{"request_id":"0","errors":[{"code":"TooLong","path":"execute_handlers.params.value","detail":"max 80"}]}]}"#;
        let problem = Problem::read(body.as_bytes()).unwrap();
        assert_eq!(problem.codes, ["TooLong"]);
        assert_eq!(
            problem.text,
            "Ошибка: Ошибка валидации; TooLong at execute_handlers.params.value: max 80"
        );
    }

    #[test]
    fn reads_retry_after_as_number_or_text() {
        let after = |body: &str| Problem::read(body.as_bytes()).unwrap().retry_after;
        assert_eq!(after(r#"{"retry_after":300}"#), Some(Duration::from_secs(300)));
        assert_eq!(after(r#"{"retry_after":"1.5"}"#), Some(Duration::from_millis(1_500)));
        for nonsense in
            [r#"{"retry_after":-1}"#, r#"{"retry_after":"soon"}"#, r#"{"retry_after":1e300}"#, "{}"]
        {
            assert_eq!(after(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn a_part_of_another_shape_takes_no_other_with_it() {
        let after = |body: &str| Problem::read(body.as_bytes()).unwrap().retry_after;
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
            assert_eq!(Problem::read(body.as_bytes()).unwrap().codes, ["TooFew"], "{body}");
        }
    }

    #[test]
    fn odd_bytes_around_and_within_a_problem_hide_nothing() {
        for body in [
            &b"\xef\xbb\xbf{\"title\":\"Forbidden\"}"[..],
            b"\r\n {\"title\":\"Forbidden\",\"detail\":[\"\\ud83d\"],\"x\":1e999}\n",
        ] {
            assert_eq!(Problem::read(body).map(|problem| problem.text).as_deref(), Some("Forbidden"));
        }
    }

    #[test]
    fn anything_else_is_not_a_problem_document() {
        for body in ["", "<html>", "[]", "\"x\"", "Accepted"] {
            assert_eq!(Problem::read(body.as_bytes()), None, "{body}");
        }
        // JSON it is, though of another shape.
        assert_eq!(Problem::read(br#"{"title":5}"#), Some(Problem::default()));
        let long = format!(r#"{{"title":"{}\n"}}"#, "x".repeat(5_000));
        assert_eq!(Problem::read(long.as_bytes()).unwrap().text.len(), MOST_TEXT);
    }
}
