//! The text of an error response. It may contain `title` and `detail` of the handler's problem details, which the handler
//! writes for this purpose, and nothing else of the body.

use serde_json::Value;

use model::HandlerName;

use super::Received;

/// The maximum length of `title` and `detail`, in characters.
const MAX_TITLE_CHARS: usize = 200;
const MAX_DETAIL_CHARS: usize = 500;

/// Describes the error, and what to do if the status says it.
pub(super) fn of(received: &Received, handler: &HandlerName) -> String {
    let status = received.response.status;
    let known = http::StatusCode::from_u16(status).ok();
    let reason = known
        .and_then(|status| status.canonical_reason())
        .map_or_else(String::new, |name| format!(" {name}"));
    let mut text = format!("the handler answered {status}{reason}");
    for part in problem(received).into_iter().flatten().flatten() {
        text.push_str(": ");
        text.push_str(&part);
    }
    match status {
        300..=399 => format!(
            "{text}: the bridge follows no redirects; set handlers.{handler}.url to the final address"
        ),
        401 | 403 => {
            format!("{text}: check handlers.{handler}.secret and .auth, and the clock of the handler")
        }
        404 => format!("{text}: check handlers.{handler}.url, and that the workflow behind it is active"),
        405 => format!("{text}: the URL must accept POST"),
        407 => format!("{text}: check the credentials in handlers.{handler}.proxy"),
        _ => text,
    }
}

/// `title` and `detail` of problem details.
fn problem(received: &Received) -> Option<[Option<String>; 2]> {
    let body: Value = serde_json::from_slice(&received.response.body).ok().filter(|_| received.is_problem)?;
    let part = |key, max| one_line(body.get(key)?.as_str()?, max);
    Some([part("title", MAX_TITLE_CHARS), part("detail", MAX_DETAIL_CHARS)])
}

/// The beginning of `text` on one line, without a full stop; `None` if nothing is left.
fn one_line(text: &str, max: usize) -> Option<String> {
    let line: String = text.chars().take(max).map(|c| if c.is_control() { ' ' } else { c }).collect();
    let line = line.trim().trim_end_matches('.');
    (!line.is_empty()).then(|| line.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use kommo::Response;

    fn text(status: u16, is_problem: bool, body: &str) -> String {
        let response = Response { status, body: body.as_bytes().to_owned(), ..Response::default() };
        of(&Received { response, bridge_retry: None, is_problem }, &"greet".parse().unwrap())
    }

    #[test]
    fn an_error_says_what_to_do() {
        for (status, expected) in [
            (500, "the handler answered 500 Internal Server Error"),
            (599, "the handler answered 599"),
            (302, "302 Found: the bridge follows no redirects; set handlers.greet.url to"),
            (401, "401 Unauthorized: check handlers.greet.secret and .auth"),
            (404, "404 Not Found: check handlers.greet.url"),
            (405, "405 Method Not Allowed: the URL must accept POST"),
            (407, "handlers.greet.proxy"),
        ] {
            assert!(text(status, false, "hidden").contains(expected), "{}", text(status, false, "hidden"));
            assert!(!text(status, false, "hidden").contains("hidden"));
        }
    }

    #[test]
    fn only_title_and_detail_of_a_problem_are_kept() {
        let problem =
            r#"{"title": "No stock.", "detail": "Line 1\nLine 2", "type": "hidden", "lead": "hidden"}"#;
        assert_eq!(
            text(422, true, problem),
            "the handler answered 422 Unprocessable Entity: No stock: Line 1 Line 2"
        );
        assert_eq!(text(422, false, problem), "the handler answered 422 Unprocessable Entity");
        for body in ["{\"title\": 5}", "{\"title\": \" . \"}", "[]", "no JSON"] {
            assert_eq!(text(422, true, body), "the handler answered 422 Unprocessable Entity", "{body}");
        }
        let long = format!("{{\"title\": \"{}\", \"detail\": \"{}\"}}", "t".repeat(900), "d".repeat(900));
        assert_eq!(text(418, true, &long).len(), "the handler answered 418 I'm a teapot".len() + 704);
    }
}
