//! How calls to Kommo leave this machine: through which proxy, with which certificates trusted, and to which addresses.

use std::fmt;
use std::path::PathBuf;

use url::Url;

/// How calls to Kommo leave this machine. By default: directly, with the system's certificates, to public addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outgoing {
    /// The proxy, if calls go through one.
    pub proxy: Option<Proxy>,
    /// Certificates that are trusted besides those of the system.
    pub authorities: Option<Authorities>,
    /// Whether a name on the allow-list may lead to a private address.
    pub allow_private_addresses: bool,
}

/// A proxy, and which hosts are called without it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// Where it is.
    pub url: ProxyUrl,
    /// Hosts that are called directly, as `NO_PROXY` lists them.
    pub except: Option<String>,
    /// The variable that names it; `None`: the configuration does.
    pub variable: Option<String>,
}

/// Certificates of a file.
#[derive(Clone, PartialEq, Eq)]
pub struct Authorities {
    /// The absolute path of the file.
    pub file: PathBuf,
    /// Each as DER.
    pub certificates: Vec<Vec<u8>>,
}

/// The address of a proxy, which may carry a user name and a password. It shows itself without them.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyUrl(Url);

impl ProxyUrl {
    /// What may be written: the end of the sentence "must be …".
    pub const ALLOWED: &'static str = "a URL of scheme, host and port like \"http://proxy.example:3128\", with http, https, socks5 or \
         socks5h, perhaps with user:password@ before the host; or \"env\"";

    /// Reads an address; `None` if it is not what is [allowed](Self::ALLOWED).
    pub fn read(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        let is_plain = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
        let is_proxy = matches!(url.scheme(), "http" | "https" | "socks5" | "socks5h");
        let has_host = url.host_str().is_some_and(|host| !host.is_empty());
        (is_proxy && is_plain && has_host).then_some(Self(url))
    }

    /// The address with its credentials.
    pub const fn with_credentials(&self) -> &Url {
        &self.0
    }

    /// Its host alone.
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// Whether the proxy gets the name of the host that is called, and so decides which address that leads to.
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
    /// `through the proxy http://proxy.example:3128, 2 more CAs of /etc/ca.pem are trusted`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.proxy {
            None => f.write_str("directly, without a proxy")?,
            Some(Proxy { url, except, variable }) => {
                write!(f, "through the proxy {url}")?;
                if let Some(variable) = variable {
                    write!(f, " of {variable}")?;
                }
                if except.is_some() {
                    f.write_str(" (not to the hosts of NO_PROXY)")?;
                }
            }
        }
        if let Some(Authorities { file, certificates }) = &self.authorities {
            write!(
                f,
                "; certificates trusted besides the system's: {} of {}",
                certificates.len(),
                file.display()
            )?;
        }
        let resolved_elsewhere = self.proxy.as_ref().is_some_and(|proxy| proxy.url.resolves_names());
        f.write_str(match (self.allow_private_addresses, resolved_elsewhere) {
            (true, _) => "; private addresses are allowed",
            (false, true) => "; the proxy decides which addresses names lead to",
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
    fn the_address_of_a_proxy_is_read_and_shown_without_its_credentials() {
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
    fn what_is_in_effect_is_one_line_without_secrets() {
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
                "through the proxy http://p:1 of HTTPS_PROXY (not to the hosts of NO_PROXY); certificates trusted besides \
                 the system's: 2 of /etc/ca.pem; the proxy decides which addresses names lead to",
            ),
            (
                Outgoing { proxy: proxy("socks5://p:1"), ..Outgoing::default() },
                "through the proxy socks5://p:1 of HTTPS_PROXY (not to the hosts of NO_PROXY); to public addresses only",
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
