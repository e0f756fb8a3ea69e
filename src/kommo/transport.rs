//! The one HTTP client: where a bearer may go, and for how long we wait.
//!
//! It follows no redirect, knows no proxy, repeats nothing by itself, reads no more of an answer than
//! decisions need, and opens no connection to a private address (unless `delivery.insecure`). An IP
//! literal never reaches the resolver, so the URL is checked too, each time.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, Response, redirect};
use secrecy::{ExposeSecret, SecretString};

use crate::model::{CheckedCompletion, HostRules, ReturnUrl};

use super::answer::{Answer, Problem, whole_seconds};

/// Establishing a connection, TLS included, may take this long.
const CONNECT: Duration = Duration::from_secs(5);
/// Idle connections are closed before Kommo closes them.
const IDLE: Duration = Duration::from_secs(15);
/// No answer that matters is longer.
const MOST_BODY: usize = 64 << 10;

/// Speaks to Kommo. Cheap to clone; clones share connections.
#[derive(Clone, Debug)]
pub struct Kommo {
    client: Client,
    rules: Arc<HostRules>,
}

impl Kommo {
    /// A client that keeps `rules` and gives each call `timeout`.
    ///
    /// # Errors
    /// TLS cannot be set up; most often the system has no CA certificates.
    pub fn new(rules: HostRules, timeout: Duration) -> Result<Self, KommoError> {
        let rules = Arc::new(rules);
        let client = Client::builder()
            .redirect(redirect::Policy::none())
            .no_proxy()
            .https_only(!rules.insecure)
            .retry(reqwest::retry::never())
            .connect_timeout(CONNECT)
            .timeout(timeout)
            .pool_idle_timeout(IDLE)
            .tcp_nodelay(true)
            .user_agent(concat!("salesbot-bridge/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(Arc::new(PublicOnly(rules.clone())))
            .build()
            .map_err(|error| KommoError(told(&error)))?;
        Ok(Self { client, rules })
    }

    /// Continues a bot: `POST return_url` with the completion.
    pub async fn continue_bot(
        &self,
        url: &ReturnUrl,
        bearer: &SecretString,
        completion: &CheckedCompletion,
    ) -> Answer {
        if let Err(refusal) = self.rules.check(url.url()) {
            return Answer::NotSent(format!("return_url may not be called: {refusal}"));
        }
        let sent = self
            .client
            .post(url.url().clone())
            .bearer_auth(bearer.expose_secret())
            .header(CONTENT_TYPE, "application/json")
            .body(completion.as_json().to_owned())
            .send()
            .await;
        match sent {
            Ok(response) => read(response).await,
            Err(error) if error.is_connect() || error.is_builder() => Answer::NotSent(told(&error)),
            Err(error) => Answer::Lost { why: told(&error), timed_out: error.is_timeout() },
        }
    }
}

async fn read(mut response: Response) -> Answer {
    let status = response.status();
    let header =
        response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    // To the end, if it is near: only then can the connection be used again.
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() > MOST_BODY {
            break;
        }
    }
    let problem = if status.is_success() { None } else { Problem::read(&body) };
    Answer::Status { status: status.as_u16(), retry_after: header.and_then(whole_seconds), problem }
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
    "the HTTP client cannot be made: {0}; if it misses certificates, install the system's CA certificates"
)]
pub struct KommoError(String);

/// Resolves names, and leaves out the addresses that the rules forbid.
struct PublicOnly(Arc<HostRules>);

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        let rules = self.0.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let permitted: Vec<SocketAddr> =
                found.filter(|address| rules.permits_address(address.ip())).collect();
            if permitted.is_empty() {
                return Err("the name resolves to private addresses only".into());
            }
            let addresses: Addrs = Box::new(permitted.into_iter());
            Ok(addresses)
        })
    }
}

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
