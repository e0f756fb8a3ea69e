//! The client for one account.
//!
//! Every call takes the same steps. It gets a bearer, waits for a permit from the limiter that all calls to the account
//! share, passes the host rules, is sent, and then follows the decision of [`retry`](super::retry). While a call waits for a
//! permit or for another token, it holds no reservation, so waiting calls cannot deadlock.

mod factory;
mod options;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use tokio_util::task::AbortOnDropHandle;
use url::Url;

use crate::pace::{CallKind, CallLimiter, CallLimits, Cause, Pause, Paused, Permit, Source};
use model::AccountId;
use model::clock::Clock;

use super::credentials::{AccountRef, Bearer, LongLived};
use super::error::Error;
use super::http_client::{Call, HttpClient, MAX_LIST_BYTES};
use super::outcome::{CallFailure, CallOutcome};
use super::reason::Reason;
use super::request::ApiRequest;
use super::response::Response;
use super::retry::{Decision, RetryContext, decide};

pub use factory::ClientFactory;
pub use options::ClientOptions;

/// Makes calls to one Kommo account. Cheap to clone; clones share the pace and the connections.
///
/// It keeps to the account's rate, waits when Kommo asks it to, and sends the token only to the account. It tries a read up
/// to four times if that may help. It sends a write once, and retries it only after a response that shows that Kommo did
/// nothing (401, 429). If the response to a write is lost, we cannot tell whether the write took effect.
///
/// A handler of the bridge gets a client from its context. Other programs call [`Client::new`]:
///
/// ```no_run
/// use salesbot_bridge_kommo::{Client, ClientOptions};
///
/// # async fn run() -> Result<(), salesbot_bridge_kommo::Error> {
/// let kommo = Client::new("https://example.kommo.com", "a long-lived token".into(), ClientOptions::default())?;
/// println!("{}", kommo.widget("amo_asterisk").await?.version);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client {
    shared: Arc<ClientFactory>,
    origin: Arc<str>,
    account_id: Option<AccountId>,
    patience: Duration,
}

/// The response to a call, and the origin that sent it: the account may have moved.
pub(super) struct Reply {
    pub(super) response: Response,
    pub(super) origin: Arc<str>,
}

