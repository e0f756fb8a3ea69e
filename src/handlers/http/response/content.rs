//! The content of a successful response: nothing, JSON or a text.
//!
//! The body decides, not its type: PHP calls everything HTML unless it is asked not to, and many tools send JSON as text.

use kommo::Response;
use serde_json::Value;

/// What a body contains.
#[derive(Debug, PartialEq)]
pub(super) enum Content {
    Nothing,
    Json(Value),
    Text(String),
}

/// The beginnings of pages, which are never meant for a customer.
const PAGES: [&str; 3] = ["<!doctype", "<html", "<?xml"];
/// The beginnings of texts that are meant to be JSON, without white space.
const JSON: [&str; 3] = ["{", "[{", "[\""];

/// Reads a body that is complete.
///
/// # Errors
/// It is neither JSON nor a text for a customer. The error repeats none of it.
pub(super) fn content(response: &Response) -> Result<Content, &'static str> {
    let Ok(text) = std::str::from_utf8(&response.body) else {
        return Err("the response is not UTF-8 text: return JSON or a text in UTF-8, without compression");
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).trim();
    if text.is_empty() {
        return Ok(Content::Nothing);
    }
    let begins: String =
        text.chars().filter(|c| !c.is_whitespace()).take(9).collect::<String>().to_ascii_lowercase();
    if PAGES.iter().any(|page| begins.starts_with(page)) {
        return Err(
            "the response is a web page: check the url, and that it needs no login; return JSON or a text",
        );
    }
    let may_be_json = response.says_json || text.starts_with(['{', '[']);
    match may_be_json.then(|| serde_json::from_str(text)) {
        Some(Ok(value)) => Ok(Content::Json(value)),
        Some(Err(_)) if response.says_json || JSON.iter().any(|json| begins.starts_with(json)) => {
            Err("the response is not valid JSON")
        }
        _ => Ok(Content::Text(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(says_json: bool, body: &[u8]) -> Result<Content, &'static str> {
        content(&Response { status: 200, says_json, body: body.to_owned(), ..Response::default() })
    }

    #[test]
    fn the_body_decides_what_it_is() {
        let text = |text: &str| Ok(Content::Text(text.to_owned()));
        let invalid = || Err("the response is not valid JSON");
        for (says_json, body, expected) in [
            (true, "", Ok(Content::Nothing)),
            (false, " \r\n", Ok(Content::Nothing)),
            (true, "{\"a\":1}", Ok(Content::Json(json!({ "a": 1 })))),
            (false, "\u{feff}\n{\"a\":1}\n", Ok(Content::Json(json!({ "a": 1 })))),
            (false, "[1]", Ok(Content::Json(json!([1])))),
            (true, "\"Hi\"", Ok(Content::Json(json!("Hi")))),
            (true, "5", Ok(Content::Json(json!(5)))),
            (false, "5", text("5")),
            (false, " Hi Ann\n", text("Hi Ann")),
            (false, "<b>Hi</b>", text("<b>Hi</b>")),
            (false, "[1] is the first", text("[1] is the first")),
            (true, "Hi Ann", invalid()),
            (true, "{\"a\":", invalid()),
            (false, "{\"a\":", invalid()),
            (false, "{not JSON}", invalid()),
            (false, "[ {\"a\": ", invalid()),
            (false, "[\"a", invalid()),
        ] {
            assert_eq!(read(says_json, body.as_bytes()), expected, "{body}");
        }
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        assert_eq!(read(true, deep.as_bytes()), invalid());
    }

    #[test]
    fn pages_and_binary_data_are_refused() {
        for (body, part) in [
            (&b"<!DOCTYPE html><title>x"[..], "web page"),
            (b"\n <html>", "web page"),
            (b"<?xml version", "web page"),
            (b"\x1f\x8b\x08", "UTF-8"),
            (b"\xff", "UTF-8"),
        ] {
            let why = read(false, body).unwrap_err();
            assert!(why.contains(part), "{why}");
        }
    }
}
