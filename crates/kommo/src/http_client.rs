//! The HTTP client for all calls to Kommo. It decides where a bearer may be sent, and how long a call may take.
//!
//! It follows no redirects, retries nothing, reads only as much of a response as decisions need, and uses no proxy except
//! the one in `delivery.proxy`. It connects to a private address only if the configuration allows that. If a proxy resolves
//! names, the proxy chooses the address. An IP literal does not reach the resolver, so the client also checks the URL of each
//! call.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Method, Request, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use model::{CheckedCompletion, HostRules, Outgoing, ReturnUrl, error_chain};

use super::outcome::{CallFailure, CallOutcome};
use super::outgoing::{ProxyRoute, client_builder};
use super::reason::Reason;
use super::resolver::{Lookup, PublicOnly, system_lookup};
use super::response::{MAX_BODY_BYTES, Response};

/// The maximum time to establish a connection, including TLS.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The time after which the client closes an idle connection, before Kommo does.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(15);
const ACCEPTED_TYPES: HeaderValue =
    HeaderValue::from_static("application/hal+json, application/json, application/problem+json");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// The maximum size of a list. 250 widgets with long templates are well below it.
pub(super) const MAX_LIST_BYTES: usize = 8 << 20;

/// The HTTP client for all calls to Kommo. Cheap to clone; clones share connections.
#[derive(Clone, Debug)]
pub struct HttpClient {
    client: Client,
    rules: Arc<HostRules>,
    route: Option<Arc<ProxyRoute>>,
}

impl HttpClient {
    /// Creates a client with the host rules `rules`, the proxy and certificates of `outgoing`, and `timeout` for each call.
    ///
    /// # Errors
    /// TLS cannot be set up. Usually the system has no CA certificates.
    pub fn new(outgoing: &Outgoing, rules: HostRules, timeout: Duration) -> Result<Self, HttpClientError> {
        Self::with_lookup(system_lookup(), outgoing, rules, timeout)
    }

    /// Creates a client that resolves names with `lookup`.
    pub(super) fn with_lookup(
        lookup: Lookup,
        outgoing: &Outgoing,
        rules: HostRules,
        timeout: Duration,
    ) -> Result<Self, HttpClientError> {
        let rules = Arc::new(rules);
        let resolver = PublicOnly {
            rules: rules.clone(),
            lookup,
            allow_private: outgoing.allow_private_addresses,
            proxy: outgoing.proxy.as_ref().map(|proxy| proxy.url.host().to_owned()),
        };
        let client = client_builder(outgoing)
            .map_err(|error| HttpClientError(error_chain(&Reason::from(error))))?
            .https_only(!rules.insecure)
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(timeout)
            .pool_idle_timeout(POOL_IDLE_TIMEOUT)
            .tcp_nodelay(true)
            .user_agent(concat!("salesbot-bridge/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(Arc::new(resolver))
            .build()
            .map_err(|error| HttpClientError(error_chain(&Reason::from(error))))?;
        Ok(Self { client, rules, route: ProxyRoute::new(outgoing).map(Arc::new) })
    }

    /// Makes one call. Any status is a response.
    ///
    /// # Errors
    /// There is no response: the host rules forbid the URL, the call was not sent, or the response was lost.
    pub async fn send(&self, call: Call<'_>) -> Result<Response, CallFailure> {
        self.rules.check(&call.url).map_err(CallFailure::NotAllowed)?;
        let max_body_bytes = call.max_body_bytes;
        let proxy = self.route.as_ref().and_then(|route| route.proxy(&call.url));
        let response = self.client.execute(request(call)?).await.map_err(|error| failure(error, proxy))?;
        match proxy {
            // Kommo never answers 407, so the proxy did not forward the call.
            Some(proxy) if response.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                let reason = Reason::new("proxy authentication required (407)");
                Err(CallFailure::NotSent(through_proxy(proxy, reason)))
            }
            _ => Ok(Response::read(response, max_body_bytes).await),
        }
    }

    /// Continues a bot: `POST return_url` with the completion.
    pub async fn continue_bot(
        &self,
        url: &ReturnUrl,
        bearer: &SecretString,
        completion: &CheckedCompletion,
    ) -> CallOutcome {
        let call = Call::post(url.url().clone(), completion.as_json().to_owned()).bearer(bearer);
        CallOutcome::of(&self.send(call).await)
    }
}

/// Builds the request of a call, without a [`RequestBuilder`](reqwest::RequestBuilder), which would parse and copy even
/// values that are known to be valid.
///
/// # Errors
/// A secret contains a character that no header can contain.
fn request(call: Call<'_>) -> Result<Request, CallFailure> {
    let mut request = Request::new(call.method, call.url);
    let headers = request.headers_mut();
    headers.insert(ACCEPT, ACCEPTED_TYPES);
    if let Some(token) = call.bearer {
        headers.insert(AUTHORIZATION, secret_value(format!("Bearer {}", token.expose_secret()))?);
    }
    if let Some((name, value)) = call.secret_header {
        headers.insert(name, secret_value(value.expose_secret().to_owned())?);
    }
    if let Some(body) = call.body {
        headers.insert(CONTENT_TYPE, JSON);
        *request.body_mut() = Some(body.into());
    }
    Ok(request)
}

/// The value of a header that stays out of logs and of the connection's compression table.
fn secret_value(text: String) -> Result<HeaderValue, CallFailure> {
    let mut value = HeaderValue::try_from(text).map_err(|error| {
        CallFailure::NotSent(Reason::caused_by("a secret cannot be sent in a header", error))
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// Returns why there is no response; `proxy` is the proxy of the call, if it used one.
fn failure(error: reqwest::Error, proxy: Option<&str>) -> CallFailure {
    let (timed_out, not_sent) = (error.is_timeout(), error.is_connect() || error.is_builder());
    let reason = Reason::from(error);
    match proxy {
        // The proxy may be the cause.
        Some(proxy) if not_sent => CallFailure::NotSent(through_proxy(proxy, reason)),
        None if not_sent => CallFailure::NotSent(reason),
        _ => CallFailure::Lost { reason, timed_out },
    }
}

fn through_proxy(proxy: &str, reason: Reason) -> Reason {
    Reason::caused_by(format!("through the proxy {proxy} (delivery.proxy)"), reason)
}

/// One call.
pub struct Call<'a> {
    method: Method,
    url: Url,
    bearer: Option<&'a SecretString>,
    secret_header: Option<(&'static str, &'a SecretString)>,
    body: Option<String>,
    max_body_bytes: usize,
}

impl<'a> Call<'a> {
    fn new(method: Method, url: Url, body: Option<String>) -> Self {
        Self { method, url, bearer: None, secret_header: None, body, max_body_bytes: MAX_BODY_BYTES }
    }

    /// A `GET` of `url`.
    pub fn get(url: Url) -> Self {
        Self::new(Method::GET, url, None)
    }

    /// A `POST` of JSON to `url`.
    pub fn post(url: Url, json: String) -> Self {
        Self::new(Method::POST, url, Some(json))
    }

    /// A call with any method, with or without JSON.
    pub(super) fn with_method(method: Method, url: Url, json: Option<String>) -> Self {
        Self::new(method, url, json)
    }

    /// Sets the maximum number of bytes to read of the response's body.
    #[must_use]
    pub(super) fn max_body_bytes(self, bytes: usize) -> Self {
        Self { max_body_bytes: bytes, ..self }
    }

    /// Authorizes the call with a bearer token.
    #[must_use]
    pub fn bearer(self, token: &'a SecretString) -> Self {
        Self { bearer: Some(token), ..self }
    }

    /// Adds a header with a secret.
    #[must_use]
    pub fn secret_header(self, name: &'static str, value: &'a SecretString) -> Self {
        Self { secret_header: Some((name, value)), ..self }
    }
}

/// The HTTP client could not be created.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "cannot create the HTTP client: {0}; if certificates are missing, install the system's CA certificates, or set \
     delivery.ca_file"
)]
pub struct HttpClientError(String);

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(insecure: bool) -> HostRules {
        HostRules {
            allowed: ["localhost:1".parse().unwrap(), "*.kommo.com".parse().unwrap()].into(),
            insecure,
        }
    }

