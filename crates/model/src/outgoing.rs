//! How calls to Kommo leave this machine: the proxy, the trusted certificates, and the allowed addresses.

use std::fmt;
use std::path::PathBuf;

use url::Url;

/// How calls to Kommo leave this machine. The default: no proxy, only the system's certificates, and only public addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outgoing {
    /// The proxy; `None` to call Kommo directly.
    pub proxy: Option<Proxy>,
    /// Trusted certificates in addition to the system's.
    pub authorities: Option<Authorities>,
    /// Whether an allowed host name may resolve to a private address.
    pub allow_private_addresses: bool,
}

/// A proxy, and the hosts that are called without it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// The address of the proxy.
    pub url: ProxyUrl,
    /// Hosts to call directly, in the format of `NO_PROXY`.
    pub except: Option<String>,
    /// The environment variable that names the proxy; `None` if the configuration names it.
    pub variable: Option<String>,
}

/// Trusted certificates from a file.
#[derive(Clone, PartialEq, Eq)]
pub struct Authorities {
    /// The absolute path of the file.
    pub file: PathBuf,
    /// The certificates, in DER.
    pub certificates: Vec<Vec<u8>>,
}

/// The address of a proxy. It may contain a user name and a password; `Display` and `Debug` omit both.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyUrl(Url);

impl ProxyUrl {
    /// The allowed format, as the end of the sentence "must be …".
    pub const ALLOWED: &'static str = "a URL of scheme, host and port like \"http://proxy.example:3128\" (the scheme is http, https, \
         socks5 or socks5h; user:password@ may precede the host), or \"env\"";

    /// Parses an address; `None` if its format is not [allowed](Self::ALLOWED).
    pub fn read(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        let is_plain = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
        let is_proxy = matches!(url.scheme(), "http" | "https" | "socks5" | "socks5h");
        let has_host = url.host_str().is_some_and(|host| !host.is_empty());
        (is_proxy && is_plain && has_host).then_some(Self(url))
    }

    /// The address, credentials included.
    pub const fn with_credentials(&self) -> &Url {
        &self.0
    }

    /// The host.
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// Whether the proxy resolves host names, and so decides which address a call reaches.
    pub fn resolves_names(&self) -> bool {
        self.0.scheme() != "socks5"
    }
}

impl fmt::Display for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.0.scheme(), self.host())?;
        self.0.port().map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Outgoing {
    /// `through the proxy http://proxy.example:3128; also trusts 2 certificates from /etc/ca.pem; to public addresses only`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.proxy {
            None => f.write_str("directly, without a proxy")?,
            Some(Proxy { url, except, variable }) => {
                write!(f, "through the proxy {url}")?;
                if let Some(variable) = variable {
                    write!(f, " from {variable}")?;
                }
                if except.is_some() {
                    f.write_str(" (except to hosts in NO_PROXY)")?;
                }
            }
        }
        if let Some(Authorities { file, certificates }) = &self.authorities {
            write!(f, "; also trusts the certificates in {} ({})", file.display(), certificates.len())?;
        }
        let resolved_elsewhere = self.proxy.as_ref().is_some_and(|proxy| proxy.url.resolves_names());
        f.write_str(match (self.allow_private_addresses, resolved_elsewhere) {
            (true, _) => "; private addresses are allowed",
            (false, true) => "; the proxy resolves names, so private addresses are not filtered",
            (false, false) => "; to public addresses only",
        })
    }
}

impl fmt::Debug for Authorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, certificates } = self;
        f.debug_struct("Authorities").field("file", file).field("certificates", &certificates.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxy_url_is_shown_without_its_credentials() {
        for (text, shown) in [
            ("http://proxy.example:3128", "http://proxy.example:3128"),
            ("http://proxy.example:3128/", "http://proxy.example:3128"),
            ("https://user:hidden@proxy.example", "https://proxy.example"),
            ("socks5://10.0.0.1:1080", "socks5://10.0.0.1:1080"),
            ("socks5h://hidden@[::1]:1080", "socks5h://[::1]:1080"),
        ] {
            let read = ProxyUrl::read(text).unwrap_or_else(|| panic!("{text} was refused"));
            assert_eq!((read.to_string(), format!("{read:?}")), (shown.to_owned(), shown.to_owned()));
        }
        for text in [
            "",
            "env",
            "proxy.example:3128",
            "ftp://a",
            "http://",
            "socks5://",
            "http://a/path",
            "http://a?x",
            "http://a#x",
        ] {
            assert_eq!(ProxyUrl::read(text), None, "{text}");
        }
    }

    #[test]
    fn outgoing_is_shown_as_one_line_without_secrets() {
        let proxy = |text: &str| {
            let url = ProxyUrl::read(text).unwrap();
            Some(Proxy { url, except: Some("a".into()), variable: Some("HTTPS_PROXY".into()) })
        };
        let file = PathBuf::from("/etc/ca.pem");
        let authorities = Some(Authorities { file, certificates: vec![vec![0], vec![0]] });
        for (outgoing, text) in [
            (Outgoing::default(), "directly, without a proxy; to public addresses only"),
            (
                Outgoing { proxy: proxy("http://u:hidden@p:1"), authorities, allow_private_addresses: false },
                "through the proxy http://p:1 from HTTPS_PROXY (except to hosts in NO_PROXY); also trusts the certificates in \
                 /etc/ca.pem (2); the proxy resolves names, so private addresses are not filtered",
            ),
            (
                Outgoing { proxy: proxy("socks5://p:1"), ..Outgoing::default() },
                "through the proxy socks5://p:1 from HTTPS_PROXY (except to hosts in NO_PROXY); to public addresses only",
            ),
            (
                Outgoing { allow_private_addresses: true, ..Outgoing::default() },
                "directly, without a proxy; private addresses are allowed",
            ),
        ] {
            assert_eq!(outgoing.to_string(), text);
            assert!(!format!("{outgoing:?}").contains("hidden"));
        }
    }
}
