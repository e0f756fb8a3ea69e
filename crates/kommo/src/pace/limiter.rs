//! The limiter for all calls to Kommo: rates, circuit breakers, and the number of continues in flight.
//!
//! There are two ways to get a [`Permit`](super::Permit). The sender takes all permits that it may have, and never waits
//! ([`CallLimiter::try_acquire`]). A single call waits for one ([`CallLimiter::acquire`]). The two sides take turns, so a
//! handler's call does not wait behind all continues, nor a continue behind all handlers.
//! `docs/decisions/2026-11-29-pace-two-ways-in.md` explains why there is no common queue.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use model::FairSemaphore;
use model::clock::Clock;

use super::cause::Cause;
use super::state::{CallKind, LimiterState, Reservation};

/// The shortest wait, so that a wait that rounds to zero does not become a busy loop.
const MIN_WAIT: Duration = Duration::from_millis(1);

/// The limits on calls and on continues in flight.
#[derive(Clone, Copy, Debug)]
pub struct CallLimits {
    /// The maximum number of calls per second to one account.
    pub rate_per_account: u32,
    /// The maximum number of calls per second to all accounts; `None` if there is no limit.
    pub rate_total: Option<u32>,
    /// The maximum number of continues in flight to all accounts.
    pub concurrency: usize,
}

/// The calls to one account within the current window, which is a little longer than a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// The calls that started within it, or are about to.
    pub used: usize,
    /// How many may.
    pub limit: usize,
    /// The time until the next call may start, apart from pauses; `None` if it may start now.
    pub next_in: Option<Duration>,
}

/// A callback that gets the account for which something changed.
type ForAccount = Box<dyn Fn(&str) + Send + Sync>;

/// Decides when a call to Kommo may start. All callers share one limiter.
pub struct CallLimiter {
    inner: Mutex<Inner>,
    pub(super) clock: Clock,
    /// Wakes the waiters, because a call may be possible now.
    changed: Notify,
    /// Called with an account after an event that may let its continues start.
    freed: OnceLock<ForAccount>,
    /// Called with an account when its pause has ended.
    resumed: OnceLock<ForAccount>,
}

pub(super) struct Inner {
    pub(super) state: LimiterState,
    pub(super) permits: FairSemaphore,
}

impl CallLimiter {
    /// Creates a limiter.
    pub fn new(limits: CallLimits, clock: Clock) -> Arc<Self> {
        let state = LimiterState::new(limits.rate_per_account, limits.rate_total);
        let inner = Mutex::new(Inner { state, permits: FairSemaphore::among_newcomers(limits.concurrency) });
        Arc::new(Self {
            inner,
            clock,
            changed: Notify::new(),
            freed: OnceLock::new(),
            resumed: OnceLock::new(),
        })
    }

    /// Calls `freed` with an account after each event that may let its continues start: a permit was released, a call or a
    /// pause ended, or a waiter left. Only the first callback is kept.
    pub fn on_freed(&self, freed: impl Fn(&str) + Send + Sync + 'static) {
        let _there_is_one_sender = self.freed.set(Box::new(freed));
    }

    /// Calls `resumed` with an account when its pause has ended. Only the first callback is kept.
    pub fn on_account_resumed(&self, resumed: impl Fn(&str) + Send + Sync + 'static) {
        let _there_is_one_sender = self.resumed.set(Box::new(resumed));
    }

    /// The wait that began because Kommo seems to block the bridge's IP address; `None` if there is none.
    pub fn everybody_waits(&self) -> Option<EverybodyWaits> {
        let now = self.clock.elapsed();
        let (accounts, until, holds_all) = self.lock().state.everybody_waits()?;
        let left = until.saturating_sub(now);
        Some(EverybodyWaits { accounts, left: (!left.is_zero()).then_some(left), holds_all })
    }

    /// The time until a single call to `account` may start; `None` if that depends on another event.
    pub fn wait(&self, account: &str) -> Option<Duration> {
        self.wait_for(account, CallKind::Api)
    }

    fn wait_for(&self, account: &str, kind: CallKind) -> Option<Duration> {
        let now = self.clock.elapsed();
        self.lock().state.next(account, kind, now).map(|next| next.saturating_sub(now))
    }

    /// The pace of `account`, apart from its pauses.
    pub fn pace(&self, account: &str) -> Pace {
        let now = self.clock.elapsed();
        let (used, limit, next) = self.lock().state.pace(account, now);
        let left = next.saturating_sub(now);
        Pace { used, limit, next_in: (!left.is_zero()).then_some(left) }
    }

    /// Reports a change outside the limiter that may let the continues of `account` start.
    pub fn recheck(&self, account: &str) {
        self.notify(account);
    }

