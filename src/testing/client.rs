//! The client in the context of a test: of a simulated account, or of none.

use std::sync::{Arc, LazyLock};

use secrecy::SecretString;

use kommo::pace::{CallLimiter, CallLimits};
use kommo::{AccountRef, Bearer, BearerFuture, Client, ClientFactory, Credentials, HttpClient, NoBearer};
use model::clock::Clock;
use model::{HostRules, Outgoing};

use super::TEST_TIMEOUT;
use super::context::Account;

/// More calls a second than a test makes: the pace of a unit test is not the bridge's.
const RATE: u32 = 10_000;

/// Makes no call, so all tests share it: TLS takes a while to set up.
static NO_HTTP: LazyLock<HttpClient> = LazyLock::new(|| http_client(Vec::new()));

/// The client of a simulated account. A read that may succeed later is tried again at once.
pub(super) fn client_of(account: &Account, clock: Clock) -> Client {
    let host = account.url.trim_start_matches("http://");
    let token =
        PlayedToken { origin: account.url.as_str().into(), token: Arc::new(account.token.clone().into()) };
    client(http_client(vec![host]), Arc::new(token), clock, &account.url)
}

/// A client that panics when it is used.
pub(super) fn no_client(clock: Clock) -> Client {
    client(NO_HTTP.clone(), Arc::new(NoKommo), clock, "https://example.kommo.com")
}

fn client(kommo: HttpClient, credentials: Arc<dyn Credentials>, clock: Clock, origin: &str) -> Client {
    let limits = CallLimits { rate_per_account: RATE, rate_total: None, concurrency: 0 };
    let limiter = CallLimiter::new(limits, clock.clone());
    let factory = ClientFactory {
        kommo,
        limiter,
        credentials,
        clock,
        // No backoff: jitter takes all of it away.
        random: || 0.0,
        patience: TEST_TIMEOUT,
        runtime: None,
    };
    Arc::new(factory).client_at(origin)
}

fn http_client(hosts: Vec<&str>) -> HttpClient {
    let allowed = hosts.into_iter().map(|host| host.parse().expect("the simulator has an address")).collect();
    let rules = HostRules { allowed, insecure: true };
    HttpClient::new(&Outgoing::default(), rules, TEST_TIMEOUT).expect("an HTTP client")
}

/// The long-lived token of a simulated account.
struct PlayedToken {
    origin: Arc<str>,
    token: Arc<SecretString>,
}

impl Credentials for PlayedToken {
    fn bearer<'a>(&'a self, _: AccountRef<'a>) -> BearerFuture<'a> {
        let bearer = Bearer { origin: self.origin.clone(), token: self.token.clone(), generation: 0 };
        Box::pin(async { Ok(bearer) })
    }

    fn renewed<'a>(&'a self, _: AccountRef<'a>, _: &'a Bearer) -> BearerFuture<'a> {
        Box::pin(async { Err(NoBearer::LongLived) })
    }
}

/// The credentials of a context without a Kommo.
struct NoKommo;

impl Credentials for NoKommo {
    fn bearer<'a>(&'a self, _: AccountRef<'a>) -> BearerFuture<'a> {
        Box::pin(async {
            panic!(
                "the handler calls Kommo, but its context has none: build it with `TestContext::new().kommo(&kommo)`"
            )
        })
    }

    fn renewed<'a>(&'a self, account: AccountRef<'a>, _: &'a Bearer) -> BearerFuture<'a> {
        self.bearer(account)
    }
}
