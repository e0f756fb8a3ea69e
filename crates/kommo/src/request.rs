//! What is asked of an account, before it is known where the account is.
//!
//! A path comes from a program or from a link of Kommo's. Joined with the account's address it must stay there: a
//! bearer goes to no other origin, whatever tricks a path plays.

use reqwest::Method;
use serde::Serialize;
use url::Url;

use super::error::Error;
use super::reason::Reason;

/// One thing to request.
#[derive(Clone)]
pub(super) struct ApiRequest {
    pub(super) method: Method,
    /// Path and query.
    path: String,
    pub(super) body: Option<String>,
}

impl ApiRequest {
    /// Reads.
    pub(super) fn get(path: impl Into<String>) -> Self {
        Self { method: Method::GET, path: path.into(), body: None }
    }

    /// Removes.
    pub(super) fn delete(path: impl Into<String>) -> Self {
        Self { method: Method::DELETE, path: path.into(), body: None }
    }

    /// Posts JSON that is written already.
    pub(super) fn post(path: impl Into<String>, json: String) -> Self {
        Self { method: Method::POST, path: path.into(), body: Some(json) }
    }

    /// Sends a value as JSON.
    pub(super) fn with_json(
        method: Method,
        path: &str,
        body: &(impl Serialize + ?Sized),
    ) -> Result<Self, Error> {
        let json = serde_json::to_string(body)
            .map_err(|error| refused(format!("the body for {path} does not become JSON"), error))?;
        Ok(Self { method, path: path.to_owned(), body: Some(json) })
    }

    /// Whether it changes nothing, so that it may be asked again.
    pub(super) fn is_read(&self) -> bool {
        self.method == Method::GET
    }

    /// Where to send it while the account is at `origin`.
    pub(super) fn url(&self, origin: &str) -> Result<Url, Error> {
        let base = Url::parse(origin)
            .map_err(|error| refused(format!("the account's address `{origin}` is no URL"), error))?;
        let no_path = || {
            Error::Refused(Reason::new(format!(
                "`{}` is no path of the account: write it with one `/` at its beginning, as in /api/v4/leads",
                shown(&self.path)
            )))
        };
        if !self.path.starts_with('/') {
            return Err(no_path());
        }
        let url = base.join(&self.path).map_err(|_| no_path())?;
        if url.origin() != base.origin() || !url.username().is_empty() || url.password().is_some() {
            return Err(no_path());
        }
        Ok(url)
    }
}

fn refused(text: String, source: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Refused(Reason::caused_by(text, source))
}

/// One part of a path, in which nothing can mean more than itself.
pub(super) fn segment(text: &str) -> Result<String, Error> {
    // These are no names in a path, and encoding cannot make them any.
    if text.is_empty() || text == "." || text == ".." {
        return Err(Error::Refused(Reason::new(format!("`{text}` is no code of a widget"))));
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

/// A path without its query, which may hold private data, cut to 80 characters.
fn shown(path: &str) -> String {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    path.chars().filter(|letter| !letter.is_control()).take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGIN: &str = "https://example.kommo.com";

    #[test]
    fn a_path_stays_on_the_account() {
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
    fn a_refused_path_is_told_without_its_query() {
        let error = ApiRequest::get("leads?token=abc").url(ORIGIN).unwrap_err().to_string();
        assert!(error.contains("`leads`") && !error.contains("abc"), "{error}");
    }

    #[test]
    fn a_code_means_itself_alone() {
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
