//! The reason of a failure: a sentence with its causes.
//!
//! The text of a reqwest error contains the URL. The URL of a continue must stay out of logs, because anyone with this URL
//! and a token of the account can answer the bot. So a [`Reason`] omits that text and begins with the source of the reqwest
//! error.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

use model::error_chain;

/// The reason of a failure: a sentence with its causes, and the underlying error.
///
/// It contains no URL, token or body. Two reasons are equal if their texts are equal.
///
/// The text contains the texts of all causes, so [`source`](Error::source) is `None`: a chain of sources would repeat
/// them. [`error`](Self::error) returns the underlying error.
#[derive(Clone)]
pub struct Reason(Arc<Repr>);

enum Repr {
    Sentence { text: Cow<'static, str>, error: Option<Box<dyn Error + Send + Sync>> },
    Error(Box<dyn Error + Send + Sync>),
    Http(reqwest::Error),
}

impl Reason {
    /// Creates a reason without an underlying error.
    pub fn new(text: impl Into<Cow<'static, str>>) -> Self {
        Self(Arc::new(Repr::Sentence { text: text.into(), error: None }))
    }

    /// Creates a reason from a sentence and the error that caused it. The text is both, joined by a colon.
    pub fn caused_by(
        text: impl Into<Cow<'static, str>>,
        error: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self(Arc::new(Repr::Sentence { text: text.into(), error: Some(error.into()) }))
    }

    /// Creates a reason whose sentence is the text of `error`.
    pub fn of(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(Arc::new(Repr::Error(error.into())))
    }

    /// The underlying error, to inspect or downcast; `None` if the sentence is the whole reason.
    pub fn error(&self) -> Option<&(dyn Error + 'static)> {
        match &*self.0 {
            Repr::Sentence { error, .. } => error.as_deref().map(|error| -> &(dyn Error + 'static) { error }),
            Repr::Error(error) => Some(&**error),
            // Not the HTTP client's own error, whose text contains the URL.
            Repr::Http(error) => error.source(),
        }
    }
}

impl From<reqwest::Error> for Reason {
    fn from(error: reqwest::Error) -> Self {
        Self(Arc::new(Repr::Http(error)))
    }
}

impl fmt::Display for Reason {
    /// Writes the sentence and its causes on one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sentence = match &*self.0 {
            Repr::Sentence { text, .. } => Some(&**text),
            Repr::Http(error) if error.is_timeout() => Some("timed out"),
            Repr::Error(_) | Repr::Http(_) => None,
        };
        match (sentence, self.error().map(error_chain)) {
            (Some(sentence), Some(causes)) => write!(f, "{sentence}: {causes}"),
            (Some(sentence), None) => f.write_str(sentence),
            (None, Some(causes)) => f.write_str(&causes),
            (None, None) => f.write_str("the request failed"),
        }
    }
}

impl fmt::Debug for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Reason").field(&self.to_string()).finish()
    }
}

impl Error for Reason {}

impl PartialEq for Reason {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl Eq for Reason {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reason_keeps_its_error_and_prints_it_once() {
        let parse = "x".parse::<u8>().unwrap_err();
        let inner = Reason::caused_by("the port is wrong", parse);
        let outer = Reason::caused_by("through a proxy", inner.clone());
        let text = "through a proxy: the port is wrong: invalid digit found in string";
        assert_eq!((outer.to_string(), error_chain(&outer)), (text.to_owned(), text.to_owned()));
        assert!(inner.error().is_some_and(|error| error.is::<std::num::ParseIntError>()));
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
}
