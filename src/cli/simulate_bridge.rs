//! The addresses that a bridge must listen on to be reached at the URL of `simulate --bridge`.

use std::net::{Ipv4Addr, SocketAddr};

use url::{Host, Url};

/// The ports for the admin listener, the default first. Bridge and simulator use at most two of them.
const ADMIN_PORTS: [u16; 3] = [9090, 9091, 9092];
/// The port of the default `server.listen`.
const DEFAULT_PORT: u16 = 8080;

/// The part of a configuration that depends on the bridge's URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BridgeAt {
    /// Scheme, host and port, without a trailing slash.
    pub(super) url: String,
    /// `server.listen`.
    pub(super) listen: SocketAddr,
    /// Whether a proxy forwards the calls to the bridge, so that it needs `server.public_url`.
    pub(super) is_proxied: bool,
    /// `admin.listen`; `None` if the default port is free.
    pub(super) admin: Option<SocketAddr>,
}

impl BridgeAt {
    /// Returns the addresses of a bridge at `url`, beside a simulator at `simulator`.
    ///
    /// # Errors
    /// A bridge cannot listen there. The text says why.
    pub(super) fn new(url: &Url, simulator: SocketAddr) -> Result<Self, String> {
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        let port = url.port_or_known_default().filter(|port| *port != 0);
        let no_user = url.username().is_empty() && url.password().is_none();
        let (Some(port), Some(host), true) = (port, url.host(), bare && no_user) else {
            return Err(
                "--bridge must consist of scheme, host and port, like http://127.0.0.1:8080".to_owned()
            );
        };
        let is_proxied = match url.scheme() {
            "https" => true,
            "http" => false,
            other => return Err(format!("--bridge has the unsupported scheme {other}: use http or https")),
        };
        let listen: SocketAddr = match host {
            _ if is_proxied => (Ipv4Addr::LOCALHOST, DEFAULT_PORT).into(),
            Host::Ipv4(address) => (address, port).into(),
            Host::Ipv6(address) => (address, port).into(),
            Host::Domain("localhost") => (Ipv4Addr::LOCALHOST, port).into(),
            // The name's address is unknown here, so the bridge listens on all of this machine's addresses.
            Host::Domain(_) => (Ipv4Addr::UNSPECIFIED, port).into(),
        };
        if listen == simulator {
            return Err(format!(
                "--bridge and --listen are both {listen}: choose another port for one of them"
            ));
        }
        let taken = [listen.port(), simulator.port()];
        let admin = ADMIN_PORTS.into_iter().find(|port| !taken.contains(port));
        let admin =
            admin.filter(|port| *port != ADMIN_PORTS[0]).map(|port| (Ipv4Addr::LOCALHOST, port).into());
        Ok(Self { url: url.as_str().trim_end_matches('/').to_owned(), listen, is_proxied, admin })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(url: &str) -> Result<BridgeAt, String> {
        BridgeAt::new(&url.parse().unwrap(), "127.0.0.1:8090".parse().unwrap())
    }

    #[test]
    fn a_bridge_listens_at_the_address_of_its_url() {
        for (url, listen, is_proxied, admin) in [
            ("http://127.0.0.1:8080", "127.0.0.1:8080", false, None),
            ("http://127.0.0.1:9001/", "127.0.0.1:9001", false, None),
            ("http://127.0.0.1", "127.0.0.1:80", false, None),
            ("http://localhost:9090", "127.0.0.1:9090", false, Some("127.0.0.1:9091")),
            ("http://[::1]:9002", "[::1]:9002", false, None),
            ("http://192.0.2.7:9003", "192.0.2.7:9003", false, None),
            ("http://bridge:8080", "0.0.0.0:8080", false, None),
            ("https://bots.example.com", "127.0.0.1:8080", true, None),
        ] {
            let expected = BridgeAt {
                url: url.trim_end_matches('/').to_owned(),
                listen: listen.parse().unwrap(),
                is_proxied,
                admin: admin.map(|admin| admin.parse().unwrap()),
            };
            assert_eq!(at(url), Ok(expected), "{url}");
        }
        for (url, why) in [
            ("http://127.0.0.1:8090", "--bridge and --listen are both 127.0.0.1:8090"),
            ("http://127.0.0.1:8080/bots", "consist of scheme, host and port"),
            ("http://a:b@127.0.0.1:8080", "consist of scheme, host and port"),
            ("http://127.0.0.1:8080/?a", "consist of scheme, host and port"),
            ("http://127.0.0.1:0", "consist of scheme, host and port"),
            ("ftp://127.0.0.1:8080", "use http or https"),
        ] {
            assert!(at(url).unwrap_err().contains(why), "{url}");
        }
    }
}
