//! The two sockets of a bridge.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket};

use crate::config::Config;

use super::Error;

/// Connections that may wait to be accepted; the system may allow fewer. The usual 128 are used up by a burst of bots while
/// the machine is busy for a moment; then the next ones try again a second later, and Kommo waits for two.
const ACCEPT_BACKLOG: u32 = 4096;

/// The sockets that a bridge answers on.
#[derive(Debug)]
pub struct Listeners {
    /// What Kommo calls.
    pub public: TcpListener,
    /// Health, metrics, API.
    pub admin: TcpListener,
}

impl Listeners {
    /// Opens `server.listen` and `admin.listen`.
    ///
    /// # Errors
    /// One of them cannot be opened; the error names the key.
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
    // A port whose last connections are still being closed may be used again at once.
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
    async fn a_burst_waits_in_the_queue_and_does_not_come_a_second_later() {
        let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let begun = Instant::now();
        // Nobody accepts; one that finds no room would not be connected before a second has passed.
        let limit = Duration::from_secs(30);
        let waiting: Vec<_> =
            (0..500).map(|_| TcpStream::connect_timeout(&address, limit).unwrap()).collect();
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        drop(waiting);
    }
}
