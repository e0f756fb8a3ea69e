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
    /// A listener cannot be opened. The error names its key and what to do.
    pub async fn bind(config: &Config) -> Result<Self, Error> {
        BoundPorts::of(config)?.listen()
    }
}

/// The ports of a bridge, bound but not open: a caller is refused until the bridge is ready to serve it.
pub(super) struct BoundPorts {
    public: BoundPort,
    admin: BoundPort,
}

struct BoundPort {
    key: &'static str,
    address: SocketAddr,
    socket: TcpSocket,
}

impl BoundPorts {
    /// Binds `server.listen` and `admin.listen`.
    ///
    /// # Errors
    /// An address is in use or not available.
    pub(super) fn of(config: &Config) -> Result<Self, Error> {
        Ok(Self {
            public: BoundPort::new("server.listen", config.server.listen)?,
            admin: BoundPort::new("admin.listen", config.admin.listen)?,
        })
    }

    /// Opens the ports.
    ///
    /// # Errors
    /// Another process has opened one of them in the meantime.
    pub(super) fn listen(self) -> Result<Listeners, Error> {
        Ok(Listeners { public: self.public.listen()?, admin: self.admin.listen()? })
    }
}

impl BoundPort {
    fn new(key: &'static str, address: SocketAddr) -> Result<Self, Error> {
        let socket = bound(address).map_err(|source| Error::Listen { key, address, source })?;
        Ok(Self { key, address, socket })
    }

    fn listen(self) -> Result<TcpListener, Error> {
        let Self { key, address, socket } = self;
        socket.listen(ACCEPT_BACKLOG).map_err(|source| Error::Listen { key, address, source })
    }
}

fn bound(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Allows the bridge to reuse a port at once while its old connections are still closing.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;
    use std::time::{Duration, Instant};

    use super::*;

    #[tokio::test]
    async fn a_burst_of_connections_fits_into_the_accept_queue() {
        let listener =
            BoundPort::new("server.listen", "127.0.0.1:0".parse().unwrap()).unwrap().listen().unwrap();
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
