//! A proxy between the store and its database, which loses messages on request.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What the proxy loses.
#[derive(Clone, Copy)]
#[repr(u8)]
pub(super) enum Loss {
    Nothing = 0,
    /// The next COMMIT, before the server gets it.
    Commit = 1,
    /// The reply to the next COMMIT.
    Reply = 2,
    /// All connections, old and new.
    Everything = 3,
}

/// A running proxy. It ends with the test.
#[derive(Clone)]
pub(super) struct Proxy {
    loss: Arc<AtomicU8>,
    address: SocketAddr,
}

impl Proxy {
    /// Starts a proxy in front of a port of this machine.
    pub(super) async fn start(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let loss = Arc::new(AtomicU8::new(Loss::Nothing as u8));
        let proxy = Self { loss, address };
        let running = proxy.clone();
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let proxy = running.clone();
                tokio::spawn(async move {
                    if !proxy.is(Loss::Everything) {
                        let _cut = proxy.forward(client, server).await;
                    }
                });
            }
        });
        proxy
    }

    pub(super) const fn port(&self) -> u16 {
        self.address.port()
    }

    /// Loses something from now on. The loss of a COMMIT happens once.
    pub(super) fn lose(&self, loss: Loss) {
        self.loss.store(loss as u8, Ordering::SeqCst);
    }

    fn is(&self, loss: Loss) -> bool {
        self.loss.load(Ordering::SeqCst) == loss as u8
    }

    /// Returns true once after [`lose`](Self::lose).
    fn takes(&self, loss: Loss) -> bool {
        let nothing = Loss::Nothing as u8;
        self.loss.compare_exchange(loss as u8, nothing, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    async fn forward(&self, mut client: TcpStream, server: u16) -> std::io::Result<()> {
        let mut server = TcpStream::connect(("127.0.0.1", server)).await?;
        let (mut asked, mut answered) = (vec![0; 64 << 10], vec![0; 64 << 10]);
        loop {
            tokio::select! {
                read = client.read(&mut asked) => {
                    let length = read?;
                    let is_commit = asked[..length].windows(7).any(|part| part == b"COMMIT\0");
                    if length == 0 || (is_commit && self.takes(Loss::Commit)) {
                        return Ok(());
                    }
                    server.write_all(&asked[..length]).await?;
                    if is_commit && self.takes(Loss::Reply) {
                        // The server has carried out the commit when it replies.
                        let _lost = server.read(&mut answered).await?;
                        return Ok(());
                    }
                }
                read = server.read(&mut answered) => {
                    let length = read?;
                    if length == 0 || self.is(Loss::Everything) {
                        return Ok(());
                    }
                    client.write_all(&answered[..length]).await?;
                }
            }
        }
    }
}
