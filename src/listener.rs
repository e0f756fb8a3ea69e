//! The accept loop that the public and the admin listener share.
//!
//! axum's own loop never gives up on a half-sent head, so this one does what a listener that faces the
//! Internet needs: a time limit for each request's head, which idle keep-alive connections are under as
//! well; a limit for peers that do not read their answer; and a cap on open connections. At the cap it
//! stops accepting, so that further callers wait in the system's queue instead of costing memory.
//!
//! The time limit for a body is not here: who reads the body keeps it, and can answer 408.

mod stall;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use http::header::{CONNECTION, TRANSFER_ENCODING};
use http::{HeaderValue, Request, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::problem::Problem;
use stall::StallGuard;

/// After an accept that failed for want of something (file descriptors, memory), time for it to come back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

/// The most bytes of a request's head; also how much of a body is buffered at once.
const HEAD_BYTES: usize = 64 * 1024;

/// What a caller may take of the process.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections open at once; further ones wait in the system's queue.
    pub max_connections: usize,
    /// A head that takes longer is cut, and so is a connection that is idle for longer or whose peer
    /// takes nothing of an answer for longer.
    pub read_timeout: Duration,
}

/// Serves `router` on `listener` until `shutdown`.
///
/// Then it stops accepting at once, closes idle connections, lets requests under way finish, and returns
/// when the last connection is closed. It waits as long as these requests take: put a timeout around it.
pub async fn serve(listener: TcpListener, router: Router, limits: Limits, shutdown: CancellationToken) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(limits.read_timeout).max_buf_size(HEAD_BYTES);
    let slots = Arc::new(Semaphore::new(limits.max_connections.min(Semaphore::MAX_PERMITS)));
    let graceful = GracefulShutdown::new();
    // Without a state of its own the router is the same for every connection.
    let router = router.with_state(());

    while let Some((stream, slot)) = shutdown.run_until_cancelled(next(&listener, &slots)).await {
        let router = router.clone();
        let service = service_fn(move |request| answer(router.clone(), request));
        let io = TokioIo::new(StallGuard::new(stream, limits.read_timeout));
        let connection = graceful.watch(http.serve_connection(io, service));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                // Callers hang up, send nonsense and time out all day long.
                tracing::debug!(error = &error as &dyn std::error::Error, "a connection ended early");
            }
            drop(slot);
        });
    }
    drop(listener);
    graceful.shutdown().await;
}

/// The next connection, once there is a slot for it.
async fn next(listener: &TcpListener, slots: &Arc<Semaphore>) -> (TcpStream, Option<impl Send + use<>>) {
    // The semaphore is never closed, so there is always a slot.
    let slot = Arc::clone(slots).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Answers are small and whole; without this they would wait for the peer's ACK.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(error = &error as &dyn std::error::Error, "TCP_NODELAY could not be set");
                }
                return (stream, slot);
            }
            Err(error) if is_peers_fault(&error) => {}
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    pause_ms = ACCEPT_PAUSE.as_millis(),
                    "no connection can be accepted; if too many files are open, raise the limit (ulimit -n)"
                );
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Whether the connection was lost before it was accepted, so that the next accept may well succeed.
fn is_peers_fault(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// A panic costs its caller a 500, not the connection without a word.
async fn answer(router: Router, request: Request<Incoming>) -> Result<Response, Infallible> {
    // Where such a body ends is what proxies and servers disagree about, most of all if a length is given as well. What
    // comes behind it on this connection is not taken for a request, then nobody can have hidden one there.
    let last = request.headers().contains_key(TRANSFER_ENCODING);
    let answered = AssertUnwindSafe(router.oneshot(request.map(Body::new))).catch_unwind().await;
    let mut answered = answered.unwrap_or_else(|_panic| {
        tracing::error!("answering a request panicked: this is a bug of the bridge");
        let detail = "The bridge failed in a way that it should not. Its log says where.";
        Ok(Problem::of_status(StatusCode::INTERNAL_SERVER_ERROR, detail).into_response())
    })?;
    if last {
        answered.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(answered)
}
