//! The receiver of continues: checks path and bearer, records the continue, and responds.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::http;
use super::ledger::Ledger;
use super::token::random_hex;

/// The delay after a failed accept.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(20);
/// The initial size of the read buffer, enough for an ordinary continue with its head.
const USUAL_REQUEST_BYTES: usize = 2048;

/// The Kommo account that a sink plays.
#[derive(Clone)]
pub struct Account {
    /// The account's id, claim `account_id`.
    pub id: i64,
    /// The account's name, claim `subdomain`.
    pub subdomain: String,
    /// The bearer that its continues must have.
    pub access_token: String,
}

impl Account {
    /// A made-up account, with a new token in each run.
    #[must_use]
    pub fn numbered(number: u32) -> Self {
        Self {
            id: 31_000_000 + i64::from(number),
            subdomain: format!("load{number}"),
            access_token: random_hex(),
        }
    }
}

/// How a sink treats continues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// Counts them and responds with 202, after `delay`.
    Accept {
        /// The latency of the response.
        delay: Duration,
    },
    /// Responds with this status, and does not count them as continues.
    Refuse {
        /// The status, like 503.
        status: u16,
        /// The value of the header `Retry-After`, in seconds.
        retry_after: Option<u32>,
    },
    /// Reads them and never responds.
    Hang,
    /// Does not listen on the port.
    Down,
}

impl Behaviour {
    /// Responds with 202 at once.
    pub const ACCEPT: Self = Self::Accept { delay: Duration::ZERO };

    /// Whether a switch to or from this behaviour closes all connections.
    fn closes_connections(self) -> bool {
        matches!(self, Self::Hang | Self::Down)
    }
}

/// A port that receives the continues of one account. Dropping it closes the port and its connections.
pub struct Sink {
    shared: Arc<Shared>,
    behaviour: watch::Sender<Behaviour>,
    /// `None` if nothing listens.
    task: Option<tokio::task::JoinHandle<()>>,
}

struct Shared {
    address: SocketAddr,
    origin: String,
    account: Account,
    /// The expected header `Authorization`: `Bearer …`.
    authorization: String,
    expected: RwLock<Vec<Arc<Ledger>>>,
    strange: AtomicUsize,
    refused: AtomicUsize,
}

