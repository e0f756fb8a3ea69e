//! The one HTTP client: where a bearer may go, and for how long we wait.
//!
//! It follows no redirect, repeats nothing on its own, reads no more of an answer than decisions need, and goes through no
//! proxy but the one of `delivery.proxy`. It opens no connection to a private address, unless the configuration allows
//! that; through a proxy that looks up names, the proxy decides. An IP literal never reaches the resolver, so the URL is
//! checked too, each time.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use model::{CheckedCompletion, HostRules, Outgoing, ReturnUrl};

use super::outgoing::{Route, client_builder};
use super::problem::{Answer, Problem, begins_as_markup};
use super::resolver::{Lookup, PublicOnly, system_lookup};
use super::retry_after;

/// Establishing a connection, TLS included, may take this long.
const CONNECT: Duration = Duration::from_secs(5);
/// Idle connections are closed before Kommo closes them.
const IDLE: Duration = Duration::from_secs(15);
/// No answer to a continue, and no error, that matters is longer.
const MOST_BODY: usize = 64 << 10;
/// The longest list that is read: 250 widgets with long templates are well below.
pub(super) const MOST_LIST: usize = 8 << 20;

/// Speaks to Kommo. Cheap to clone; clones share connections.
#[derive(Clone, Debug)]
pub struct Kommo {
    client: Client,
    rules: Arc<HostRules>,
    route: Option<Arc<Route>>,
}

impl Kommo {
    /// A client that keeps `rules` and gives each call `timeout`, and whose calls leave as `outgoing` says.
    ///
    /// # Errors
    /// TLS cannot be set up; most often the system has no CA certificates.
    pub fn leaving(outgoing: &Outgoing, rules: HostRules, timeout: Duration) -> Result<Self, KommoError> {
        Self::that_looks_up(system_lookup(), outgoing, rules, timeout)
    }

    /// The same, which learns the addresses of names by `lookup`.
    pub(super) fn that_looks_up(
        lookup: Lookup,
        outgoing: &Outgoing,
        rules: HostRules,
        timeout: Duration,
    ) -> Result<Self, KommoError> {
        let rules = Arc::new(rules);
        let resolver = PublicOnly {
            rules: rules.clone(),
            lookup,
            allow_private: outgoing.allow_private_addresses,
            proxy: outgoing.proxy.as_ref().map(|proxy| proxy.url.host().to_owned()),
        };
        let client = client_builder(outgoing)
            .map_err(|error| KommoError(told(&error)))?
            .https_only(!rules.insecure)
            .connect_timeout(CONNECT)
            .timeout(timeout)
            .pool_idle_timeout(IDLE)
            .tcp_nodelay(true)
            .user_agent(concat!("salesbot-bridge/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(Arc::new(resolver))
            .build()
            .map_err(|error| KommoError(told(&error)))?;
        Ok(Self { client, rules, route: Route::new(outgoing).map(Arc::new) })
    }

    /// Makes one call. Whatever status comes back is an answer.
    ///
    /// # Errors
    /// There is none: the URL may not be called, nothing was sent, or the answer was lost.
    pub async fn send(&self, call: Call<'_>) -> Result<Response, Failure> {
        if let Err(refusal) = self.rules.check(&call.url) {
            return Err(Failure::NotAllowed(refusal.to_string()));
        }
        let most = call.most_body;
        let proxy = self.route.as_ref().and_then(|route| route.proxy(&call.url));
        let response =
            self.request(call).send().await.map_err(|error| Failure::from(error).through(proxy))?;
        match proxy {
            // Kommo has no such answer: the proxy did not pass the call on.
            Some(_) if response.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                Err(Failure::NotSent("proxy authentication required (407)".to_owned()).through(proxy))
            }
            _ => Ok(read(response, most).await),
        }
    }

    fn request(&self, call: Call<'_>) -> RequestBuilder {
        let mut request = self.client.request(call.method, call.url).header(ACCEPT, call.accept);
        if let Some(bearer) = call.bearer {
            request = request.bearer_auth(bearer.expose_secret());
        }
        if let Some((name, value)) = call.secret_header {
            request = match HeaderValue::from_str(value.expose_secret()) {
                Ok(mut value) => {
                    // Neither shown by whoever logs headers, nor kept in a connection's compression table.
                    value.set_sensitive(true);
                    request.header(name, value)
                }
                // The call then fails by itself: there is no such request.
                Err(_) => request.header(name, "\n"),
            };
        }
        match call.body {
            Some(body) => request.header(CONTENT_TYPE, "application/json").body(body),
            None => request,
        }
    }

    /// Continues a bot: `POST return_url` with the completion.
    pub async fn continue_bot(
        &self,
        url: &ReturnUrl,
        bearer: &SecretString,
        completion: &CheckedCompletion,
    ) -> Answer {
        let call = Call::post(url.url().clone(), completion.as_json().to_owned()).bearer(bearer);
        match self.send(call).await {
            Ok(response) => Answer::read(&response),
            Err(Failure::NotAllowed(why)) => Answer::NotSent(format!("return_url may not be called: {why}")),
            Err(Failure::NotSent(why)) => Answer::NotSent(why),
            Err(Failure::Lost { why, timed_out }) => Answer::Lost { why, timed_out },
        }
    }
}

/// One call.
pub struct Call<'a> {
    method: Method,
    url: Url,
    accept: &'static str,
    bearer: Option<&'a SecretString>,
    secret_header: Option<(&'static str, &'a SecretString)>,
    body: Option<String>,
    most_body: usize,
}

