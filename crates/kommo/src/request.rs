//! Requests to an account, independent of the account's current address.
//!
//! A path comes from a program or from a link in Kommo's response. Joined with the account's address, it must stay at this
//! origin, because a bearer must not go to another one.

use reqwest::Method;
use serde::Serialize;
use url::Url;

use super::error::Error;
use super::reason::Reason;

/// A request to an account.
#[derive(Clone)]
pub(super) struct ApiRequest {
    pub(super) method: Method,
    /// The path and query.
    path: String,
    pub(super) body: Option<String>,
}

impl ApiRequest {
    /// A `GET` of `path`.
    pub(super) fn get(path: impl Into<String>) -> Self {
        Self { method: Method::GET, path: path.into(), body: None }
    }

    /// A `DELETE` of `path`.
    pub(super) fn delete(path: impl Into<String>) -> Self {
        Self { method: Method::DELETE, path: path.into(), body: None }
    }

    /// A `POST` of serialized JSON.
    pub(super) fn post(path: impl Into<String>, json: String) -> Self {
        Self { method: Method::POST, path: path.into(), body: Some(json) }
    }

    /// A request with `body` as JSON.
    pub(super) fn with_json(
        method: Method,
        path: &str,
        body: &(impl Serialize + ?Sized),
    ) -> Result<Self, Error> {
        let json = serde_json::to_string(body)
            .map_err(|error| refused(format!("the body for {path} cannot be converted to JSON"), error))?;
        Ok(Self { method, path: path.to_owned(), body: Some(json) })
    }

    /// Whether the request changes nothing, so that it may be retried.
    pub(super) fn is_read(&self) -> bool {
        self.method == Method::GET
    }

    /// The URL of the request while the account is at `origin`.
    pub(super) fn url(&self, origin: &str) -> Result<Url, Error> {
        let base = Url::parse(origin)
            .map_err(|error| refused(format!("the account's address `{origin}` is not a URL"), error))?;
        let invalid_path = || {
            Error::Refused(Reason::new(format!(
                "invalid path `{}` (expected a path of the account that begins with one `/`, like /api/v4/leads)",
                shown(&self.path)
            )))
        };
        if !self.path.starts_with('/') {
            return Err(invalid_path());
        }
        let url = base.join(&self.path).map_err(|_| invalid_path())?;
        if url.origin() != base.origin() || !url.username().is_empty() || url.password().is_some() {
            return Err(invalid_path());
        }
        Ok(url)
    }
}

fn refused(text: String, source: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Refused(Reason::caused_by(text, source))
}

/// Encodes one segment of a path, so that no character has a special meaning.
pub(super) fn segment(text: &str) -> Result<String, Error> {
    // These segments have a special meaning even if encoded.
    if text.is_empty() || text == "." || text == ".." {
        return Err(Error::Refused(Reason::new(format!("invalid widget code `{text}`"))));
    }
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    Ok(encoded)
}

/// The path for an error: at most 80 characters, without the query, which may contain private data.
fn shown(path: &str) -> String {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    path.chars().filter(|letter| !letter.is_control()).take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGIN: &str = "https://example.kommo.com";

    #[test]
    fn path_stays_at_the_account() {
        for (path, expected) in [
            ("/api/v4/leads", "https://example.kommo.com/api/v4/leads"),
            ("/api/v4/leads?page=2&q=a%20b", "https://example.kommo.com/api/v4/leads?page=2&q=a%20b"),
            ("/a/../../b", "https://example.kommo.com/b"),
            ("/", "https://example.kommo.com/"),
        ] {
            assert_eq!(ApiRequest::get(path).url(ORIGIN).unwrap().as_str(), expected, "{path}");
        }
        for path in [
            "",
            "api/v4/leads",
            "https://evil.example/",
            "//evil.example/",
            "/\\evil.example/",
            "/\t/evil.example/",
            "\\\\evil.example",
            "//user@example.kommo.com/",
            "//example.kommo.com:444/",
            "@evil.example/",
        ] {
            let refused = ApiRequest::get(path).url(ORIGIN);
            assert!(matches!(refused, Err(Error::Refused(_))), "{path} became {refused:?}");
        }
    }

    #[test]
    fn refused_path_is_shown_without_its_query() {
        let error = ApiRequest::get("leads?token=abc").url(ORIGIN).unwrap_err().to_string();
        assert!(error.contains("`leads`") && !error.contains("abc"), "{error}");
    }

    #[test]
    fn widget_code_is_encoded_as_one_segment() {
        for (code, expected) in [
            ("amo_asterisk", "amo_asterisk"),
            ("a/b", "a%2Fb"),
            ("a?b#c", "a%3Fb%23c"),
            ("../account", "..%2Faccount"),
            ("ä", "%C3%A4"),
            ("%2e", "%252e"),
        ] {
            assert_eq!(segment(code).unwrap(), expected);
        }
        for code in ["", ".", ".."] {
            assert!(segment(code).is_err(), "{code}");
        }
    }
}
