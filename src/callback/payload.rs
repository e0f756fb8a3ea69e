//! Parses the body of a callback.

use serde::Deserialize;
use serde_json::Value;

use crate::handler::completion_json;
use model::CheckedCompletion;

/// The message of an error that has none.
const NO_MESSAGE: &str = "the handler called back with an error without a message";

/// What a handler calls back with.
#[derive(Debug, PartialEq)]
pub(super) enum Payload {
    /// Its completion.
    Completion(CheckedCompletion),
    /// It has none.
    Error {
        message: String,
        /// Whether another attempt may help.
        retry: bool,
        /// The attempt that failed; `None` for the last one.
        attempt: Option<u32>,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WithError {
    error: Failure,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Failure {
    message: Option<String>,
    #[serde(default)]
    retry: bool,
    attempt: Option<u32>,
}

impl Payload {
    /// Parses a body: the same as that of a response, or `{"error": {"message": …, "retry": …, "attempt": …}}`. A body that is
    /// not JSON is a reply only if it `is_plain_text`: a page or a form would reach the customer otherwise.
    ///
    /// # Errors
    /// It is neither. The text says what is wrong and where, and repeats no values.
    pub(super) fn parse(body: &[u8], is_plain_text: bool) -> Result<Self, String> {
        let value = match json(body)? {
            Ok(value) => value,
            Err(text) if is_plain_text => Value::String(text),
            Err(_) => {
                return Err("the body is not JSON: send {\"data\": {…}}, or a text as text/plain".to_owned());
            }
        };
        let only = value.as_object().filter(|map| map.len() == 1).and_then(|map| map.iter().next());
        match only.map(|(key, value)| (key.as_str(), value)) {
            Some(("error", Value::String(message))) => {
                return Ok(Self::Error { message: said(Some(message.clone())), retry: false, attempt: None });
            }
            Some(("note", Value::String(_))) => {
                return Err("this is a note: POST it to the same URL followed by /progress".to_owned());
            }
            _ => {}
        }
        if value.get("error").is_some_and(Value::is_object) && !completion_json::is_completion(&value) {
            let shape = |error| format!("`error` is not as expected: {}", without_values(&error));
            let WithError { error } = serde_json::from_value(value).map_err(shape)?;
            return Ok(Self::Error {
                message: said(error.message),
                retry: error.retry,
                attempt: error.attempt,
            });
        }
        completion_json::checked(&value).map(Self::Completion)
    }
}

fn said(message: Option<String>) -> String {
    message.filter(|message| !message.trim().is_empty()).unwrap_or_else(|| NO_MESSAGE.to_owned())
}

/// Parses the body of a note: `{"note": "…"}`.
///
/// # Errors
/// It is something else, or the note is empty.
pub(super) fn note(body: &[u8]) -> Result<String, String> {
    let value: Option<Value> = serde_json::from_slice(body).ok();
    let map = value.as_ref().and_then(Value::as_object).filter(|map| map.len() == 1);
    let note = map.and_then(|map| map.get("note")?.as_str()).filter(|note| !note.trim().is_empty());
    note.map(str::to_owned).ok_or_else(|| "the body is not a note: send {\"note\": \"…\"}".to_owned())
}

/// The JSON of a body, or its text if it is not meant to be JSON.
fn json(body: &[u8]) -> Result<Result<Value, String>, String> {
    let text = std::str::from_utf8(body).map_err(|_| "the body is not UTF-8".to_owned())?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).trim();
    if text.is_empty() {
        return Err("the body is empty: send {\"data\": {}} for a completion without data".to_owned());
    }
    match serde_json::from_str(text) {
        Ok(value) => Ok(Ok(value)),
        Err(error) if text.starts_with(['{', '[', '"']) => {
            Err(format!("the body is not valid JSON (line {}, column {})", error.line(), error.column()))
        }
        Err(_) => Ok(Err(text.to_owned())),
    }
}

/// The message of serde without the values in it, which a customer may have written.
fn without_values(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.find(['"', '`']).filter(|_| text.starts_with("invalid")) {
        Some(start) => format!("{}…", text.get(..start).unwrap_or_default()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completion(json: &str) -> Payload {
        Payload::Completion(CheckedCompletion::from_json(json).unwrap())
    }

    fn error(message: &str, retry: bool, attempt: Option<u32>) -> Payload {
        Payload::Error { message: message.to_owned(), retry, attempt }
    }

    #[test]
    fn a_body_is_a_completion_or_an_error() {
        for (body, expected) in [
            (r#"{"data": {"reply": "hi"}}"#, completion(r#"{"data":{"reply":"hi"}}"#)),
            (r#"{"reply": "hi"}"#, completion(r#"{"data":{"reply":"hi"}}"#)),
            (r#"[{"reply": "hi"}]"#, completion(r#"{"data":{"reply":"hi"}}"#)),
            ("hi there", completion(r#"{"data":{"reply":"hi there"}}"#)),
            ("\u{feff} {}", completion(r#"{"data":{}}"#)),
            (r#"{"error": "no stock"}"#, error("no stock", false, None)),
            (r#"{"error": "a value", "n": 1}"#, completion(r#"{"data":{"error":"a value","n":1}}"#)),
            (r#"{"error": {"message": "no stock"}}"#, error("no stock", false, None)),
            (r#"{"error": {"retry": true, "attempt": 2}}"#, error(NO_MESSAGE, true, Some(2))),
            (r#"{"error": {"message": " "}}"#, error(NO_MESSAGE, false, None)),
        ] {
            assert_eq!(Payload::parse(body.as_bytes(), true), Ok(expected), "{body}");
        }
    }

    #[test]
    fn another_body_is_refused_without_its_values() {
        for (body, part) in [
            ("", "the body is empty"),
            ("{", "not valid JSON (line 1, column 1)"),
            ("[]", "exactly one object"),
            ("null", "`null`"),
            ("hidden", "the body is not JSON"),
            ("<!doctype html>hidden", "the body is not JSON"),
            ("reply=hidden&status=success", "the body is not JSON"),
            (r#"{"note": "hidden"}"#, "followed by /progress"),
            (r#"{"data": "hidden"}"#, "data is a string"),
            (r#"{"data": {}, "error": {"message": "hidden"}}"#, "keys beside `data`"),
            (r#"{"error": {"message": 5}}"#, "`error` is not as expected: invalid type: integer …"),
            (r#"{"error": {"message": "hidden", "again": true}}"#, "unknown field `again`"),
            (r#"{"error": {"attempt": -1}}"#, "`error` is not as expected"),
        ] {
            let why = Payload::parse(body.as_bytes(), false).unwrap_err();
            assert!(why.contains(part) && !why.contains("hidden"), "{body}: {why}");
        }
        assert_eq!(Payload::parse(b"\xff", true), Err("the body is not UTF-8".to_owned()));
    }

    #[test]
    fn a_note_has_a_text() {
        assert_eq!(note(br#"{"note": "asked the shop"}"#), Ok("asked the shop".to_owned()));
        for body in
            ["", "asked", "{}", "[]", r#"{"note": 5}"#, r#"{"note": " "}"#, r#"{"note": "x", "more": 1}"#]
        {
            assert!(note(body.as_bytes()).unwrap_err().contains(r#"send {"note": "…"}"#), "{body}");
        }
    }
}