impl Sink {
    /// Listens on this address and starts to accept continues.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub async fn start(listen: SocketAddr, account: Account) -> io::Result<Self> {
        Self::start_as(None, listen, account).await
    }

    /// The same as [`start`](Self::start), with `origin` as the account's `base_url`, like `http://localhost:8090`.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub async fn start_as(origin: Option<String>, listen: SocketAddr, account: Account) -> io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let origin = origin.unwrap_or_else(|| format!("http://{address}"));
        let shared = Arc::new(Shared::new(address, origin, account));
        let (behaviour, receiver) = watch::channel(Behaviour::ACCEPT);
        let task = Some(tokio::spawn(listen_on(listener, shared.clone(), receiver)));
        Ok(Self { shared, behaviour, task })
    }

    /// An account at `origin` whose continues cannot arrive, because nothing listens there. For requests whose account the
    /// bridge has no token for.
    #[must_use]
    pub fn absent(origin: String, account: Account) -> Self {
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        let shared = Arc::new(Shared::new(nowhere, origin, account));
        let (behaviour, _no_one_listens) = watch::channel(Behaviour::Down);
        Self { shared, behaviour, task: None }
    }

    /// The account's `base_url`: `http://127.0.0.1:PORT`, unless started with another origin.
    #[must_use]
    pub fn origin(&self) -> String {
        self.shared.origin.clone()
    }

    /// The account that it plays.
    #[must_use]
    pub fn account(&self) -> &Account {
        &self.shared.account
    }

    /// Sets how the sink treats continues.
    ///
    /// A switch to or from [`Hang`](Behaviour::Hang) or [`Down`](Behaviour::Down) closes all connections. If that loses
    /// the response to a continue, the bridge may rightly send the continue again.
    pub fn behave(&self, behaviour: Behaviour) {
        self.behaviour.send_replace(behaviour);
    }

    /// The number of unexpected calls: not a continue of an expected request, or without the right bearer. They got
    /// 401 or 404.
    #[must_use]
    pub fn strange(&self) -> usize {
        self.shared.strange.load(Relaxed)
    }

    /// The number of continues that were refused or not answered because of the [`Behaviour`].
    #[must_use]
    pub fn refused(&self) -> usize {
        self.shared.refused.load(Relaxed)
    }

    pub(super) fn expect(&self, ledger: Arc<Ledger>) {
        self.shared.expected.write().unwrap_or_else(PoisonError::into_inner).push(ledger);
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

async fn listen_on(listener: TcpListener, shared: Arc<Shared>, mut receiver: watch::Receiver<Behaviour>) {
    let mut behaviour = *receiver.borrow_and_update();
    // The sink may be down from the start. It must then close the port, because the kernel completes connections to a
    // listening port even if the process does not accept them.
    let mut listener = Some(listener).filter(|_| behaviour != Behaviour::Down);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            changed = receiver.changed() => {
                if changed.is_err() {
                    return;
                }
                let before = std::mem::replace(&mut behaviour, *receiver.borrow_and_update());
                if before != behaviour && (before.closes_connections() || behaviour.closes_connections()) {
                    connections.shutdown().await;
                }
                if behaviour == Behaviour::Down {
                    listener = None;
                }
            }
            accepted = accept(&mut listener, shared.address), if behaviour != Behaviour::Down => {
                connections.spawn(connection(accepted, shared.clone(), receiver.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Accepts the next connection. Binds the port first if it is closed.
async fn accept(listener: &mut Option<TcpListener>, address: SocketAddr) -> TcpStream {
    loop {
        let accepted = match listener {
            Some(listener) => listener.accept().await.map(|(stream, _)| stream),
            None => match TcpListener::bind(address).await {
                Ok(bound) => {
                    *listener = Some(bound);
                    continue;
                }
                Err(error) => Err(error),
            },
        };
        match accepted {
            Ok(stream) => return stream,
            // The port is still in use, or there are no free file descriptors. Both are temporary.
            Err(_) => tokio::time::sleep(ACCEPT_RETRY_DELAY).await,
        }
    }
}

/// Serves a connection until the peer closes it.
async fn connection(mut stream: TcpStream, shared: Arc<Shared>, receiver: watch::Receiver<Behaviour>) {
    // Failure only costs speed.
    let _slower = stream.set_nodelay(true);
    let (mut input, mut output) = (Vec::with_capacity(USUAL_REQUEST_BYTES), Vec::new());
    while matches!(stream.read_buf(&mut input).await, Ok(1..)) {
        output.clear();
        let mut done = 0;
        let mut delay = Duration::ZERO;
        loop {
            let Ok(head) = http::read(&input[done..]) else { return };
            let Some(head) = head else { break };
            let behaviour = *receiver.borrow();
            delay = match shared.handle(&head, behaviour, &mut output) {
                Some(longer) => delay.max(longer),
                // Hangs until the connection is closed.
                None => std::future::pending().await,
            };
            done += head.end;
        }
        input.drain(..done);
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        if stream.write_all(&output).await.is_err() {
            return;
        }
    }
}

impl Shared {
    fn new(address: SocketAddr, origin: String, account: Account) -> Self {
        Self {
            address,
            origin,
            authorization: format!("Bearer {}", account.access_token),
            account,
            expected: RwLock::default(),
            strange: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
        }
    }

    /// Records a request and writes its response to `output`. Returns the latency of the response; `None` if there is
    /// no response.
    fn handle(&self, head: &http::Head<'_>, behaviour: Behaviour, output: &mut Vec<u8>) -> Option<Duration> {
        let found = continue_id(head.line).and_then(|id| self.find(id));
        let authorized = head.authorization == self.authorization;
        let Some((ledger, index)) = found.filter(|_| authorized) else {
            self.strange.fetch_add(1, Relaxed);
            write(output, if authorized { 404 } else { 401 }, None);
            return Some(Duration::ZERO);
        };
        match behaviour {
            Behaviour::Accept { delay } => {
                ledger.note_continued(index, Instant::now());
                output.extend_from_slice(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n");
                Some(delay)
            }
            Behaviour::Refuse { status, retry_after } => {
                self.refused.fetch_add(1, Relaxed);
                write(output, status, retry_after);
                Some(Duration::ZERO)
            }
            Behaviour::Hang | Behaviour::Down => {
                self.refused.fetch_add(1, Relaxed);
                None
            }
        }
    }

    fn find(&self, id: u64) -> Option<(Arc<Ledger>, usize)> {
        let expected = self.expected.read().unwrap_or_else(PoisonError::into_inner);
        expected.iter().rev().find_map(|ledger| Some((ledger.clone(), ledger.index(id)?)))
    }
}

/// The id in the request line `POST /api/v4/salesbot/{bot}/continue/{id} HTTP/1.1`.
fn continue_id(line: &str) -> Option<u64> {
    let path = line.strip_prefix("POST /api/v4/salesbot/")?.strip_suffix(" HTTP/1.1")?;
    let (_bot, id) = path.split_once("/continue/")?;
    id.parse().ok()
}

fn write(output: &mut Vec<u8>, status: u16, retry_after: Option<u32>) {
    let retry_after = retry_after.map(|seconds| format!("retry-after: {seconds}\r\n")).unwrap_or_default();
    let head = format!("HTTP/1.1 {status} Refused\r\n{retry_after}content-length: 0\r\n\r\n");
    output.extend_from_slice(head.as_bytes());
}
