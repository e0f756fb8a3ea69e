//! The two sockets of a bridge.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket};

use crate::config::Config;

use super::Error;

/// Connections that may wait to be accepted; the system may allow fewer. The usual 128 are too few for a burst of bots
/// while the machine is busy. A client that finds the queue full retries after one second, and Kommo waits only two.
const ACCEPT_BACKLOG: u32 = 4096;

/// The listening sockets of a bridge.
#[derive(Debug)]
pub struct Listeners {
    /// The listener that Kommo calls.
    pub public: TcpListener,
    /// The listener for health, metrics and the API.
    pub admin: TcpListener,
}

impl Listeners {
    /// Opens `server.listen` and `admin.listen`.
    ///
    /// # Errors
    /// A listener cannot be opened. The error names its key.
    pub async fn bind(config: &Config) -> Result<Self, Error> {
        Ok(Self {
            public: bind("server.listen", config.server.listen)?,
            admin: bind("admin.listen", config.admin.listen)?,
        })
    }
}

fn bind(key: &'static str, address: SocketAddr) -> Result<TcpListener, Error> {
    listen(address).map_err(|source| Error::Listen { key, address, source })
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Allows the bridge to reuse a port at once while its old connections are still closing.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(ACCEPT_BACKLOG)
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;
    use std::time::{Duration, Instant};

    use super::*;

    #[tokio::test]
    async fn a_burst_of_connections_fits_into_the_accept_queue() {
        let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let begun = Instant::now();
        // The test never accepts. A connection that finds the queue full takes at least a second.
        let limit = Duration::from_secs(30);
        let waiting: Vec<_> =
            (0..500).map(|_| TcpStream::connect_timeout(&address, limit).unwrap()).collect();
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        drop(waiting);
    }
}
