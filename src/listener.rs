//! The accept loop that the public and the admin listener share.
//!
//! axum's own loop never gives up on a half-sent head, so this one does what a listener that faces the
//! Internet needs: a time limit for each request's head, which idle keep-alive connections are under as
//! well; a limit for peers that do not read their answer; and a cap on open connections. At the cap a new
//! connection takes the place of the one that has waited longest for its caller ([`table`]), so strangers that
//! hold connections do not keep others out. A connection is never closed while the bridge works on its request.
//!
//! The time limit for a body is not here: who reads the body keeps it, and can answer 408.

mod answer;
mod line;
mod observed;
mod places;
mod stall;
mod table;
#[cfg(test)]
mod tests;

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::log_limiter::LogLimiter;
use line::Line;
use places::{Place, Places};
use stall::StallGuard;

/// After an accept that failed for want of something (file descriptors, memory), time for it to come back.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(500);

/// The most bytes of a request's head; also how much of a body is buffered at once.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// What callers may take of the process.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    /// Connections open at once. A further one takes the place of one that waits for its caller.
    pub max_connections: usize,
    /// A head that takes longer is cut, and so is a connection that is idle for longer or whose peer
    /// takes nothing of an answer for longer.
    pub read_timeout: Duration,
}

/// What a request's path means for its connection.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// A request begins only while fewer than this many are in progress; else it gets 503. A smaller share for some paths
    /// keeps places for the others.
    pub share: fn(&str) -> usize,
    /// Whether a 2xx at this path proves that the caller knows a secret. A connection on which one did is closed after
    /// those of strangers.
    pub proves: fn(&str) -> bool,
}

impl Default for Rules {
    /// All paths are alike, and a 2xx proves nothing.
    fn default() -> Self {
        Self { share: |_| usize::MAX, proves: |_| false }
    }
}

/// Hears since when a new connection has been waiting for a place, because the bridge works on a request of every other one;
/// `None` once none waits.
pub type OnFull = Arc<dyn Fn(Option<Instant>) + Send + Sync>;

/// How a listener is run.
#[derive(Clone)]
pub struct ListenerOptions {
    /// Its name in metrics and in the log.
    pub name: &'static str,
    /// What callers may take.
    pub limits: ConnectionLimits,
    /// What paths mean.
    pub rules: Rules,
    /// Limits the lines in the log that callers can cause.
    pub log_limiter: LogLimiter,
    /// Hears when new connections wait.
    pub on_full: OnFull,
}

impl ListenerOptions {
    /// A listener where all paths are alike.
    pub fn new(name: &'static str, limits: ConnectionLimits, log_limiter: LogLimiter) -> Self {
        Self { name, limits, rules: Rules::default(), log_limiter, on_full: Arc::new(|_| {}) }
    }
}

/// Serves `router` on `listener` until `shutdown`.
///
/// Then it stops accepting at once, closes idle connections, lets requests under way finish, and returns
/// when the last connection is closed. It waits as long as these requests take: put a timeout around it.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    options: ListenerOptions,
    shutdown: CancellationToken,
) {
    let read_timeout = options.limits.read_timeout;
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(read_timeout).max_buf_size(MAX_HEAD_BYTES);
    let places = Places::new(options);
    let graceful = GracefulShutdown::new();
    // Without a state of its own the router is the same for every connection.
    let router = router.with_state(());

    while let Some((stream, place)) = shutdown.run_until_cancelled(next(&listener, &places)).await {
        let line = Arc::new(Line::new(&place));
        let io = TokioIo::new(StallGuard::new(observed::Stream::new(stream, line.clone()), read_timeout));
        let router = router.clone();
        let service = service_fn(move |request| answer::answer(line.clone(), router.clone(), request));
        let connection = graceful.watch(http.serve_connection(io, service));
        tokio::spawn(drive(connection, place));
    }
    drop(listener);
    graceful.shutdown().await;
}

/// Drives a connection until it ends, or has to close for a new one.
async fn drive(connection: impl Future<Output = hyper::Result<()>>, place: Place) {
    let connection = async {
        let mut connection = pin!(connection);
        loop {
            tokio::select! {
                // First it reads what has arrived: a caller that was heard in time keeps its connection.
                biased;
                ended = &mut connection => return ended,
                () = place.asked() => if place.closes() { return Ok(()) },
            }
        }
    };
    if let Err(error) = connection.await {
        // Callers hang up, send nonsense and time out all day long.
        tracing::debug!(error = &error as &dyn std::error::Error, "a connection ended early");
    }
    // The socket is closed: only now another one may be open.
    drop(place);
}

/// The next connection, once there is a place for it.
async fn next(listener: &TcpListener, places: &Places) -> (TcpStream, Place) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Answers are small and whole; without this they would wait for the peer's ACK.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(error = &error as &dyn std::error::Error, "TCP_NODELAY could not be set");
                }
                return (stream, places.admit().await);
            }
            Err(error) if is_peers_fault(&error) => {}
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    pause_ms = ACCEPT_RETRY_DELAY.as_millis(),
                    "no connection can be accepted; if too many files are open, raise the limit (ulimit -n)"
                );
                tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
            }
        }
    }
}

/// Whether the connection was lost before it was accepted, so that the next accept may well succeed.
fn is_peers_fault(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}
