//! The limiter that every call to Kommo passes: rates, circuit breakers, and the number of continues in flight.
//!
//! There are two ways to get a [`Permit`](super::Permit). The sender takes as many as it may have and never waits
//! ([`CallLimiter::try_acquire`]). A single call waits until it gets one ([`CallLimiter::acquire`]). The two sides take
//! turns, so a handler's call does not wait behind all continues, nor a continue behind all handlers.
//! `docs/decisions/2026-11-29-pace-two-ways-in.md` says why there is not one queue for both.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use model::FairSemaphore;
use model::clock::Clock;

use super::cause::Cause;
use super::state::{CallKind, LimiterState, Reservation};

/// A wait that rounds to nothing must not become a loop without a pause.
const MIN_WAIT: Duration = Duration::from_millis(1);

/// How many calls may start, and how many continues may be in flight.
#[derive(Clone, Copy, Debug)]
pub struct CallLimits {
    /// Calls per second and account.
    pub rate_per_account: u32,
    /// Calls per second of the whole bridge, if that is limited.
    pub rate_total: Option<u32>,
    /// Continues in flight at once, over all accounts.
    pub concurrency: usize,
}

/// Called with the account for which something changed.
type ForAccount = Box<dyn Fn(&str) + Send + Sync>;

/// Decides when a call to Kommo may start. All callers share one.
pub struct CallLimiter {
    inner: Mutex<Inner>,
    pub(super) clock: Clock,
    /// Wakes waiters: a call may be possible now.
    changed: Notify,
    /// Called with an account after an event that may let its continues go.
    freed: OnceLock<ForAccount>,
    /// Called when an account's pause has ended.
    resumed: OnceLock<ForAccount>,
}

pub(super) struct Inner {
    pub(super) state: LimiterState,
    pub(super) permits: FairSemaphore,
}

impl CallLimiter {
    /// A limiter that no call has passed yet.
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

    /// Calls `freed` with an account after each event that may let its continues go: a permit of it was returned, a call or
    /// a pause ended, a waiter left. Only the first callback is kept.
    pub fn on_freed(&self, freed: impl Fn(&str) + Send + Sync + 'static) {
        let _there_is_one_sender = self.freed.set(Box::new(freed));
    }

    /// Calls `resumed` with an account when its pause has ended. Only the first callback is kept.
    pub fn on_account_resumed(&self, resumed: impl Fn(&str) + Send + Sync + 'static) {
        let _there_is_one_sender = self.resumed.set(Box::new(resumed));
    }

    /// Whether all accounts wait, and what for.
    pub fn everybody_waits(&self) -> Option<EverybodyWaits> {
        let now = self.clock.elapsed();
        let (accounts, until, holds_all) = self.lock().state.everybody_waits()?;
        let left = until.saturating_sub(now);
        Some(EverybodyWaits { accounts, left: (!left.is_zero()).then_some(left), holds_all })
    }

    /// Time until a single call to `account` may go; `None` if that depends on another event.
    pub fn wait(&self, account: &str) -> Option<Duration> {
        self.wait_for(account, CallKind::Api)
    }

    fn wait_for(&self, account: &str, kind: CallKind) -> Option<Duration> {
        let now = self.clock.elapsed();
        self.lock().state.next(account, kind, now).map(|next| next.saturating_sub(now))
    }

    /// Something outside the limiter changed that may let the continues of `account` go.
    pub fn recheck(&self, account: &str) {
        self.notify(account);
    }

    /// An operator asks to try `account` now: the pause of the account, and that of all accounts, go on to their probe, which
    /// is one call. Returns whether there was a pause.
    pub fn resume(&self, account: &str) -> bool {
        let now = self.clock.elapsed();
        let of_all = self.lock().state.resume_all(account, now);
        self.probe_next(account) || of_all
    }

    /// The next call to `account` is the probe of its pause, if it is paused. Returns whether it is.
    pub fn probe_next(&self, account: &str) -> bool {
        let now = self.clock.elapsed();
        let is_paused = self.lock().state.probe_next(account, now);
        self.notify(account);
        is_paused
    }

    /// The accounts that are paused for `least` or longer from now on, why, and for how long.
    pub fn paused(&self, least: Duration) -> Vec<(Arc<str>, Cause, Duration)> {
        let now = self.clock.elapsed();
        let paused = self.lock().state.paused();
        let left =
            paused.into_iter().map(|(account, cause, until)| (account, cause, until.saturating_sub(now)));
        left.filter(|(_, _, left)| *left >= least).collect()
    }

    /// There is a new token for `account`: ends its pause if that was for want of one. Returns whether it was.
    pub fn resume_with_new_token(&self, account: &str) -> bool {
        let lifted = self.lock().state.resume_with_new_token(account);
        self.notify(account);
        self.notify_resumed(account, lifted);
        lifted
    }

    /// The tokens of `account` were renewed: ends its pause if Kommo was not asked for want of a token. A pause that began
    /// with a refusal of Kommo goes on. Returns whether this ended one.
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

/// There is no permit in time, because calls to the account are paused or its rate is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("calls to this account are paused{}", match left {
    Some(left) => format!(" for {} s more", left.as_secs_f64().ceil()),
    None => String::new(),
})]
pub struct Paused {
    /// How long it would take, if that is known.
    pub left: Option<Duration>,
}

/// All accounts wait, because Kommo seems to block the bridge's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EverybodyWaits {
    /// The addresses of the accounts whose calls were refused.
    pub accounts: Vec<Arc<str>>,
    /// For how long; none if a probe may go out at any time.
    pub left: Option<Duration>,
    /// Whether others are held up too; if not, the accounts named are the only ones with something to send.
    pub holds_all: bool,
}

impl EverybodyWaits {
    /// What is wrong, without what to do about it.
    pub fn what(&self) -> String {
        format!("continues to {} were answered 403 in a row", self.accounts.join(" and "))
    }
}

impl fmt::Display for EverybodyWaits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.what(), Cause::Blocked.advice())
    }
}

/// A caller that waits for a permit, counted for as long as this lives.
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
        // The call that was left to this waiter is available to the others again.
        self.limiter.notify(self.account);
    }
}

#[cfg(test)]
mod tests;
