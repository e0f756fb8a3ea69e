//! What a refused request named, for the one line that the log has for it: never a token or a body, cut and escaped.

use url::Url;

use crate::terminal;

/// The longest text of a line. Host names and ids are shorter.
const LONGEST: usize = 100;

/// A name from outside that shows why a request was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// The handler that the path names.
    Handler(String),
    /// The token's `client_uuid`.
    ClientUuid(String),
    /// The token's `aud`, all of them.
    Audience(String),
    /// The host of the `return_url`.
    Host(String),
    /// The header `Content-Encoding`.
    Encoding(String),
}

impl Seen {
    /// The host and port of a `return_url` that was refused; none if it has no host.
    pub(super) fn host_of(return_url: &str) -> Option<Self> {
        let url = Url::parse(return_url).ok()?;
        let host = url.host_str()?;
        Some(Self::Host(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))))
    }

    /// Its text for the log.
    pub(super) fn text(&self) -> String {
        let (Self::Handler(text)
        | Self::ClientUuid(text)
        | Self::Audience(text)
        | Self::Host(text)
        | Self::Encoding(text)) = self;
        terminal::excerpt(text, LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_return_url_the_host_alone_is_seen() {
        for (url, host) in [
            ("https://evil.example.com/api/v4/salesbot/1/continue/2?secret=1", Some("evil.example.com")),
            ("https://user:secret@evil.example.com:8443/secret", Some("evil.example.com:8443")),
            ("secret", None),
            ("mailto:secret@evil.example.com", None),
        ] {
            assert_eq!(Seen::host_of(url), host.map(|host| Seen::Host(host.to_owned())), "{url}");
        }
        let long = Seen::Handler(format!("a\n{}", "x".repeat(200))).text();
        assert!(long.starts_with("a\\u000ax") && long.chars().count() <= LONGEST + 6, "{long}");
    }
}