    /// Lets `account` make a probe now, because an operator asked for it. The pauses of the account and of all accounts
    /// then allow one call. Returns whether there was a pause.
    pub fn resume(&self, account: &str) -> bool {
        let now = self.clock.elapsed();
        let of_all = self.lock().state.resume_all(account, now);
        self.probe_next(account) || of_all
    }

    /// Makes the next call to `account` the probe of its pause. Returns whether it is paused.
    pub fn probe_next(&self, account: &str) -> bool {
        let now = self.clock.elapsed();
        let is_paused = self.lock().state.probe_next(account, now);
        self.notify(account);
        is_paused
    }

    /// The accounts with at least `least` left of their pause, with the cause and the remaining time.
    pub fn paused(&self, least: Duration) -> Vec<(Arc<str>, Cause, Duration)> {
        let now = self.clock.elapsed();
        let paused = self.lock().state.paused();
        let left =
            paused.into_iter().map(|(account, cause, until)| (account, cause, until.saturating_sub(now)));
        left.filter(|(_, _, left)| *left >= least).collect()
    }

    /// Ends the pause of `account` if it waits for a token, because there is a new one. Returns whether this ended a pause.
    pub fn resume_with_new_token(&self, account: &str) -> bool {
        let lifted = self.lock().state.resume_with_new_token(account);
        self.notify(account);
        self.notify_resumed(account, lifted);
        lifted
    }

    /// Ends the pause of `account` if it began without a call, because its tokens have been renewed. A pause that began
    /// with a refusal from Kommo continues. Returns whether this ended a pause.
    pub fn resume_after_renewal(&self, account: &str) -> bool {
        let lifted = self.lock().state.resume_after_renewal(account);
        if lifted {
            self.notify(account);
        }
        self.notify_resumed(account, lifted);
        lifted
    }

    pub(super) async fn reserve(
        &self,
        account: &str,
        kind: CallKind,
        patience: Duration,
    ) -> Result<Reservation, Paused> {
        let deadline = self.clock.elapsed() + patience;
        let _waiter = Waiter::new(self, account);
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let now = self.clock.elapsed();
            if let Some(reservation) = self.lock().state.reserve_for_waiter(account, kind, now) {
                return Ok(reservation);
            }
            let left = deadline.saturating_sub(now);
            let wait = self.wait_for(account, kind);
            if wait.is_some_and(|wait| wait > left) || left.is_zero() {
                return Err(Paused { left: wait });
            }
            tokio::select! {
                () = changed => {}
                () = self.clock.sleep(wait.unwrap_or(left).max(MIN_WAIT)) => {}
            }
        }
    }

    pub(super) fn notify_resumed(&self, account: &str, it_did: bool) {
        if let Some(resumed) = self.resumed.get().filter(|_| it_did) {
            resumed(account);
        }
    }

    pub(super) fn notify(&self, account: &str) {
        self.changed.notify_waiters();
        if let Some(freed) = self.freed.get() {
            freed(account);
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// No permit became available in time, because calls to the account are paused or its rate is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("calls to this account are paused{}", match left {
    Some(left) => format!(" for another {} s", left.as_secs_f64().ceil()),
    None => String::new(),
})]
pub struct Paused {
    /// The remaining time, if known.
    pub left: Option<Duration>,
}

/// A wait that began because Kommo seems to block the bridge's IP address: of all accounts, or of the only account with
/// something to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EverybodyWaits {
    /// The addresses of the accounts that were refused.
    pub accounts: Vec<Arc<str>>,
    /// The remaining time; `None` if a probe may start at any time.
    pub left: Option<Duration>,
    /// Whether other accounts wait too. If not, the refused accounts are the only ones with something to send.
    pub holds_all: bool,
}

impl EverybodyWaits {
    /// The problem, without advice.
    pub fn what(&self) -> String {
        format!("Kommo answered 403 to continues for {} in a row", self.accounts.join(" and "))
    }
}

impl fmt::Display for EverybodyWaits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.what(), Cause::Blocked.advice())
    }
}

/// Counts a caller that waits for a permit, until it is dropped.
struct Waiter<'a> {
    limiter: &'a CallLimiter,
    account: &'a str,
}

impl<'a> Waiter<'a> {
    fn new(limiter: &'a CallLimiter, account: &'a str) -> Self {
        let now = limiter.clock.elapsed();
        limiter.lock().state.waiter_arrives(account, now);
        Self { limiter, account }
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.limiter.lock().state.waiter_leaves(self.account);
        // The call that was reserved for this waiter is available to others again.
        self.limiter.notify(self.account);
    }
}

#[cfg(test)]
mod tests;
