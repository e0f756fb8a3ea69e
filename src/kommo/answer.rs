//! What Kommo answered, reduced to what decisions are made on.
//!
//! Titles and details can be Russian, so decisions look at the status and at the codes of validation
//! errors, never at a text for people. Kommo's errors are RFC 9457 problems with `validation-errors`;
//! a 403 without JSON is its way to say that the address is blocked.

use std::fmt::Write;
use std::time::Duration;

use serde::Deserialize;

/// The outcome of one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Kommo answered.
    Status {
        /// The HTTP status.
        status: u16,
        /// The header `Retry-After`, in seconds, if there was one.
        retry_after: Option<Duration>,
        /// The body, if it was JSON.
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

#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    title: Option<String>,
    #[serde(default)]
    detail: Option<String>,
    #[serde(default)]
    hint: Option<String>,
    #[serde(default)]
    retry_after: Option<serde_json::Value>,
    #[serde(default, rename = "validation-errors")]
    validation: Vec<Invalid>,
}

#[derive(Deserialize)]
struct Invalid {
    #[serde(default)]
    errors: Vec<Fault>,
}

#[derive(Deserialize)]
struct Fault {
    #[serde(default)]
    code: String,
    #[serde(default)]
    path: String,
    #[serde(default)]
    detail: String,
}

/// The longest text that is kept of an answer.
const MOST_TEXT: usize = 1_000;

impl Problem {
    /// Reads a body; none if it is no JSON object.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        // A map first: serde would also read the struct from a list.
        let map: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(body).ok()?;
        let Ok(body) = serde_json::from_value::<Body>(map.into()) else { return Some(Self::default()) };
        let seconds = body.retry_after.as_ref().and_then(|value| match value {
            serde_json::Value::String(text) => text.trim().parse().ok(),
            other => other.as_f64(),
        });
        let faults: Vec<&Fault> = body.validation.iter().flat_map(|invalid| &invalid.errors).collect();
        let mut text = [&body.title, &body.hint, &body.detail]
            .into_iter()
            .flatten()
            .cloned()
            .collect::<Vec<_>>()
            .join(": ");
        for fault in &faults {
            // Writing to a string cannot fail.
            let _infallible = write!(text, "; {} at {}: {}", fault.code, fault.path, fault.detail);
        }
        Some(Self {
            retry_after: seconds.and_then(whole_seconds),
            codes: faults.iter().map(|fault| fault.code.clone()).collect(),
            text: shorten(&text),
        })
    }
}

/// A pause in seconds as a duration; none if it is no sensible number.
pub(super) fn whole_seconds(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds).ok()
}

/// Texts from outside go into logs and tables: one line, not too long.
fn shorten(text: &str) -> String {
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
