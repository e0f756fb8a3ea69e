//! The address that Kommo will call. Refuses addresses that Kommo cannot reach: with such an address, a bot
//! would leave its customer waiting, and no error would appear anywhere.

use std::fmt;

use url::{Host, Url};

use model::{HandlerName, is_path_prefix};

/// The maximum length of the address, in bytes.
const MAX_URL_BYTES: usize = 2_000;

/// Domains that do not exist on the Internet: reserved ones, and those of private networks.
const PRIVATE: [&str; 10] = [
    "localhost",
    "local",
    "localdomain",
    "internal",
    "intranet",
    "lan",
    "home.arpa",
    "test",
    "invalid",
    "example",
];

/// The address of a bridge's handler, like `https://bridge.example.com/widget_request/greet`. The path may have a prefix
/// before `/widget_request/`, that of `server.public_url`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BridgeUrl {
    url: Url,
    handler: HandlerName,
}

impl BridgeUrl {
    /// Parses an address that Kommo can call. `insecure` also allows `http` and any host, for tests with a simulated
    /// Kommo on this machine.
    ///
    /// # Errors
    /// The first rule that the address breaks. The error never quotes the address, which may contain a password.
    pub fn parse(text: &str, insecure: bool) -> Result<Self, BridgeUrlError> {
        let url = Url::parse(text.trim()).map_err(BridgeUrlError::NoUrl)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(BridgeUrlError::Credentials);
        }
        match url.scheme() {
            "https" => {}
            "http" if insecure => {}
            _ => return Err(BridgeUrlError::Scheme),
        }
        if url.fragment().is_some() || url.query().is_some() {
            return Err(BridgeUrlError::Behind);
        }
        if !insecure {
            check_host(url.host())?;
        }
        let handler = url
            .path()
            .rsplit_once("/widget_request/")
            .filter(|(prefix, _)| is_path_prefix(prefix))
            .and_then(|(_, name)| name.parse().ok())
            .ok_or(BridgeUrlError::Path)?;
        if url.as_str().len() > MAX_URL_BYTES {
            return Err(BridgeUrlError::Long);
        }
        Ok(Self { url, handler })
    }

    /// The handler in the address.
    pub const fn handler(&self) -> &HandlerName {
        &self.handler
    }

    /// The normalized address, as in the script.
    pub fn as_str(&self) -> &str {
        self.url.as_str()
    }

    /// Scheme, host and port: `https://bridge.example.com`.
    pub fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }
}

impl fmt::Display for BridgeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn check_host(host: Option<Host<&str>>) -> Result<(), BridgeUrlError> {
    let Some(Host::Domain(name)) = host else { return Err(BridgeUrlError::Address) };
    let name = name.strip_suffix('.').unwrap_or(name);
    let private = PRIVATE.iter().any(|private| {
        name.strip_suffix(private).is_some_and(|before| before.is_empty() || before.ends_with('.'))
    });
    if private || !name.contains('.') {
        return Err(BridgeUrlError::Private);
    }
    Ok(())
}

/// Why Kommo cannot call an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BridgeUrlError {
    /// It is not a URL.
    #[error("is not a URL ({0}): write it in full, like https://bridge.example.com/widget_request/greet")]
    NoUrl(url::ParseError),
    /// It has neither `https` nor, if allowed, `http`.
    #[error(
        "must begin with https://: Kommo sends a token with each call (--insecure allows http, for tests)"
    )]
    Scheme,
    /// It has an IP address instead of a host name.
    #[error("must have a host name, not an IP address (--insecure allows it, for tests)")]
    Address,
    /// It has a host name of this machine or a private network.
    #[error(
        "must have a host that Kommo can reach on the Internet: this name belongs to a private network \
         (--insecure allows it, for tests)"
    )]
    Private,
    /// It has a user name or password: `https://user:password@…`.
    #[error("must not contain a user name or password: anyone who edits the bot could read it")]
    Credentials,
    /// It has a query or fragment.
    #[error("must end with the handler's name: remove the `?` or `#` and everything after it")]
    Behind,
    /// Its path is not that of a handler.
    #[error(
        "must end in /widget_request/HANDLER, where HANDLER is 1 to 64 ASCII letters, digits, `-` or `_`"
    )]
    Path,
    /// It is too long.
    #[error("is longer than {MAX_URL_BYTES} bytes: use a shorter address")]
    Long,
}

#[cfg(test)]
mod tests {
    use super::BridgeUrlError::{Address, Behind, Credentials, Path, Private, Scheme};
    use super::*;

