//! Slow, idle and too many connections, over real sockets.

mod crowd;

use std::net::SocketAddr;

use axum::Router;
use axum::routing::{get, post};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

use super::*;
use model::clock::Clock;

/// Long enough that no healthy request reaches it, even on a busy machine.
const LONG_TIMEOUT: Duration = Duration::from_secs(60);
/// Short enough to wait for.
const SHORT_TIMEOUT: Duration = Duration::from_millis(50);

struct Running {
    address: SocketAddr,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

/// Creates options with this maximum of connections.
pub(super) fn options(max_connections: usize, read_timeout: Duration) -> ListenerOptions {
    let limits = ConnectionLimits { max_connections, read_timeout };
    ListenerOptions::new("test", limits, LogLimiter::new("a test", Clock::system()))
}

impl Running {
    async fn start(router: Router, max_connections: usize, read_timeout: Duration) -> Self {
        Self::start_with(router, options(max_connections, read_timeout)).await
    }

    async fn start_with(router: Router, options: ListenerOptions) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(serve(listener, router, options, shutdown.clone()));
        Self { address, shutdown, task }
    }

    async fn send(&self, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        stream
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap();
    }
}

fn hello() -> Router {
    Router::new().route("/", get(async || "hello"))
}

/// Fails the test if the result does not arrive in time.
async fn in_time<T>(comes: impl Future<Output = T>) -> T {
    tokio::time::timeout(LONG_TIMEOUT / 2, comes).await.expect("it does not arrive")
}

/// Reads everything that the peer sends until it closes the connection.
async fn until_closed(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    in_time(stream.read_to_end(&mut text)).await.unwrap();
    String::from_utf8(text).unwrap()
}

/// Reads one response, which ends with `ending`, of a connection that stays open.
async fn until(stream: &mut TcpStream, ending: &str) -> String {
    let mut text = Vec::new();
    while !text.ends_with(ending.as_bytes()) {
        text.push(in_time(stream.read_u8()).await.unwrap());
    }
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn a_slow_head_closes_the_connection() {
    let running = Running::start(hello(), 10, SHORT_TIMEOUT).await;
    for head in ["", "GE", "GET / HTTP/1.1\r\nhost: a\r\nx-slow: "] {
        let mut stream = running.send(head).await;
        assert_eq!(until_closed(&mut stream).await, "", "{head:?}");
    }
    running.stop().await;
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_the_timeout() {
    let running = Running::start(hello(), 10, SHORT_TIMEOUT).await;
    let mut stream = running.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(until_closed(&mut stream).await.starts_with("HTTP/1.1 200"));
    running.stop().await;
}

#[tokio::test]
async fn a_peer_that_does_not_read_is_disconnected() {
    let big = Router::new().route("/", get(async || vec![b'x'; 64 * 1024 * 1024]));
    let running = Running::start(big, 10, SHORT_TIMEOUT).await;
    let mut stream = running.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    stream.read_u8().await.unwrap();
    // If the connection were not closed, this would wait for the response to be read.
    running.stop().await;
}

#[tokio::test]
async fn shutdown_lets_requests_finish_and_closes_idle_connections() {
    let (began, mut begun) = mpsc::channel::<()>(1);
    let release = Arc::new(Notify::new());
    let slow = {
        let release = Arc::clone(&release);
        get(async move || {
            began.send(()).await.unwrap();
            release.notified().await;
            "finished"
        })
    };
    let running = Running::start(hello().route("/slow", slow), 10, LONG_TIMEOUT).await;
    let mut silent = running.send("").await;
    let mut idle = running.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    until(&mut idle, "hello").await;
    let mut busy = running.send("GET /slow HTTP/1.1\r\nhost: a\r\n\r\n").await;
    begun.recv().await.unwrap();

    running.shutdown.cancel();
    assert_eq!(until_closed(&mut idle).await, "");
    assert_eq!(until_closed(&mut silent).await, "");
    assert!(TcpStream::connect(running.address).await.is_err(), "it still accepts");
    assert!(!running.task.is_finished());
    release.notify_one();
    assert!(until_closed(&mut busy).await.ends_with("finished"));
    running.task.await.unwrap();
}

#[tokio::test]
async fn a_panic_gets_a_500() {
    let router = Router::new().route("/", post(async || panic!("as a test wants") as ()));
    let running = Running::start(router, 10, LONG_TIMEOUT).await;
    let mut stream =
        running.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
    let answer = until_closed(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 500") && answer.contains("application/problem+json"), "{answer}");
    assert!(!answer.contains("as a test wants"));
    running.stop().await;
}

#[test]
fn only_accept_errors_of_the_peer_are_retried_at_once() {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Other, OutOfMemory};
    for (kind, expected) in
        [(ConnectionAborted, true), (ConnectionReset, true), (OutOfMemory, false), (Other, false)]
    {
        assert_eq!(is_peers_fault(&kind.into()), expected, "{kind}");
    }
    assert!(!is_peers_fault(&io::Error::from_raw_os_error(24)), "EMFILE must not spin");
}
