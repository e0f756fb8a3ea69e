//! The hosts that may get a bearer token.
//!
//! A `return_url` comes from outside, and a person enters an account's base URL. Either may be wrong, and a token that goes
//! to the wrong host is leaked. The same rules apply when the bridge receives a request and before each call that it makes.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use url::{Host, Url};

mod allowed;

pub use allowed::AllowedHosts;

/// An entry of `delivery.allowed_hosts`: `example.kommo.com`, `*.kommo.com`, `127.0.0.1:8090`, `[::1]:8090`.
///
/// `*.` matches one or more labels, but not zero. Without a port, the entry matches the scheme's default port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPattern {
    any_subdomain: bool,
    host: String,
    port: Option<u16>,
}

impl FromStr for HostPattern {
    type Err = HostPatternError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || HostPatternError(text.to_owned());
        let (any_subdomain, rest) = match text.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        // The URL parser normalizes host and port, as it does for the URLs to compare.
        let url = Url::parse(&format!("https://{rest}/")).map_err(|_| refused())?;
        let host = url.host_str().ok_or_else(refused)?.to_owned();
        let only_host = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        let ip_with_star = any_subdomain && !matches!(url.host(), Some(Host::Domain(_)));
        if !only_host || rest.ends_with('/') || has_credentials(&url) || host.contains('*') || ip_with_star {
            return Err(refused());
        }
        let port = url.port().or_else(|| rest.ends_with(":443").then_some(443));
        Ok(Self { any_subdomain, host, port })
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.any_subdomain {
            f.write_str("*.")?;
        }
        f.write_str(&self.host)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// The text is not a [`HostPattern`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid host `{0}` (expected a host like `example.kommo.com`, `*.kommo.com` or `127.0.0.1:8090`)")]
pub struct HostPatternError(String);

/// The hosts that may get a bearer token: `delivery.allowed_hosts` and `delivery.insecure`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostRules {
    /// The allow-list; at least one entry must match.
    pub allowed: AllowedHosts,
    /// Allows `http`, IP literals and private addresses, for tests. The allow-list still applies.
    pub insecure: bool,
}

impl HostRules {
    /// Checks whether a bearer token may be sent to `url`.
    ///
    /// # Errors
    /// The first rule that `url` breaks.
    pub fn check(&self, url: &Url) -> Result<(), HostRefusal> {
        match url.scheme() {
            "https" => {}
            "http" if self.insecure => {}
            _ => return Err(HostRefusal::Scheme),
        }
        if has_credentials(url) {
            return Err(HostRefusal::Credentials);
        }
        // An IP literal needs no resolver, so only this check can refuse it.
        if !self.insecure && !matches!(url.host(), Some(Host::Domain(_))) {
            return Err(HostRefusal::IpLiteral);
        }
        if !self.allowed.matches(url) {
            return Err(HostRefusal::NotAllowed);
        }
        Ok(())
    }

    /// Whether the bridge may connect to `address`: with `insecure` to any address, otherwise only to public ones.
    pub fn permits_address(&self, address: IpAddr) -> bool {
        self.insecure || is_public_address(address)
    }
}

fn has_credentials(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

/// The reason why a bearer token may not be sent to a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostRefusal {
    /// The scheme is not `https`, nor `http` with `delivery.insecure`.
    #[error("its scheme is not https")]
    Scheme,
    /// The URL has credentials: `https://user:password@…`.
    #[error("it contains a user name or password")]
    Credentials,
    /// The host is an IP address instead of a name.
    #[error("its host is an IP address or missing")]
    IpLiteral,
    /// No entry of the allow-list matches the host and port.
    #[error("its host and port are not in delivery.allowed_hosts")]
    NotAllowed,
}

/// Whether the public Internet routes `address`: it is not loopback, private, link-local, shared, reserved, documentation
/// or multicast, nor an IPv6 form of such an IPv4 address.
pub fn is_public_address(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => embedded_v4(v6).map_or_else(|| is_public_v6(v6), is_public_v4),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || a == 0
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (b == 18 || b == 19))
        || a >= 224)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let first = address.segments()[0];
    // Only 2000::/3 is global unicast; 2001:db8::/32 in it is documentation.
    first & 0xe000 == 0x2000 && !(first == 0x2001 && address.segments()[1] == 0x0db8)
}

/// The IPv4 address inside a mapped (`::ffff:0:0/96`), translated (`64:ff9b::/96`) or 6to4 (`2002::/16`) address.
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let last_four = || {
        let [.., a, b, c, d] = address.octets();
        Ipv4Addr::new(a, b, c, d)
    };
    match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, _, _] | [0x64, 0xff9b, 0, 0, 0, 0, _, _] => Some(last_four()),
        [0x2002, high, low, ..] => {
            let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
            Some(Ipv4Addr::new(a, b, c, d))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
