//! The client of one account: how a program gets one, and how it makes a call.
//!
//! Every call goes the same way: a bearer, a permit of the limiter that all calls to the account share, the host rules, the
//! call, and then what [`again`](super::retry) says. While it waits for a turn or for another token it holds no ticket
//! of the limiter, so calls that wait for each other cannot stop each other.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;
use url::Url;

use crate::pace::{CallKind, CallLimiter, CallLimits, Cause, Pause, Paused, Permit, Source};
use model::clock::Clock;
use model::{AccountId, HostRules, Outgoing};

use super::credentials::{Bearer, Credentials, LongLived, Whose};
use super::error::Error;
use super::request::Ask;
use super::retry::{Next, Tried, judge};
use super::transport::{Call, Failure, Kommo, MOST_LIST, Response};

/// Makes calls to one Kommo account. Cheap to clone; clones share the pace and the connections.
///
/// It makes no more calls a second than the account allows, waits when Kommo asks it to, and gives the token to the
/// account alone. Reads are tried up to four times where that may help. Writes are made once, except where Kommo
/// surely did nothing (401, 429): what is written behind a lost answer, nobody knows.
///
/// In a handler it comes from [`Context::kommo`](crate::Context::kommo); elsewhere from [`Client::new`]:
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
    shared: Arc<Clients>,
    origin: Arc<str>,
    account_id: Option<AccountId>,
    patience: Duration,
}

/// What a [`Client`] of one's own is like.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// Calls a second. Kommo allows 7, over all programs that call the account.
    pub rate_per_second: u32,
    /// The hosts that may get the token. Default: those of Kommo and amoCRM, over TLS, at public addresses.
    pub hosts: HostRules,
    /// How calls leave this machine. Default: directly, with the system's certificates.
    pub outgoing: Outgoing,
    /// The longest that one call may take. Default: 20 s.
    pub timeout: Duration,
    /// How long a call may wait for its turn, for the end of a pause, and for further tries. Default: 60 s.
    pub patience: Duration,
}

impl Default for ClientOptions {
    fn default() -> Self {
        let allowed = ["*.kommo.com", "*.amocrm.ru", "*.amocrm.com"];
        Self {
            rate_per_second: 7,
            hosts: HostRules {
                allowed: allowed.iter().filter_map(|host| host.parse().ok()).collect(),
                insecure: false,
            },
            outgoing: Outgoing::default(),
            timeout: Duration::from_secs(20),
            patience: Duration::from_secs(60),
        }
    }
}

/// What the clients of all accounts share.
pub struct Clients {
    /// The one HTTP client.
    pub kommo: Kommo,
    /// The pace, shared with the sender.
    pub limiter: Arc<CallLimiter>,
    /// Where bearers come from.
    pub credentials: Arc<dyn Credentials>,
    /// Measures waiting.
    pub clock: Clock,
    /// Uniform in 0 to 1.
    pub random: fn() -> f64,
    /// How long a call may wait, unless its client says otherwise.
    pub patience: Duration,
    /// Where calls run, if not where they are awaited: a handler may block its thread, and must not stop a connection
    /// that others use.
    pub runtime: Option<Handle>,
}

impl Clients {
    /// The client of the account at this address, `https://example.kommo.com`.
    pub fn of(self: &Arc<Self>, origin: impl Into<Arc<str>>) -> Client {
        Client { shared: self.clone(), origin: origin.into(), account_id: None, patience: self.patience }
    }

    /// The client of just this account, which is at this address or was.
    pub fn of_account(self: &Arc<Self>, origin: impl Into<Arc<str>>, account_id: AccountId) -> Client {
        Client { account_id: Some(account_id), ..self.of(origin) }
    }
}

/// What came back from a call, and from where: the account may have moved.
pub(super) struct Reply {
    pub(super) response: Response,
    pub(super) origin: Arc<str>,
}