    #[test]
    fn reachable_addresses_are_accepted_and_normalized() {
        for (text, taken) in [
            (
                "https://bridge.example.com/widget_request/greet",
                "https://bridge.example.com/widget_request/greet",
            ),
            (
                "  HTTPS://Bridge.Example.com:443/widget_request/a-B_9 ",
                "https://bridge.example.com/widget_request/a-B_9",
            ),
            (
                "https://bots.example.com:8443/widget_request/echo",
                "https://bots.example.com:8443/widget_request/echo",
            ),
            (
                "https://мост.example.com/widget_request/echo",
                "https://xn--l1aeje.example.com/widget_request/echo",
            ),
            (
                "https://local.example.com/widget_request/echo",
                "https://local.example.com/widget_request/echo",
            ),
            (
                "https://bridge.example.com/x/bots/widget_request/echo",
                "https://bridge.example.com/x/bots/widget_request/echo",
            ),
            ("https://mylocal.com/widget_request/echo", "https://mylocal.com/widget_request/echo"),
        ] {
            let url = BridgeUrl::parse(text, false).unwrap();
            assert_eq!(url.as_str(), taken);
            assert!(taken.ends_with(url.handler().as_str()));
        }
        let url = BridgeUrl::parse("https://bots.example.com:8443/widget_request/echo", false).unwrap();
        assert_eq!(
            (url.origin().as_str(), url.handler().as_str()),
            ("https://bots.example.com:8443", "echo")
        );
    }

    #[test]
    fn unreachable_addresses_are_refused_with_the_reason() {
        let cases: &[(&str, BridgeUrlError)] = &[
            ("http://bridge.example.com/widget_request/a", Scheme),
            ("ftp://bridge.example.com/widget_request/a", Scheme),
            ("javascript:alert(1)", Scheme),
            ("https://203.0.113.7/widget_request/a", Address),
            ("https://8.8.8.8/widget_request/a", Address),
            ("https://2130706433/widget_request/a", Address),
            ("https://0x7f.1/widget_request/a", Address),
            ("https://[::1]/widget_request/a", Address),
            ("https://[::ffff:127.0.0.1]/widget_request/a", Address),
            ("https://localhost/widget_request/a", Private),
            ("https://localhost:8080/widget_request/a", Private),
            ("https://LOCALHOST./widget_request/a", Private),
            ("https://a.localhost/widget_request/a", Private),
            ("https://bridge/widget_request/a", Private),
            ("https://bridge./widget_request/a", Private),
            ("https://bridge.local/widget_request/a", Private),
            ("https://bridge.corp.internal/widget_request/a", Private),
            ("https://nas.lan/widget_request/a", Private),
            ("https://nas.home.arpa/widget_request/a", Private),
            ("https://bridge.test/widget_request/a", Private),
            ("https://user@bridge.example.com/widget_request/a", Credentials),
            ("https://user:secret@bridge.example.com/widget_request/a", Credentials),
            ("http://:secret@bridge.example.com/widget_request/a", Credentials),
            ("https://bridge.example.com/widget_request/a#top", Behind),
            ("https://bridge.example.com/widget_request/a?b=c", Behind),
            ("https://bridge.example.com", Path),
            ("https://bridge.example.com/", Path),
            ("https://bridge.example.com/widget_request", Path),
            ("https://bridge.example.com/widget_request/", Path),
            ("https://bridge.example.com/widget_request/a/", Path),
            ("https://bridge.example.com/widget_request/a/b", Path),
            ("https://bridge.example.com/Widget_request/a", Path),
            ("https://bridge.example.com/widget_request/widget_request/a", Path),
            ("https://bridge.example.com/oauth/widget_request/a", Path),
            ("https://bridge.example.com/x//widget_request/a", Path),
            ("https://bridge.example.com/widget_request/%61", Path),
            ("https://bridge.example.com/widget_request/a b", Path),
        ];
        for (text, refusal) in cases {
            assert_eq!(BridgeUrl::parse(text, false), Err(*refusal), "{text}");
        }
        for text in
            ["", "greet", "bridge.example.com/widget_request/a", "https://", "https://a b/widget_request/a"]
        {
            let refused = BridgeUrl::parse(text, false);
            assert!(matches!(refused, Err(BridgeUrlError::NoUrl(_))), "{text}: {refused:?}");
        }
        let endless = format!("https://{}com/widget_request/a", "label.".repeat(400));
        assert!(BridgeUrl::parse(&endless, false).is_err());
    }

    #[test]
    fn insecure_lifts_only_the_rules_for_scheme_and_host() {
        for text in [
            "http://127.0.0.1:8080/widget_request/a",
            "http://[::1]/widget_request/a",
            "https://nas.lan/widget_request/a",
        ] {
            assert!(BridgeUrl::parse(text, true).is_ok(), "{text}");
        }
        for (text, refusal) in [
            ("ws://127.0.0.1/widget_request/a", Scheme),
            ("http://u:p@127.0.0.1/widget_request/a", Credentials),
            ("http://127.0.0.1/widget_request/a#b", Behind),
            ("http://127.0.0.1/other/a", Path),
        ] {
            assert_eq!(BridgeUrl::parse(text, true), Err(refusal), "{text}");
        }
    }

    #[test]
    fn refusal_does_not_quote_the_address() {
        for text in ["https://user:hunter2@bridge.example.com/widget_request/a", "https://a b:hunter2@"] {
            let refused = BridgeUrl::parse(text, false).unwrap_err();
            assert!(!refused.to_string().contains("hunter2"), "{refused}");
        }
    }
}
