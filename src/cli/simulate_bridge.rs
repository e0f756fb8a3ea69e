//! Where the bridge has to listen to be at the URL that `simulate --bridge` names.

use std::net::{Ipv4Addr, SocketAddr};

use url::{Host, Url};

/// The ports for the admin listener, the default first: one of three is free of bridge and simulator.
const ADMIN_PORTS: [u16; 3] = [9090, 9091, 9092];
/// `server.listen`, unless it is set.
const DEFAULT_PORT: u16 = 8080;

/// What the configuration of a bridge at a URL has in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BridgeAt {
    /// Scheme, host and port, without a slash behind.
    pub(super) url: String,
    /// `server.listen`.
    pub(super) listen: SocketAddr,
    /// Whether something in front of the bridge takes the calls, so that `server.public_url` is needed.
    pub(super) is_proxied: bool,
    /// `admin.listen`, where the default would be in the way.
    pub(super) admin: Option<SocketAddr>,
}

impl BridgeAt {
    /// For a bridge at `url`, beside a simulator at `simulator`.
    ///
    /// # Errors
    /// A bridge cannot be there; the text says why.
    pub(super) fn new(url: &Url, simulator: SocketAddr) -> Result<Self, String> {
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        let port = url.port_or_known_default().filter(|port| *port != 0);
        let nameless = url.username().is_empty() && url.password().is_none();
        let (Some(port), Some(host), true) = (port, url.host(), bare && nameless) else {
            return Err("--bridge must be scheme, host and port alone, like http://127.0.0.1:8080".to_owned());
        };
        let is_proxied = match url.scheme() {
            "https" => true,
            "http" => false,
            other => return Err(format!("--bridge cannot be {other}: use http or https")),
        };
        let listen: SocketAddr = match host {
            _ if is_proxied => (Ipv4Addr::LOCALHOST, DEFAULT_PORT).into(),
            Host::Ipv4(address) => (address, port).into(),
            Host::Ipv6(address) => (address, port).into(),
            Host::Domain("localhost") => (Ipv4Addr::LOCALHOST, port).into(),
            // Which of this machine's addresses has the name is not known here.
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
    fn a_bridge_listens_where_its_url_leads() {
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
            ("http://127.0.0.1:8080/bots", "scheme, host and port alone"),
            ("http://a:b@127.0.0.1:8080", "scheme, host and port alone"),
            ("http://127.0.0.1:8080/?a", "scheme, host and port alone"),
            ("http://127.0.0.1:0", "scheme, host and port alone"),
            ("ftp://127.0.0.1:8080", "use http or https"),
        ] {
            assert!(at(url).unwrap_err().contains(why), "{url}");
        }
    }
}
