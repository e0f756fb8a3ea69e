//! The value at fault in a refused request, for its log line: shortened and escaped, and never a token or a body.

use url::Url;

use crate::terminal;

/// The maximum length of an excerpt in a log line. Host names and ids are shorter.
const MAX_EXCERPT_CHARS: usize = 100;

/// A value from outside that caused a refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FaultyValue {
    /// The handler in the path.
    Handler(String),
    /// The token's `client_uuid`.
    ClientUuid(String),
    /// All values of the token's `aud`.
    Audience(String),
    /// The host of the `return_url`.
    Host(String),
    /// The header `Content-Encoding`.
    Encoding(String),
}

impl FaultyValue {
    /// Returns host and port of a refused `return_url`; `None` if it has no host.
    pub(super) fn host_of(return_url: &str) -> Option<Self> {
        let url = Url::parse(return_url).ok()?;
        let host = url.host_str()?;
        Some(Self::Host(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))))
    }

    /// Returns its text for the log.
    pub(super) fn text(&self) -> String {
        // Someone may have put a callback's token in its place.
        if let Self::Handler(text) = self {
            return terminal::path_segment(text, MAX_EXCERPT_CHARS);
        }
        let (Self::Handler(text)
        | Self::ClientUuid(text)
        | Self::Audience(text)
        | Self::Host(text)
        | Self::Encoding(text)) = self;
        terminal::excerpt(text, MAX_EXCERPT_CHARS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_host_of_a_return_url_is_logged() {
        for (url, host) in [
            ("https://evil.example.com/api/v4/salesbot/1/continue/2?secret=1", Some("evil.example.com")),
            ("https://user:secret@evil.example.com:8443/secret", Some("evil.example.com:8443")),
            ("secret", None),
            ("mailto:secret@evil.example.com", None),
        ] {
            assert_eq!(
                FaultyValue::host_of(url),
                host.map(|host| FaultyValue::Host(host.to_owned())),
                "{url}"
            );
        }
        let long = FaultyValue::Handler(format!("a\n{}", "x".repeat(200))).text();
        assert!(long.starts_with("a\\u000ax") && long.chars().count() <= MAX_EXCERPT_CHARS + 6, "{long}");
    }
}
