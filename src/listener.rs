//! The accept loop that the public and the admin listener share.
//!
//! axum's own loop waits forever for the rest of a head. This one has the limits that a listener on the Internet needs:
//! a time limit for each request's head, which also covers idle keep-alive connections; a time limit for peers that do
//! not read their response; and a maximum number of open connections. At the maximum, a new connection replaces the one
//! that has waited longest for its caller ([`table`]), so strangers that hold connections do not keep others out. A
//! connection is never closed while the bridge works on its request.
//!
//! The code that reads a body enforces the time limit for it, because it can respond with 408.

mod activity;
mod answer;
mod observed;
mod slots;
mod stall;
mod table;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::Request;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tower::Service;

use crate::log_limiter::LogLimiter;
use activity::Activity;
use slots::{Slot, Slots};
use stall::StallGuard;

/// The delay after an accept that failed for lack of a resource (file descriptors, memory).
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(500);

/// The maximum size of a request's head in bytes; also how much of a body is buffered at once.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// Limits on what callers may use.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    /// Maximum number of open connections. At the limit, a new one replaces one that waits for its caller.
    pub max_connections: usize,
    /// Time limit for a head, for an idle connection, and for a peer that accepts nothing of its response.
    pub read_timeout: Duration,
}

/// What a request's path means for its connection.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// A request starts only while fewer than this many are in progress; otherwise it gets 503. A smaller share for
    /// some paths leaves slots for the others.
    pub share: fn(&str) -> usize,
    /// Whether a 2xx at this path proves that the caller knows a secret. Connections with such proof are closed after
    /// those of strangers.
    pub proves: fn(&str) -> bool,
}

impl Default for Rules {
    /// Treats all paths alike; a 2xx proves nothing.
    fn default() -> Self {
        Self { share: |_| usize::MAX, proves: |_| false }
    }
}

/// Called with the current time when a new connection begins to wait for a slot, because every open connection has a
/// request in progress; called with `None` once no connection waits.
pub type OnFull = Arc<dyn Fn(Option<Instant>) + Send + Sync>;

/// Returns the name of a path's route.
pub type RouteName = Arc<dyn Fn(&str) -> &'static str + Send + Sync>;

/// The options of a listener.
#[derive(Clone)]
pub struct ListenerOptions {
    /// Its name in metrics and in the log.
    pub name: &'static str,
    /// Limits on callers.
    pub limits: ConnectionLimits,
    /// What paths mean.
    pub rules: Rules,
    /// Limits the log lines that callers can cause.
    pub log_limiter: LogLimiter,
    /// Called when new connections start or stop waiting.
    pub on_full: OnFull,
    /// Returns the route of a path, for metrics: one of few names, whatever the path is.
    pub route: RouteName,
}

impl ListenerOptions {
    /// Creates options that treat all paths alike.
    pub fn new(name: &'static str, limits: ConnectionLimits, log_limiter: LogLimiter) -> Self {
        Self {
            name,
            limits,
            rules: Rules::default(),
            log_limiter,
            on_full: Arc::new(|_| {}),
            route: Arc::new(|_| "other"),
        }
    }
}

/// What a listener serves: an [`axum::Router`], or a service around one.
pub trait Routes:
    Service<Request<Body>, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static
{
}

impl<S> Routes for S where
    S: Service<Request<Body>, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static
{
}

/// Serves `routes` on `listener` until `shutdown`.
///
/// Then it stops accepting immediately, closes idle connections, lets requests in progress finish, and returns when
/// the last connection is closed. That takes as long as these requests take, so put a timeout around it.
pub async fn serve(
    listener: TcpListener,
    routes: impl Routes,
    options: ListenerOptions,
    shutdown: CancellationToken,
) {
    let read_timeout = options.limits.read_timeout;
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(read_timeout).max_buf_size(MAX_HEAD_BYTES);
    let slots = Slots::new(options);
    let graceful = GracefulShutdown::new();

    while let Some((stream, slot)) = shutdown.run_until_cancelled(next(&listener, &slots)).await {
        let activity = Arc::new(Activity::new(&slot));
        let io = TokioIo::new(StallGuard::new(observed::Stream::new(stream, activity.clone()), read_timeout));
        let routes = routes.clone();
        let service = service_fn(move |request| answer::answer(activity.clone(), routes.clone(), request));
        let connection = graceful.watch(http.serve_connection(io, service));
        tokio::spawn(drive(connection, slot));
    }
    drop(listener);
    graceful.shutdown().await;
}

/// Drives a connection until it ends, or must close for a new one.
async fn drive(connection: impl Future<Output = hyper::Result<()>>, slot: Slot) {
    let connection = async {
        let mut connection = pin!(connection);
        loop {
            tokio::select! {
                // First read what has arrived, so that a caller whose bytes came in time keeps its connection.
                biased;
                ended = &mut connection => return ended,
                () = slot.asked() => if slot.closes() { return Ok(()) },
            }
        }
    };
    if let Err(error) = connection.await {
        // Not a warning: callers constantly hang up, send nonsense and time out.
        tracing::debug!(error = &error as &dyn std::error::Error, "connection ended early");
    }
    // The socket is closed; only now may another connection open.
    drop(slot);
}

/// Returns the next connection, once there is a slot for it.
async fn next(listener: &TcpListener, slots: &Slots) -> (TcpStream, Slot) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Without it, a small response could wait for the peer's ACK.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(error = &error as &dyn std::error::Error, "setting TCP_NODELAY failed");
                }
                return (stream, slots.admit().await);
            }
            Err(error) if is_peers_fault(&error) => {}
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    pause_ms = ACCEPT_RETRY_DELAY.as_millis(),
                    "accepting connections failed; if too many files are open, raise the limit (ulimit -n)"
                );
                tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
            }
        }
    }
}

/// Whether the connection was lost before it was accepted, so that the next accept will probably succeed.
fn is_peers_fault(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}
