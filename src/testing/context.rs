//! Builds the context of an attempt.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::handler::{CallbackUrls, Context, Notes};
use model::clock::Clock;
use model::{HandlerPolicy, JobId, Timestamp};
use simulator::Simulator;

use super::client::{client_of, no_client};

/// Builds a [`Context`].
///
/// Unless the test says otherwise, it is the first attempt, has the 30 s that are the bridge's default, and has no Kommo: a
/// handler that calls [`Context::kommo`] then panics, with a message that says so.
///
/// ```
/// use std::time::Duration;
/// use salesbot_bridge::testing::TestContext;
///
/// let context = TestContext::new().attempt(2).time_limit(Duration::from_secs(5)).build();
/// assert_eq!((context.attempt(), context.time_limit().as_secs()), (2, 5));
/// ```
///
/// A test of what a handler does when its attempt is cut off keeps the token and cancels it:
///
/// ```
/// # let context = salesbot_bridge::testing::TestContext::new().build();
/// let cancelled = context.cancelled().clone();
/// // … start the handler with `context` …
/// cancelled.cancel();
/// ```
#[derive(Clone, Debug)]
pub struct TestContext {
    job_id: JobId,
    attempt: u32,
    time_limit: Duration,
    clock: Clock,
    kommo: Option<Account>,
}

/// Where a simulated account is, and what it accepts.
#[derive(Clone)]
pub(super) struct Account {
    pub(super) url: String,
    pub(super) token: String,
}

impl std::fmt::Debug for Account {
    /// Without the token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account").field("url", &self.url).finish_non_exhaustive()
    }
}

impl TestContext {
    /// The context of a first attempt.
    pub fn new() -> Self {
        Self {
            job_id: JobId::new(Timestamp::default(), 1),
            attempt: 1,
            time_limit: HandlerPolicy::default().attempt_timeout,
            clock: Clock::system(),
            kommo: None,
        }
    }

    /// Sets which attempt it is, from 1.
    #[must_use]
    pub fn attempt(self, number: u32) -> Self {
        Self { attempt: number, ..self }
    }

    /// Sets the time that the attempt has. [`run`](super::run) fails the test when it is over; a call to Kommo waits no longer.
    #[must_use]
    pub fn time_limit(self, limit: Duration) -> Self {
        Self { time_limit: limit, ..self }
    }

    /// Sets the id of the job, which is the handler's idempotency key.
    #[must_use]
    pub fn job_id(self, id: JobId) -> Self {
        Self { job_id: id, ..self }
    }

    /// Makes [`Context::deadline`], and the waits of calls to Kommo, depend on this clock, for example on
    /// [`ManualClock::clock`](crate::ManualClock::clock).
    #[must_use]
    pub fn clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// Lets the handler call this account: see [`TestKommo`](super::TestKommo).
    #[must_use]
    pub fn kommo(self, kommo: &Simulator) -> Self {
        let (url, token) = (kommo.base_url().to_owned(), kommo.options().access_token.clone());
        Self { kommo: Some(Account { url, token }), ..self }
    }

    /// The context as a handler gets it.
    pub fn build(self) -> Context {
        let Self { job_id, attempt, time_limit, clock, kommo } = self;
        let deadline = clock.now() + time_limit;
        let client = match kommo {
            Some(account) => client_of(&account, clock),
            None => no_client(clock),
        };
        Context {
            job_id,
            attempt,
            deadline,
            remaining: time_limit,
            cancelled: CancellationToken::new(),
            kommo: client.with_patience(time_limit),
            answer_by: deadline,
            callbacks: Arc::new(CallbackUrls::new("http://callback.invalid".parse().ok(), [0; 32])),
            notes: Notes::new(|_, _| {}),
        }
    }
}

impl Default for TestContext {
    fn default() -> Self {
        Self::new()
    }
}

impl From<TestContext> for Context {
    fn from(context: TestContext) -> Self {
        context.build()
    }
}