impl Client {
    /// Creates a client with its own pace for the account at `base_url` (`https://example.kommo.com`), with a long-lived
    /// token.
    ///
    /// # Errors
    /// `base_url` is not an account's address, or the options do not allow it; or the system has no CA certificates.
    pub fn new(
        base_url: impl AsRef<str>,
        token: SecretString,
        options: ClientOptions,
    ) -> Result<Self, Error> {
        let text = base_url.as_ref();
        let refused = |source: Box<dyn std::error::Error + Send + Sync>| {
            let text =
                format!("`{text}` is not an account's address (expected one like https://example.kommo.com)");
            Error::Refused(Reason::caused_by(text, source))
        };
        let url = Url::parse(text).map_err(|error| refused(error.into()))?;
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(refused("it has a path, a query or a fragment".into()));
        }
        options.hosts.check(&url).map_err(|refusal| refused(refusal.into()))?;
        let origin = url.origin().ascii_serialization();
        let limits =
            CallLimits { rate_per_account: options.rate_per_second.max(1), rate_total: None, concurrency: 0 };
        let clock = Clock::system();
        let kommo = HttpClient::new(&options.outgoing, options.hosts, options.timeout)?;
        let clients = ClientFactory {
            kommo,
            limiter: CallLimiter::new(limits, clock.clone()),
            credentials: Arc::new(LongLived::new(&origin, token)),
            clock,
            random: fastrand::f64,
            patience: options.patience,
            runtime: None,
        };
        Ok(Arc::new(clients).client_at(origin))
    }

    /// Returns the client with another limit on how long a call waits: for its turn, for the end of a pause, and for
    /// retries. The limit does not interrupt a call that was already sent.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// The account's address, `https://example.kommo.com`. It may be outdated if the account has moved.
    pub fn account_url(&self) -> &str {
        &self.origin
    }

    /// Makes the call, with all waits and retries. Returns a reply only if Kommo accepted the call.
    pub(super) async fn call(&self, request: ApiRequest) -> Result<Reply, Error> {
        let client = self.clone();
        let Some(runtime) = &self.shared.runtime else { return client.run(request).await };
        let running = AbortOnDropHandle::new(runtime.spawn(async move { client.run(request).await }));
        running.await.unwrap_or_else(|_| {
            Err(Error::Transport { reason: Reason::new("the program is stopping"), sent: true })
        })
    }

    async fn run(self, request: ApiRequest) -> Result<Reply, Error> {
        let ClientFactory { kommo, clock, credentials, random, .. } = &*self.shared;
        let deadline = clock.elapsed().saturating_add(self.patience);
        let account = AccountRef { origin: &self.origin, account_id: self.account_id };
        let mut bearer = credentials.bearer(account).await.map_err(Error::NotConnected)?;
        let (mut tries, mut renewed, mut asked_to_wait) = (0, false, false);
        loop {
            let url = request.url(&bearer.origin)?;
            let mut permit = self.permit(&bearer, deadline, asked_to_wait).await?;
            if credentials.is_refused(account, &bearer) {
                drop(permit);
                bearer = credentials.bearer(account).await.map_err(Error::NotConnected)?;
                continue;
            }
            if permit.start().is_err() {
                // A pause began after the permit was issued. Wait for the next permit.
                continue;
            }
            tries += 1;
            let call = Call::with_method(request.method.clone(), url, request.body.clone())
                .bearer(&bearer.token)
                .max_body_bytes(MAX_LIST_BYTES);
            let result = kommo.send(call).await;
            let outcome = outcome_of(&request, &result);
            let context = RetryContext { is_read: request.is_read(), tries, renewed, jitter: random() };
            match decide(&outcome, context) {
                Decision::Finish { account_is_fine } => {
                    if account_is_fine {
                        permit.succeeded();
                    }
                    Error::check(outcome)?;
                    // An accepted outcome always has a response.
                    let response = result.unwrap_or_default();
                    return Ok(Reply { response, origin: bearer.origin });
                }
                Decision::RenewToken => {
                    // The renewal needs a permit itself, and this could be the only one.
                    drop(permit);
                    tries -= 1;
                    renewed = true;
                    bearer = credentials.renewed(account, &bearer).await.map_err(Error::Unauthorized)?;
                }
                Decision::PauseAccount { retry_after: hint, retry } => {
                    permit.pause(Pause { cause: Cause::TooMany, hint, source: Source::Call });
                    if !retry {
                        return Err(Error::RateLimited { retry_after: hint });
                    }
                    asked_to_wait = true;
                }
                Decision::RetryAfter(delay) => {
                    drop(permit);
                    if clock.elapsed().saturating_add(delay) >= deadline {
                        // This returns the error: only an outcome that was not accepted leads to a retry.
                        Error::check(outcome)?;
                    }
                    clock.sleep(delay).await;
                }
            }
        }
    }

    async fn permit(
        &self,
        bearer: &Bearer,
        deadline: Duration,
        asked_to_wait: bool,
    ) -> Result<Permit, Error> {
        let left = deadline.saturating_sub(self.shared.clock.elapsed());
        self.shared.limiter.acquire(&bearer.origin, CallKind::Api, left).await.map_err(|Paused { left }| {
            if asked_to_wait { Error::RateLimited { retry_after: left } } else { Error::Paused { left } }
        })
    }
}

impl ClientFactory {
    /// The client for the account at `origin`, such as `https://example.kommo.com`.
    pub fn client_at(self: &Arc<Self>, origin: impl Into<Arc<str>>) -> Client {
        Client { shared: self.clone(), origin: origin.into(), account_id: None, patience: self.patience }
    }

    /// The client for the account `account_id`, which is or was at `origin`.
    pub fn client_of(self: &Arc<Self>, origin: impl Into<Arc<str>>, account_id: AccountId) -> Client {
        Client { account_id: Some(account_id), ..self.client_at(origin) }
    }
}

/// The outcome of the call. A read needs its whole body, so a truncated body counts as a lost response.
fn outcome_of(request: &ApiRequest, result: &Result<Response, CallFailure>) -> CallOutcome {
    match result {
        Ok(response) if request.is_read() && response.broke_off() => {
            let reason = Reason::new("the connection broke before the end of the response");
            CallOutcome::NoResponse(CallFailure::Lost { reason, timed_out: false })
        }
        result => CallOutcome::of(result),
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("account_url", &self.origin).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_is_created_only_for_an_allowed_account_address() {
        let client = |url: &str| Client::new(url, "a-token".into(), ClientOptions::default());
        let created = client("https://Example.kommo.com/").unwrap();
        assert_eq!(created.account_url(), "https://example.kommo.com");
        assert!(!format!("{created:?}").contains("a-token"));
        for url in [
            "example.kommo.com",
            "http://example.kommo.com",
            "https://example.org",
            "https://example.kommo.com/api/v4",
            "https://example.kommo.com?x",
            "https://user@example.kommo.com",
            "https://127.0.0.1",
        ] {
            let error = client(url).unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{url}` is not an account's address")), "{error}");
        }
    }
}
