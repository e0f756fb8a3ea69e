//! Connections and routes. This module has its own accept loop, because a fault must be able to take
//! the socket away from the HTTP server, to reset it or to write bytes that are not HTTP.

use std::error::Error;
use std::future::poll_fn;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use http::header::HOST;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::account::Account;
use super::answer::{self, Answer, Cut};
use super::{api, control, control_index, control_widgets, oauth};

/// Allows for the six logos of a widget package, of up to 300 KB each.
const MAX_BODY: usize = 4 * 1024 * 1024;
const DRIP_INTERVAL: Duration = Duration::from_millis(50);
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(50);

/// State shared by the connections; each has a clone.
#[derive(Debug, Clone)]
pub(super) struct Shared {
    pub(super) account: Arc<Account>,
    pub(super) tasks: TaskTracker,
    pub(super) stop: CancellationToken,
}

/// Accepts connections until stopped. A failed connection does not affect the others.
pub(super) async fn accept(listener: TcpListener, shared: Shared) {
    loop {
        let accepted = tokio::select! {
            () = shared.stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let stop = shared.stop.clone();
                let connection = connection(stream, shared.clone());
                shared.tasks.spawn(async move { stop.run_until_cancelled(connection).await });
            }
            // Usually out of file descriptors. Other connections free some when they close.
            Err(_) => sleep(ACCEPT_RETRY_DELAY).await,
        }
    }
}

async fn connection(stream: TcpStream, shared: Shared) {
    // Failure only costs speed.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let shared = shared.clone();
        Box::pin(async move { route(&shared, request).await })
    });
    let mut connection =
        http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
    let ended = poll_fn(|context| connection.poll_without_shutdown(context)).await;
    let mut stream = connection.into_parts().io.into_inner();
    match ended.err().and_then(|error| error.source()?.downcast_ref::<Cut>().copied()) {
        Some(Cut::Reset) => {
            let _ = stream.set_zero_linger();
        }
        Some(Cut::Garbage) => {
            let _ = stream.write_all(b"\x15\x03\x01\x00\x02\x02\x46 this is not HTTP\r\n\r\n").await;
        }
        Some(Cut::Drip) => drip(&mut stream).await,
        Some(Cut::Close) | None => {}
    }
}

/// Writes a response head without an end, until the peer closes the connection.
async fn drip(stream: &mut TcpStream) {
    let mut next: &[u8] = b"HTTP/1.1 202 Accepted\r\nX-Drip: ";
    while stream.write_all(next).await.is_ok() {
        next = b".";
        sleep(DRIP_INTERVAL).await;
    }
}

async fn route(shared: &Shared, request: Request<Incoming>) -> Result<Answer, Cut> {
    let (head, body) = request.into_parts();
    let host = head.headers.get(HOST).and_then(|host| host.to_str().ok());
    if !host.is_some_and(is_allowed_host) {
        let why = "Use an IP address or localhost in the URL: the simulator refuses other host names.";
        return Ok(answer::refuse(403, why));
    }
    let Ok(body) = Limited::new(body, MAX_BODY).collect().await else {
        return Ok(answer::problem(413));
    };
    let body = body.to_bytes();
    let path = head.uri.path();
    if let Some(rest) = path.strip_prefix("/simulator/bots") {
        return Ok(control::handle(shared, &head, rest, &body).await);
    }
    if let Some(rest) = path.strip_prefix("/simulator/widgets") {
        return Ok(control_widgets::handle(shared, &head, rest, body).await);
    }
    if let Some(rest) = path.strip_prefix("/simulator") {
        return Ok(control_index::handle(&head, rest));
    }
    let answer = if path.starts_with(api::PREFIX) {
        api::handle(&shared.account, &head, body).await?
    } else if oauth::owns(path) {
        oauth::handle(&shared.account, &head, body).await?
    } else {
        answer::problem(404)
    };
    Ok(shared.account.options.language.translate(answer).await)
}

/// Whether `Host` is an IP address or `localhost`. Prevents DNS rebinding: a web page whose own name resolves to this
/// machine could otherwise call the simulator from its visitor's browser.
fn is_allowed_host(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, port)| {
        // In `[::1]` the last colon does not begin a port.
        if port.bytes().all(|byte| byte.is_ascii_digit()) { name } else { host }
    });
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    name.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ip_addresses_and_localhost_are_accepted_as_host() {
        for allowed in
            ["127.0.0.1:8090", "127.0.0.1", "localhost", "LocalHost:1", "[::1]:8090", "10.0.0.7:80"]
        {
            assert!(is_allowed_host(allowed), "{allowed}");
        }
        for refused in ["", "evil.example", "evil.example:8090", "localhost.evil.example", "[::1", ":8090"] {
            assert!(!is_allowed_host(refused), "{refused}");
        }
    }
}
