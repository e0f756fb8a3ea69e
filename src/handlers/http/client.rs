//! The calls to the URL of one handler.
//!
//! The client follows no redirects, retries nothing, and uses no proxy except the handler's own. It checks each address to
//! which the URL's name resolves, and connects only to those that it has just checked.

#[cfg(feature = "cli")]
mod reach;

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Client, ClientBuilder, Method};
use tokio::time::{Instant, timeout_at};
use url::{Host, Url};

use crate::config::AddressRefusal;
use kommo::{Lookup, Reason, Response, client_builder, system_lookup};
use model::{Outgoing, error_chain, whole_millis};

use super::response::{BridgeRetry, MAX_BODY_BYTES, Received};

/// The maximum time to establish a connection, including TLS.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The time after which the client closes an idle connection: before servers of Node.js and Python do, after 5 s.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(4);
/// The header with which a handler overrides the meaning of its response.
const BRIDGE_RETRY: &str = "bridge-retry";
/// The type of problem details (RFC 9457).
const PROBLEM: &[u8] = b"application/problem+json";

/// Makes the calls. Calls that do not overlap share a connection.
pub(super) struct HttpClient {
    client: Client,
    /// Whether the address in the URL is refused. The resolver is not asked for an address.
    refused: Option<AddressRefusal>,
    /// The proxy, without its credentials.
    proxy: Option<String>,
}

/// One call.
pub(super) struct Call {
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
    /// How long the call may take, until the end of the response.
    pub(super) time: Duration,
}

