//! The reason of a failure: a sentence with its source errors.
//!
//! The text of a reqwest error contains the URL. The URL of a continue must stay out of logs, because anyone with this URL
//! and a token of the account can answer the bot. So a [`Reason`] omits that text and begins with the first source of the
//! reqwest error that says more than that a connection failed.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

use model::error_chain;

/// The reason of a failure: a sentence, and the underlying error as its [`source`](Error::source).
///
/// It contains no URL, token or body. Two reasons are equal if their texts, including their sources, are equal.
#[derive(Clone)]
pub struct Reason(Arc<Repr>);

enum Repr {
    Sentence { text: Cow<'static, str>, source: Option<Box<dyn Error + Send + Sync>> },
    Http(reqwest::Error),
}

impl Reason {
    /// Creates a reason without a source.
    pub fn new(text: impl Into<Cow<'static, str>>) -> Self {
        Self(Arc::new(Repr::Sentence { text: text.into(), source: None }))
    }

    /// Creates a reason with a source.
    pub fn caused_by(
        text: impl Into<Cow<'static, str>>,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self(Arc::new(Repr::Sentence { text: text.into(), source: Some(source.into()) }))
    }
}

impl From<reqwest::Error> for Reason {
    fn from(error: reqwest::Error) -> Self {
        Self(Arc::new(Repr::Http(error)))
    }
}

impl fmt::Display for Reason {
    /// Writes only the sentence, without the sources.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Repr::Sentence { text, .. } => f.write_str(text),
            Repr::Http(error) if error.is_timeout() => f.write_str("timed out"),
            Repr::Http(error) => match cause(error) {
                Some(cause) => fmt::Display::fmt(cause, f),
                None => f.write_str("the request failed"),
            },
        }
    }
}

impl fmt::Debug for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Reason").field(&error_chain(self)).finish()
    }
}

impl Error for Reason {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &*self.0 {
            Repr::Sentence { source, .. } => {
                source.as_deref().map(|source| -> &(dyn Error + 'static) { source })
            }
            Repr::Http(error) if error.is_timeout() => cause(error),
            Repr::Http(error) => cause(error)?.source(),
        }
    }
}

/// The first source of `error` that names a cause. The errors of the HTTP library before it, such as "client error
/// (Connect): tcp connect error", only say that a connection failed, which the caller of the library says better.
fn cause(error: &reqwest::Error) -> Option<&(dyn Error + 'static)> {
    let mut cause = error.source()?;
    while let Some(source) = cause.source() {
        let text = cause.to_string();
        if !(text.starts_with("client error (") || text == "tcp connect error") {
            break;
        }
        cause = source;
    }
    Some(cause)
}

impl PartialEq for Reason {
    fn eq(&self, other: &Self) -> bool {
        error_chain(self) == error_chain(other)
    }
}

impl Eq for Reason {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reason_keeps_its_source() {
        let parse = "x".parse::<u8>().unwrap_err();
        let inner = Reason::caused_by("the port is wrong", parse);
        let outer = Reason::caused_by("through a proxy", inner.clone());
        assert_eq!(outer.to_string(), "through a proxy");
        assert_eq!(error_chain(&outer), "through a proxy: the port is wrong: invalid digit found in string");
        assert!(inner.source().is_some_and(|source| source.is::<std::num::ParseIntError>()));
        assert_eq!(inner.clone(), inner);
        assert_ne!(inner, outer);
    }

    #[test]
    fn http_error_is_shown_without_its_url() {
        let client = reqwest::Client::builder().build().unwrap();
        let error = client.get("https://a.kommo.com:x/secret").build().unwrap_err();
        let reason = Reason::from(error);
        for text in [error_chain(&reason), format!("{reason:?}")] {
            assert!(!text.contains("secret") && !text.contains("kommo.com"), "{text}");
        }
    }

    #[tokio::test]
    async fn a_failed_connection_is_one_short_text() {
        let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/secret", socket.local_addr().unwrap());
        drop(socket);
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let text = error_chain(&Reason::from(client.get(url).send().await.unwrap_err()));
        assert!(text.starts_with("Connection refused") && !text.contains(": "), "{text}");
    }
}