    async fn call(rules: HostRules, url: &str) -> CallOutcome {
        let kommo = HttpClient::direct(rules, Duration::from_secs(5)).unwrap();
        let url = format!("{url}/api/v4/salesbot/1/continue/1").parse().unwrap();
        kommo.continue_bot(&url, &"a-bearer".into(), &CheckedCompletion::failed()).await
    }

    #[tokio::test]
    async fn bearer_goes_only_to_allowed_hosts() {
        for url in ["https://example.org", "http://a.kommo.com", "https://127.0.0.1"] {
            let outcome = call(rules(false), url).await;
            assert!(
                matches!(outcome, CallOutcome::NoResponse(CallFailure::NotAllowed(_))),
                "{url} was called: {outcome:?}"
            );
        }
    }

    #[test]
    fn debug_output_of_a_request_shows_no_secret() {
        let secret = SecretString::from("the-secret");
        let url = || Url::parse("https://a.kommo.com/").unwrap();
        for call in
            [Call::get(url()).bearer(&secret), Call::get(url()).secret_header("x-refresh-token", &secret)]
        {
            let request = request(call).unwrap();
            assert!(request.headers().values().any(|value| value.is_sensitive()));
            assert!(!format!("{request:?}").contains("the-secret"), "{request:?}");
        }
    }

    #[tokio::test]
    async fn token_that_cannot_be_a_header_is_not_sent_and_not_shown() {
        let kommo = HttpClient::direct(rules(false), Duration::from_secs(5)).unwrap();
        let url = "https://a.kommo.com/api/v4/salesbot/1/continue/1".parse().unwrap();
        let outcome = kommo.continue_bot(&url, &"a-token\n".into(), &CheckedCompletion::failed()).await;
        assert!(matches!(outcome, CallOutcome::NoResponse(CallFailure::NotSent(_))), "{outcome:?}");
        assert!(!outcome.to_string().contains("a-token"), "{outcome}");
    }

    #[tokio::test]
    async fn names_that_resolve_to_private_addresses_are_not_called() {
        let outcome = call(rules(false), "https://localhost:1").await;
        assert!(matches!(outcome, CallOutcome::NoResponse(CallFailure::NotSent(_))), "{outcome:?}");
        assert!(outcome.to_string().contains("private"), "{outcome}");
    }

    #[tokio::test]
    async fn call_with_a_refused_connection_counts_as_not_sent() {
        let outcome = call(rules(true), "http://localhost:1").await;
        assert!(matches!(outcome, CallOutcome::NoResponse(CallFailure::NotSent(_))), "{outcome:?}");
    }
}
