//! The `redirect_uri` of an integration.
//!
//! Kommo compares it, as text, with the one on the integration's page. A URL parser rewrites capitals in a host, Unicode
//! names, default ports and dot segments. So the bridge sends the text as written, and uses the parsed URL only to read its
//! parts.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};
use url::Url;

/// A `redirect_uri`, exactly as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedirectUri {
    written: String,
    url: Url,
}

/// The text is not a `redirect_uri`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an http or https URL, or it has spaces, a user name or a fragment")]
pub struct RedirectUriError;

impl RedirectUri {
    /// The text as written, which Kommo compares.
    pub fn as_str(&self) -> &str {
        &self.written
    }

    /// The normalized URL, for its host and path. Never send it.
    pub const fn url(&self) -> &Url {
        &self.url
    }
}

impl FromStr for RedirectUri {
    type Err = RedirectUriError;

    fn from_str(text: &str) -> Result<Self, RedirectUriError> {
        // The parser drops these characters silently, but the text would keep them.
        if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(RedirectUriError);
        }
        let url = Url::parse(text).map_err(|_| RedirectUriError)?;
        let is_plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
        if !(matches!(url.scheme(), "http" | "https") && url.has_host() && is_plain) {
            return Err(RedirectUriError);
        }
        Ok(Self { written: text.to_owned(), url })
    }
}

impl fmt::Display for RedirectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

impl Serialize for RedirectUri {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirect_uri_is_kept_as_written() {
        for (text, host) in [
            ("https://bots.example.com/oauth/callback", "bots.example.com"),
            ("https://Bots.Example.COM:443/oauth/callback", "bots.example.com"),
            ("HTTPS://bots.example.com/a/../oauth/./callback", "bots.example.com"),
            ("https://bücher.example/oauth/callback", "xn--bcher-kva.example"),
            ("https://bots.example.com", "bots.example.com"),
            ("https://bots.example.com/oauth/callback?a=%7e&b=~", "bots.example.com"),
        ] {
            let uri: RedirectUri = text.parse().unwrap();
            assert_eq!((uri.as_str(), uri.to_string().as_str()), (text, text));
            assert_eq!(serde_json::to_string(&uri).unwrap(), serde_json::to_string(text).unwrap());
            assert_eq!(uri.url().host_str(), Some(host), "{text}");
        }
    }

    #[test]
    fn text_other_than_a_plain_web_url_is_refused() {
        for text in [
            "",
            "bots.example.com/oauth/callback",
            "ftp://bots.example.com",
            "https://",
            "https://user@bots.example.com",
            "https://bots.example.com#x",
            " https://bots.example.com",
            "https://bots.example.com/oauth/callback ",
            "https://bots.example.com/oauth\n/callback",
            "https://bots.example.com/oauth\u{a0}/callback",
        ] {
            assert_eq!(text.parse::<RedirectUri>(), Err(RedirectUriError), "{text:?}");
        }
    }
}