impl<'a> Call<'a> {
    fn new(method: Method, url: Url, body: Option<String>) -> Self {
        let accept = "application/hal+json, application/json, application/problem+json";
        Self { method, url, accept, bearer: None, secret_header: None, body, most_body: MOST_BODY }
    }

    /// Reads `url`.
    pub fn get(url: Url) -> Self {
        Self::new(Method::GET, url, None)
    }

    /// Posts JSON to `url`.
    pub fn post(url: Url, json: String) -> Self {
        Self::new(Method::POST, url, Some(json))
    }

    /// Any other method, with JSON or without.
    pub(super) fn with_method(method: Method, url: Url, json: Option<String>) -> Self {
        Self::new(method, url, json)
    }

    /// Reads a body of up to so many bytes.
    #[must_use]
    pub(super) fn most_body(self, bytes: usize) -> Self {
        Self { most_body: bytes, ..self }
    }

    /// Authorized by this token.
    #[must_use]
    pub fn bearer(self, token: &'a SecretString) -> Self {
        Self { bearer: Some(token), ..self }
    }

    /// With a secret in a header of its own.
    #[must_use]
    pub fn secret_header(self, name: &'static str, value: &'a SecretString) -> Self {
        Self { secret_header: Some((name, value)), ..self }
    }
}

/// What came back.
#[derive(Clone, Default)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// What the header `Retry-After` asks for, if there was one.
    pub retry_after: Option<Duration>,
    /// Whether the header `Content-Type` says that the body is JSON.
    pub says_json: bool,
    /// The body, as far as it was read.
    pub body: Vec<u8>,
    /// Whether that is less than there was.
    pub is_cut: bool,
}

impl fmt::Debug for Response {
    /// Without the body: tokens and what an account holds come in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("retry_after", &self.retry_after)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

impl Response {
    /// 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// A success with an HTML page, which Kommo's API never sends: something else answered in its place.
    pub(super) fn is_web_page(&self) -> bool {
        matches!(self.status, 200 | 206) && begins_as_markup(&self.body)
    }

    /// What the body of an error says; none if it is no JSON object, nor the beginning of one.
    ///
    /// A body that broke off says nothing that can be read, but that it was JSON decides what a 403 means. Where not even
    /// its first byte came, the header decides.
    pub(super) fn problem(&self) -> Option<Problem> {
        Problem::read(&self.body).or_else(|| {
            let body = self.body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&self.body);
            let begins_as_json = match body.trim_ascii_start().first() {
                Some(first) => *first == b'{',
                None => self.says_json,
            };
            (self.is_cut && begins_as_json).then(Problem::default)
        })
    }

    /// A success whose body ended before its end, and not because it is longer than the `most` that were read.
    pub(super) fn broke_off(&self, most: usize) -> bool {
        self.is_success() && self.is_cut && self.body.len() <= most
    }
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The rules forbid this URL; nothing was sent.
    NotAllowed(String),
    /// There was no connection, so the call cannot have arrived.
    NotSent(String),
    /// The call may have arrived, but its answer did not.
    Lost {
        /// What went wrong.
        why: String,
        /// Whether it was that time ran out.
        timed_out: bool,
    },
}

