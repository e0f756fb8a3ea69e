//! Calls of a client, with credentials and a limiter that a test controls.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use secrecy::SecretString;

use super::*;
use crate::pace::{CallKind, CallLimiter, CallLimits, Cause, Pause, Source};
use model::clock::Clock;
use model::{HostRules, Timestamp};
use simulator::{Fault, Options, Simulator};

const MAX_WAIT: Duration = Duration::from_secs(20);

/// Issues one token, and after a renewal a second one. The renewal takes a permit for a call of its own.
struct Renewable {
    origin: Arc<str>,
    first: SecretString,
    second: Option<SecretString>,
    limiter: Arc<CallLimiter>,
    renewals: AtomicU32,
}

impl Renewable {
    fn issue(&self, token: &SecretString, generation: u64) -> Bearer {
        Bearer { origin: self.origin.clone(), token: Arc::new(token.clone()), generation }
    }
}

impl Credentials for Renewable {
    fn bearer<'a>(&'a self, _: AccountRef<'a>) -> BearerFuture<'a> {
        Box::pin(async { Ok(self.issue(&self.first, 1)) })
    }

    fn renewed<'a>(&'a self, _: AccountRef<'a>, _: &'a Bearer) -> BearerFuture<'a> {
        Box::pin(async {
            self.renewals.fetch_add(1, Ordering::SeqCst);
            let Some(second) = &self.second else { return Err(NoBearer::LongLived) };
            self.limiter.acquire(&self.origin, CallKind::Token, MAX_WAIT).await.unwrap().start().unwrap();
            Ok(self.issue(second, 2))
        })
    }
}

fn clients(
    simulator: &Simulator,
    tokens: (&str, Option<&str>),
    clock: Clock,
) -> (Arc<ClientFactory>, Arc<Renewable>) {
    let host = simulator.base_url().strip_prefix("http://").unwrap();
    let rules = HostRules { allowed: [host.parse().unwrap()].into(), insecure: true };
    let limits = CallLimits { rate_per_account: 7, rate_total: None, concurrency: 7 };
    let limiter = CallLimiter::new(limits, clock.clone());
    let credentials = Arc::new(Renewable {
        origin: simulator.base_url().into(),
        first: tokens.0.into(),
        second: tokens.1.map(Into::into),
        limiter: limiter.clone(),
        renewals: AtomicU32::new(0),
    });
    let clients = ClientFactory {
        kommo: HttpClient::direct(rules, MAX_WAIT).unwrap(),
        limiter,
        credentials: credentials.clone(),
        clock,
        random: || 0.0,
        patience: MAX_WAIT,
        runtime: None,
    };
    (Arc::new(clients), credentials)
}

async fn simulator() -> Simulator {
    Simulator::start(Options::default()).await.unwrap()
}

#[tokio::test]
async fn refused_token_is_renewed_once_and_the_call_is_retried() {
    let simulator = simulator().await;
    let good = simulator.options().access_token.clone();
    let (clients, credentials) = clients(&simulator, ("stale", Some(&good)), Clock::system());
    let client = clients.client_at(simulator.base_url());
    client.widget("amo_dropbox").await.unwrap();
    // This applies to a write too: Kommo did not accept the caller, so it did nothing.
    client.uninstall_widget("amo_dropbox").await.unwrap();
    assert_eq!(credentials.renewals.load(Ordering::SeqCst), 2);
    let statuses: Vec<_> = simulator.api_calls().iter().map(|call| call.status).collect();
    assert_eq!(statuses, [Some(401), Some(200), Some(401), Some(204)]);
}

#[tokio::test]
async fn token_refused_again_or_not_renewable_is_an_error() {
    let simulator = simulator().await;
    let (both_stale, credentials) = clients(&simulator, ("stale", Some("stale-too")), Clock::system());
    let error = both_stale.client_at(simulator.base_url()).widget("amo_dropbox").await.unwrap_err();
    assert!(matches!(error, Error::Unauthorized(NoBearer::NeedsAuthorization { .. })), "{error}");
    assert_eq!((credentials.renewals.load(Ordering::SeqCst), simulator.api_calls().len()), (1, 2));
    let (long_lived, _) = clients(&simulator, ("stale", None), Clock::system());
    let error = long_lived.client_at(simulator.base_url()).widget("amo_dropbox").await.unwrap_err();
    assert_eq!(error, Error::Unauthorized(NoBearer::LongLived));
    assert!(!error.is_worth_retrying());
}