impl Client {
    /// A client with a pace of its own, for the account at `base_url` (`https://example.kommo.com`) and its long-lived
    /// token.
    ///
    /// # Errors
    /// `base_url` is no address that may get a token; or there are no CA certificates.
    pub fn new(
        base_url: impl AsRef<str>,
        token: SecretString,
        options: ClientOptions,
    ) -> Result<Self, Error> {
        let text = base_url.as_ref();
        let refused = |why: &dyn fmt::Display| {
            Error::Refused(format!(
                "`{text}` is no address of an account, like https://example.kommo.com: {why}"
            ))
        };
        let url = Url::parse(text).map_err(|error| refused(&error))?;
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(refused(&"there is something behind the host"));
        }
        options.hosts.check(&url).map_err(|refusal| refused(&refusal))?;
        let origin = url.origin().ascii_serialization();
        let limits =
            CallLimits { rate_per_account: options.rate_per_second.max(1), rate_total: None, concurrency: 0 };
        let clock = Clock::system();
        let kommo = Kommo::leaving(&options.outgoing, options.hosts, options.timeout)
            .map_err(|error| Error::Setup(error.to_string()))?;
        let clients = Clients {
            kommo,
            limiter: CallLimiter::new(limits, clock.clone()),
            credentials: Arc::new(LongLived::new(&origin, token)),
            clock,
            random: fastrand::f64,
            patience: options.patience,
            runtime: None,
        };
        Ok(Arc::new(clients).of(origin))
    }

    /// The same client, whose calls wait for at most so long: for their turn, for the end of a pause, for further
    /// tries. A call that is under way then still has its time.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// The account's address as the client knows it, `https://example.kommo.com`.
    pub fn account_url(&self) -> &str {
        &self.origin
    }

    /// Makes the call, with all that belongs to it. Only a success is a reply.
    pub(super) async fn call(&self, ask: Ask) -> Result<Reply, Error> {
        let client = self.clone();
        let Some(runtime) = &self.shared.runtime else { return client.run(ask).await };
        let running = AbortOnDropHandle::new(runtime.spawn(async move { client.run(ask).await }));
        running.await.unwrap_or_else(|_| {
            Err(Error::Transport { why: "the program is stopping".to_owned(), sent: true })
        })
    }

    async fn run(self, ask: Ask) -> Result<Reply, Error> {
        let Clients { kommo, clock, credentials, random, .. } = &*self.shared;
        let deadline = clock.elapsed().saturating_add(self.patience);
        let whose = Whose { origin: &self.origin, account_id: self.account_id };
        let mut bearer = credentials.bearer(whose).await.map_err(Error::NotConnected)?;
        let (mut tries, mut renewed, mut asked_to_wait) = (0, false, false);
        loop {
            let url = ask.url(&bearer.origin)?;
            let mut permit = self.permit(&bearer, deadline, asked_to_wait).await?;
            if credentials.is_refused(whose, &bearer) {
                drop(permit);
                bearer = credentials.bearer(whose).await.map_err(Error::NotConnected)?;
                continue;
            }
            if permit.start().is_err() {
                // A pause began since it had its turn: it waits for the next one.
                continue;
            }
            tries += 1;
            let call = Call::with_method(ask.method.clone(), url, ask.body.clone())
                .bearer(&bearer.token)
                .most_body(MOST_LIST);
            let got = match kommo.send(call).await {
                Ok(response) if ask.is_read() && response.broke_off(MOST_LIST) => {
                    Err(Failure::Lost { why: "the answer broke off".to_owned(), timed_out: false })
                }
                // A read finds out when it is decoded; of a write the body is not looked at.
                Ok(response) if !ask.is_read() && response.is_web_page() => {
                    let why = format!("{} with an HTML page, which is not Kommo's API", response.status);
                    Err(Failure::Lost { why, timed_out: false })
                }
                got => got,
            };
            let tried = Tried { is_read: ask.is_read(), tries, renewed, jitter: random() };
            match judge(&got, tried) {
                Next::Done { account_is_fine } => {
                    if account_is_fine {
                        permit.succeeded();
                    }
                    let response = got?;
                    let origin = bearer.origin;
                    return if response.is_success() {
                        Ok(Reply { response, origin })
                    } else {
                        Err(Error::of(&response))
                    };
                }
                Next::Renew => {
                    // Renewing needs a permit itself, and this reservation could be the only one.
                    drop(permit);
                    tries -= 1;
                    renewed = true;
                    bearer = credentials.renewed(whose, &bearer).await.map_err(Error::Unauthorized)?;
                }
                Next::TooMany { hint, again } => {
                    permit.pause(Pause { cause: Cause::TooMany, hint, source: Source::Call });
                    if !again {
                        return Err(Error::RateLimited { retry_after: hint });
                    }
                    asked_to_wait = true;
                }
                Next::After(delay) => {
                    drop(permit);
                    if clock.elapsed().saturating_add(delay) >= deadline {
                        return Err(got.map_or_else(Error::from, |response| Error::of(&response)));
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

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("account_url", &self.origin).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_hosts_are_those_of_the_configuration() {
        let file: toml::Table = include_str!("../../../config/default.toml").parse().unwrap();
        let configured: Vec<_> =
            file["delivery"]["allowed_hosts"].as_array().unwrap().iter().filter_map(|v| v.as_str()).collect();
        let ours = ClientOptions::default().hosts.allowed;
        assert_eq!(ours.iter().map(ToString::to_string).collect::<Vec<_>>(), configured);
    }

    #[test]
    fn a_client_is_made_for_an_account_and_nothing_else() {
        let client = |url: &str| Client::new(url, "a-token".into(), ClientOptions::default());
        let made = client("https://Example.kommo.com/").unwrap();
        assert_eq!(made.account_url(), "https://example.kommo.com");
        assert!(!format!("{made:?}").contains("a-token"));
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
            assert!(error.starts_with(&format!("`{url}` is no address of an account")), "{error}");
        }
    }
}
