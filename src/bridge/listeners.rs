//! The two sockets of a bridge.

use std::net::SocketAddr;

use tokio::net::TcpListener;

use crate::config::Config;

use super::Error;

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
            public: bind("server.listen", config.server.listen).await?,
            admin: bind("admin.listen", config.admin.listen).await?,
        })
    }
}

async fn bind(key: &'static str, address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address).await.map_err(|why| Error::Listen { key, address, why })
}