#[tokio::test]
async fn probe_of_a_pause_may_renew_its_token() {
    let simulator = simulator().await;
    let good = simulator.options().access_token.clone();
    let manual = model::clock::ManualClock::new(Timestamp::from_millis(1));
    let (clients, _) = clients(&simulator, ("stale", Some(&good)), manual.clock());
    let mut permit = clients.limiter.acquire(simulator.base_url(), CallKind::Api, MAX_WAIT).await.unwrap();
    permit.start().unwrap();
    let cause = Cause::TooMany;
    permit.pause(Pause { cause, hint: Some(Duration::from_secs(5)), source: Source::Call });
    drop(permit);
    manual.advance(Duration::from_secs(5));
    let client = clients.client_at(simulator.base_url());
    let result = tokio::time::timeout(MAX_WAIT, client.widget("amo_dropbox")).await;
    assert_eq!(result.expect("the call waits for its own probe").unwrap().code, "amo_dropbox");
    // The success ended the pause. The two tries and the renewal leave room for four more calls.
    assert_eq!(clients.limiter.acquire_now(simulator.base_url(), 7).len(), 4);
}

#[tokio::test]
async fn call_goes_to_the_current_address_of_the_account() {
    let (old, new) = (simulator().await, simulator().await);
    let good = new.options().access_token.clone();
    let (clients, _) = clients(&new, (&good, None), Clock::system());
    let client = clients.client_at(old.base_url());
    // The links of the list lead to the new address, and the client follows them.
    let codes: Vec<_> = futures_util::TryStreamExt::try_collect(client.all_widgets(3)).await.unwrap();
    assert_eq!((codes.len(), old.api_calls().len(), new.api_calls().len()), (7, 0, 3));
}

#[tokio::test]
async fn long_pause_is_an_error_and_short_pause_is_waited_for() {
    let simulator = simulator().await;
    let good = simulator.options().access_token.clone();
    let manual = model::clock::ManualClock::new(Timestamp::from_millis(1));
    let (clients, _) = clients(&simulator, (&good, None), manual.clock());
    let client = clients.client_at(simulator.base_url());
    let too_many = |seconds| [Fault::TooManyRequests { header: Some(seconds), body: None }];
    simulator.queue_api_faults(too_many(3_000));
    let error = client.widget("amo_dropbox").await.unwrap_err();
    assert_eq!(error, Error::RateLimited { retry_after: Some(Duration::from_secs(3_000)) });
    // A later call is not sent.
    let error = client.widget("amo_dropbox").await.unwrap_err();
    assert_eq!(error, Error::Paused { left: Some(Duration::from_secs(3_000)) });
    assert_eq!(simulator.api_calls().len(), 1);

    manual.advance(Duration::from_secs(3_000));
    simulator.queue_api_faults(too_many(7));
    let waiting = tokio::spawn(async move { client.uninstall_widget("amo_dropbox").await });
    let second_pause = async {
        while clients.limiter.wait(simulator.base_url()) != Some(Duration::from_secs(7)) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(MAX_WAIT, second_pause).await.unwrap();
    manual.advance(Duration::from_secs(7));
    assert_eq!(waiting.await.unwrap(), Ok(()));
    assert_eq!(simulator.api_calls().len(), 3);
}

#[tokio::test]
async fn forbidden_call_of_a_handler_does_not_delay_continues() {
    let simulator = simulator().await;
    let good = simulator.options().access_token.clone();
    let (clients, _) = clients(&simulator, (&good, None), Clock::system());
    let client = clients.client_at(simulator.base_url()).with_patience(Duration::from_secs(1));
    for fault in [Fault::HtmlForbidden, Fault::Forbidden, Fault::PaymentRequired] {
        simulator.queue_api_faults([fault.clone()]);
        assert!(client.get_json("/api/v4/account").await.is_err(), "{fault}");
        for account in [simulator.base_url(), "https://other.kommo.com"] {
            assert_eq!(clients.limiter.wait(account), Some(Duration::ZERO), "{fault}: {account}");
        }
    }
    assert!(client.get_json("/api/v4/account").await.is_ok());
}
