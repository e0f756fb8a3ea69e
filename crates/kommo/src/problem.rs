//! What Kommo answered, reduced to what decisions are made on.
//!
//! Titles and details can be Russian, so decisions look at the status and at the codes of validation
//! errors, never at a text for people. Kommo's errors are RFC 9457 problems with `validation-errors`;
//! a 403 without JSON is its way to say that the address is blocked. What Kommo's API never says comes from something in its
//! place: a proxy, a parked domain, a captive portal.

use std::fmt::Write;
use std::time::Duration;

use serde_json::Value;

use super::lenient;

use super::transport::Response;

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
    /// Something answered in place of Kommo's API: a 404 without JSON, or a 200 or 206 with an HTML page.
    Foreign {
        /// The HTTP status.
        status: u16,
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

impl Answer {
    /// Reads what came back.
    pub(super) fn read(response: &Response) -> Self {
        let Response { status, retry_after, .. } = *response;
        let problem = if response.is_success() { None } else { response.problem() };
        if response.is_web_page() || status == 404 && problem.is_none() {
            return Self::Foreign { status };
        }
        Self::Status { status, retry_after, problem }
    }
}

/// Whether a body begins as an HTML or XML document does. Kommo's own success has the type `text/html` and the text
/// `Accepted`, so the header decides nothing.
pub(super) fn begins_as_markup(body: &[u8]) -> bool {
    const MARK: &[u8] = b"\xef\xbb\xbf";
    let body = body.trim_ascii_start();
    body.strip_prefix(MARK).unwrap_or(body).trim_ascii_start().starts_with(b"<")
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
            .filter_map(|key| Some(unended(map.get(key)?.as_str()?)))
            .collect::<Vec<_>>()
            .join(": ");
        for fault in &faults {
            let [code, path, detail] = ["code", "path", "detail"].map(|key| word(fault, key));
            // Writing to a string cannot fail.
            let _infallible = write!(text, "; {code} at {path}: {}", unended(detail));
        }
        Some(Self {
            retry_after: seconds.and_then(whole_seconds),
            codes: faults.iter().map(|fault| word(fault, "code").to_owned()).collect(),
            text: shorten(&text),
        })
    }
}

/// A text of Kommo without its full stop, because a message goes on behind it.
fn unended(text: &str) -> &str {
    text.trim_end().trim_end_matches('.')
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
    fn full_stops_of_kommo_do_not_end_a_message_in_its_middle() {
        let body = r#"{"title":"Error.","hint":"Wrong token.","detail":"It is invalid. ",
            "validation-errors":[{"errors":[{"code":"TooLong","path":"data","detail":"max 80."}]}]}"#;
        let text = Problem::read(body.as_bytes()).unwrap().text;
        assert_eq!(text, "Error: Wrong token: It is invalid; TooLong at data: max 80");
    }

    #[test]
    fn what_is_not_kommos_api_is_told_by_status_and_body() {
        let page = "<!DOCTYPE html><html><body>Sign in to this network</body></html>";
        let problem = r#"{"title":"Not found","status":404}"#;
        for (status, body, says_json, is_cut, is_foreign) in [
            (200, page, false, false, true),
            (206, page, false, false, true),
            (200, "\u{feff}\r\n <html>", false, false, true),
            // Whatever the header says, and though the rest did not come.
            (200, "<html", true, true, true),
            (200, "<?xml version=\"1.0\"?><html/>", false, false, true),
            (404, page, false, false, true),
            (404, "", false, false, true),
            (404, "404 page not found", false, false, true),
            (404, "[]", true, false, true),
            (404, problem, true, false, false),
            (404, problem, false, false, false),
            (404, r#"{"title":"Not fo"#, false, true, false),
            (404, "", true, true, false),
            (200, "Accepted", false, false, false),
            (200, "", false, false, false),
            (200, problem, true, false, false),
            (202, "Accepted", false, false, false),
            (202, page, false, false, false),
            (204, "", false, false, false),
            (403, page, false, false, false),
            (502, page, false, false, false),
        ] {
            let body_bytes = body.as_bytes().to_vec();
            let response = Response { status, says_json, body: body_bytes, is_cut, ..Response::default() };
            let answer = Answer::read(&response);
            assert_eq!(answer == Answer::Foreign { status }, is_foreign, "{status} `{body}`: {answer:?}");
        }
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