/// Why there is no response.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    /// The connection could not be made.
    #[error("the handler cannot be reached")]
    NoConnection(#[source] Reason),
    /// The connection was closed before the response, because the handler crashed, for example.
    #[error("the handler closed the connection before it answered")]
    Broken(#[source] Reason),
    /// The time was over.
    #[error("the handler did not answer within {}", seconds(*.0))]
    TimedOut(Duration),
    /// The response began in time, but did not end.
    #[error("the handler began its response, but did not finish it within {}", seconds(*.0))]
    Slow(Duration),
    /// The bridge does not call the address.
    #[error("the address of the handler's URL is refused")]
    Refused(#[source] AddressRefusal),
}

/// `29.8 s`. Always in seconds: errors with different units would not be in one group.
fn seconds(time: Duration) -> String {
    format!("{} s", Duration::from_millis(whole_millis(time)).as_secs_f64())
}

impl HttpClient {
    /// A client for calls to `url`, which may take up to `call_time`.
    ///
    /// # Errors
    /// TLS cannot be set up. Usually the system has no CA certificates.
    pub(super) fn new(url: &Url, outgoing: &Outgoing, call_time: Duration) -> Result<Self, HttpHandlerError> {
        Self::with_lookup(system_lookup(), url, outgoing, call_time)
    }

    /// A client that resolves names with `lookup`.
    pub(super) fn with_lookup(
        lookup: Lookup,
        url: &Url,
        outgoing: &Outgoing,
        call_time: Duration,
    ) -> Result<Self, HttpHandlerError> {
        // A short attempt too must distinguish a connection that cannot be made from a slow response.
        let connect_time = CONNECT_TIMEOUT.min(call_time / 4 * 3);
        let built = builder(lookup, url, outgoing, connect_time).and_then(ClientBuilder::build);
        let client = built.map_err(|error| HttpHandlerError(error_chain(&Reason::from(error))))?;
        let proxy = outgoing.proxy.as_ref().map(|proxy| proxy.url.to_string());
        Ok(Self { client, refused: refused(url), proxy })
    }

    /// Makes one call. Any status is a response.
    ///
    /// # Errors
    /// There is no response, or its end did not come in time.
    pub(super) async fn send(&self, call: Call) -> Result<Received, CallError> {
        if let Some(refused) = self.refused {
            return Err(CallError::Refused(refused));
        }
        let Call { url, headers, body, time } = call;
        let mut request = reqwest::Request::new(Method::POST, url);
        *request.headers_mut() = headers;
        *request.body_mut() = Some(body.into());
        let until = Instant::now() + time;
        let response = match timeout_at(until, self.client.execute(request)).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(self.failure(error, time)),
            Err(_) => return Err(CallError::TimedOut(time)),
        };
        let headers = response.headers();
        let bridge_retry = headers.get(BRIDGE_RETRY).and_then(|value| value.to_str().ok());
        let bridge_retry = bridge_retry.and_then(BridgeRetry::read);
        let is_problem = headers.get(CONTENT_TYPE).is_some_and(is_problem);
        match timeout_at(until, Response::read(response, MAX_BODY_BYTES)).await {
            Ok(response) => Ok(Received { response, bridge_retry, is_problem }),
            Err(_) => Err(CallError::Slow(time)),
        }
    }

    fn failure(&self, error: reqwest::Error, time: Duration) -> CallError {
        if let Some(refused) = refusal_in(&error) {
            return CallError::Refused(refused);
        }
        if error.is_timeout() && !error.is_connect() {
            return CallError::TimedOut(time);
        }
        let has_connected = !(error.is_connect() || error.is_builder());
        let reason = Reason::from(error);
        let reason = match &self.proxy {
            Some(proxy) => Reason::caused_by(format!("through the proxy {proxy}"), reason),
            None => reason,
        };
        if has_connected { CallError::Broken(reason) } else { CallError::NoConnection(reason) }
    }
}

/// Settings that all connections to `url` share.
fn builder(
    lookup: Lookup,
    url: &Url,
    outgoing: &Outgoing,
    connect_time: Duration,
) -> Result<ClientBuilder, reqwest::Error> {
    let encrypted = url.scheme() == "https";
    let proxy = outgoing.proxy.as_ref().map(|proxy| proxy.url.host().to_owned());
    let resolver = Checked { lookup, encrypted, proxy };
    Ok(client_builder(outgoing)?
        .https_only(encrypted)
        .connect_timeout(connect_time)
        .pool_idle_timeout(POOL_IDLE_TIMEOUT)
        .tcp_nodelay(true)
        .user_agent(concat!("salesbot-bridge/", env!("CARGO_PKG_VERSION")))
        .dns_resolver(Arc::new(resolver)))
}

/// Why an IP address in the URL itself is refused; the resolver is never asked for it.
fn refused(url: &Url) -> Option<AddressRefusal> {
    let encrypted = url.scheme() == "https";
    match url.host()? {
        Host::Ipv4(ip) => AddressRefusal::of(ip.into(), encrypted),
        Host::Ipv6(ip) => AddressRefusal::of(ip.into(), encrypted),
        Host::Domain(_) => None,
    }
}

fn is_problem(value: &HeaderValue) -> bool {
    value.as_bytes().get(..PROBLEM.len()).is_some_and(|begins| begins.eq_ignore_ascii_case(PROBLEM))
}

/// The refusal of the resolver among the causes of `error`.
fn refusal_in(error: &(dyn Error + 'static)) -> Option<AddressRefusal> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(refusal) = error.downcast_ref::<AddressRefusal>() {
            return Some(*refusal);
        }
        cause = error.source();
    }
    None
}

/// Resolves names, and drops the addresses that are refused.
struct Checked {
    lookup: Lookup,
    encrypted: bool,
    /// The proxy's host. It may have any address, because the configuration names it.
    proxy: Option<String>,
}

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let is_proxy = self.proxy.as_deref().is_some_and(|proxy| proxy.eq_ignore_ascii_case(name.as_str()));
        let encrypted = self.encrypted;
        let found = (self.lookup)(name.as_str().to_owned());
        Box::pin(async move {
            let mut found = found.await?;
            let mut refused = None;
            found.retain(|address| {
                let why = AddressRefusal::of(address.ip(), encrypted).filter(|_| !is_proxy);
                refused = refused.or(why);
                why.is_none()
            });
            match refused {
                Some(refused) if found.is_empty() => Err(refused.into()),
                _ => {
                    let addresses: Addrs = Box::new(found.into_iter());
                    Ok(addresses)
                }
            }
        })
    }
}

/// The client of an HTTP handler could not be created.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "cannot create the HTTP client: {0}; if certificates are missing, install the system's CA certificates"
)]
pub struct HttpHandlerError(String);

#[cfg(test)]
mod tests;