impl Failure {
    /// The same for a call that goes through this proxy: a connection that failed is perhaps the proxy's doing.
    fn through(self, proxy: Option<&str>) -> Self {
        match (self, proxy) {
            (Self::NotSent(why), Some(proxy)) => {
                Self::NotSent(format!("through the proxy {proxy} (delivery.proxy): {why}"))
            }
            (failure, _) => failure,
        }
    }
}

impl From<reqwest::Error> for Failure {
    fn from(error: reqwest::Error) -> Self {
        if error.is_connect() || error.is_builder() {
            return Self::NotSent(told(&error));
        }
        Self::Lost { why: told(&error), timed_out: error.is_timeout() }
    }
}

async fn read(mut response: reqwest::Response, most: usize) -> Response {
    let status = response.status().as_u16();
    // What matters of an error is short.
    let most = if response.status().is_success() { most } else { most.min(MOST_BODY) };
    let retry_after = retry_after::read(response.headers());
    let content_type = response.headers().get(CONTENT_TYPE);
    let says_json = content_type.is_some_and(|value| value.as_bytes().windows(4).any(|part| part == b"json"));
    // To the end, if it is near: only then can the connection be used again.
    let mut body = Vec::new();
    let is_cut = loop {
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => break false,
            // Kommo has spoken, and a body that breaks off takes nothing from its status.
            Err(_) => break true,
        }
        if body.len() > most {
            break true;
        }
    };
    Response { status, retry_after, says_json, body, is_cut }
}

/// The error and its causes on one line, without the URL: it names bot and wait, the caller knows them.
fn told(error: &reqwest::Error) -> String {
    let mut text = if error.is_timeout() { "timed out".to_owned() } else { String::new() };
    let mut cause = error.source();
    while let Some(error) = cause {
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&error.to_string());
        cause = error.source();
    }
    if text.is_empty() { "the request failed".to_owned() } else { text }
}

/// There is no client.
#[derive(Clone, Debug, thiserror::Error)]
#[error(
    "the HTTP client cannot be made: {0}; if it misses certificates, install the system's CA certificates, or name some in \
     delivery.ca_file"
)]
pub struct KommoError(String);

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(insecure: bool) -> HostRules {
        HostRules { allowed: vec!["localhost:1".parse().unwrap(), "*.kommo.com".parse().unwrap()], insecure }
    }

    async fn call(rules: HostRules, url: &str) -> Answer {
        let kommo = Kommo::new(rules, Duration::from_secs(5)).unwrap();
        let url = format!("{url}/api/v4/salesbot/1/continue/1").parse().unwrap();
        kommo.continue_bot(&url, &"a-bearer".into(), &CheckedCompletion::failed()).await
    }

    #[tokio::test]
    async fn a_bearer_goes_nowhere_else() {
        for url in ["https://example.org", "http://a.kommo.com", "https://127.0.0.1"] {
            let Answer::NotSent(why) = call(rules(false), url).await else { panic!("{url} was called") };
            assert!(why.starts_with("return_url may not be called"), "{why}");
        }
    }

    #[tokio::test]
    async fn no_secret_of_a_call_can_be_read_in_its_headers() {
        let kommo = Kommo::new(rules(false), Duration::from_secs(5)).unwrap();
        let secret = SecretString::from("the-secret");
        let url = || Url::parse("https://a.kommo.com/").unwrap();
        for call in
            [Call::get(url()).bearer(&secret), Call::get(url()).secret_header("x-refresh-token", &secret)]
        {
            let request = kommo.request(call).build().unwrap();
            assert!(request.headers().values().any(|value| value.is_sensitive()));
            assert!(!format!("{request:?}").contains("the-secret"), "{request:?}");
        }
    }

    #[tokio::test]
    async fn names_of_private_addresses_are_not_called() {
        let Answer::NotSent(why) = call(rules(false), "https://localhost:1").await else {
            panic!("it was called")
        };
        assert!(why.contains("private"), "{why}");
    }

    #[tokio::test]
    async fn a_refused_connection_was_not_sent() {
        assert!(matches!(call(rules(true), "http://localhost:1").await, Answer::NotSent(_)));
    }
}
