//! The gate through which every call to Kommo goes: pace and places together.
//!
//! The sender asks for as many passes as it may have and never waits ([`Gate::admit`]); whoever makes a
//! single call waits for its turn ([`Gate::turn`]). A busy sender leaves every second call to those who
//! wait, and they leave it every other, so that neither a handler's question nor a continue stands behind all of the others.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use model::Shares;
use model::clock::Clock;

use super::cause::Cause;
use super::permit::Pass;
use super::state::{Errand, Hold, Pace, Ticket};

/// A wait that rounds to nothing must not become a loop without a pause.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);

/// How many calls.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Calls per second and account.
    pub rate_per_account: u32,
    /// Calls per second of the whole bridge, if that is limited.
    pub rate_total: Option<u32>,
    /// Continues in flight at once, over all accounts.
    pub places: usize,
}

/// Hears of an account for which something changed.
type ForAccount = Box<dyn Fn(&str) + Send + Sync>;

/// Shared by all who call Kommo.
pub struct Gate {
    inside: Mutex<Inside>,
    pub(super) clock: Clock,
    /// Tells those who wait for a turn that it may have come.
    changed: Notify,
    /// Called with an account whenever a place of it becomes free, or something else that may let its continues go.
    freed: OnceLock<ForAccount>,
    /// Called when an account's pause has ended.
    went_on: OnceLock<ForAccount>,
}

pub(super) struct Inside {
    pub(super) pace: Pace,
    pub(super) shares: Shares,
}

impl Gate {
    /// A gate that nobody has passed.
    pub fn new(limits: Limits, clock: Clock) -> Arc<Self> {
        let pace = Pace::new(limits.rate_per_account, limits.rate_total);
        let inside = Mutex::new(Inside { pace, shares: Shares::for_anybody(limits.places) });
        Arc::new(Self {
            inside,
            clock,
            changed: Notify::new(),
            freed: OnceLock::new(),
            went_on: OnceLock::new(),
        })
    }

    /// Calls `freed` with an account after whatever may let its continues go: a place of it that became free, the end of a
    /// call or of a pause, a waiter that left. The first wish counts.
    pub fn on_freed(&self, freed: impl Fn(&str) + Send + Sync + 'static) {
        let _there_is_one_sender = self.freed.set(Box::new(freed));
    }

    /// Calls `went_on` with the account whenever an account's pause has ended. The first wish counts.
    pub fn on_account_went_on(&self, went_on: impl Fn(&str) + Send + Sync + 'static) {
        let _there_is_one_sender = self.went_on.set(Box::new(went_on));
    }

    /// Whether all accounts wait, and what for.
    pub fn everybody_waits(&self) -> Option<EverybodyWaits> {
        let now = self.clock.elapsed();
        let (accounts, until, holds_all) = self.lock().pace.everybody_waits()?;
        let left = until.saturating_sub(now);
        Some(EverybodyWaits { accounts, left: (!left.is_zero()).then_some(left), holds_all })
    }

    /// Up to `wanted` passes for continues to `account`, each with a place.
    ///
    /// # Errors
    /// None may go now. It may be worth asking again at the moment that the error names, or after the next event of the
    /// account ([`on_freed`](Self::on_freed)).
    pub fn admit(self: &Arc<Self>, account: &str, wanted: usize) -> Result<Vec<Pass>, Hold> {
        let now = self.clock.elapsed();
        let mut inside = self.lock();
        let places = inside.shares.take(account, wanted);
        let tickets = inside.pace.reserve(account, places, now);
        for _ in tickets.len()..places {
            inside.shares.give_back(account);
        }
        if tickets.is_empty() {
            let for_want_of_places = if inside.shares.is_full() { Hold::All(None) } else { Hold::Share };
            return Err(inside.pace.hold(account, now).unwrap_or(for_want_of_places));
        }
        drop(inside);
        let account: Arc<str> = account.into();
        Ok(tickets.into_iter().map(|ticket| self.pass(account.clone(), ticket, true)).collect())
    }

    /// Waits for the turn of a single call to `account`, at most `patience`.
    ///
    /// # Errors
    /// It does not come in time.
    pub async fn turn(
        self: &Arc<Self>,
        account: &str,
        errand: Errand,
        patience: Duration,
    ) -> Result<Pass, Paused> {
        let ticket = self.ticket(account, errand, patience).await?;
        Ok(self.pass(account.into(), ticket, false))
    }

    /// Time until a single call to `account` may go; `None` if that depends on another event.
    pub fn wait(&self, account: &str) -> Option<Duration> {
        self.wait_for(account, Errand::Call)
    }

    fn wait_for(&self, account: &str, errand: Errand) -> Option<Duration> {
        let now = self.clock.elapsed();
        self.lock().pace.next(account, errand, now).map(|next| next.saturating_sub(now))
    }

    /// Something outside the gate changed that may let the continues of `account` go.
    pub fn look_again(&self, account: &str) {
        self.tell(account);
    }

    /// An operator asks to try `account` now: whatever pauses it, or all accounts, goes on to its probe, which is one call.
    /// Says whether something paused it.
    pub fn resume(&self, account: &str) -> bool {
        let now = self.clock.elapsed();
        let of_all = self.lock().pace.resume_all(account, now);
        self.probe_next(account) || of_all
    }

    /// The next call to `account` is the probe of its pause, if it is paused. Says whether it is.
    pub fn probe_next(&self, account: &str) -> bool {
        let now = self.clock.elapsed();
        let is_paused = self.lock().pace.probe_next(account, now);
        self.tell(account);
        is_paused
    }

    /// The accounts that are paused for `least` or longer from now on, why, and for how long.
    pub fn paused(&self, least: Duration) -> Vec<(Arc<str>, Cause, Duration)> {
        let now = self.clock.elapsed();
        let paused = self.lock().pace.paused();
        let left =
            paused.into_iter().map(|(account, cause, until)| (account, cause, until.saturating_sub(now)));
        left.filter(|(_, _, left)| *left >= least).collect()
    }

    /// There is a new token for `account`: ends its pause, if it was for want of one. Says whether it was.
    pub fn lift(&self, account: &str) -> bool {
        let lifted = self.lock().pace.lift(account);
        self.tell(account);
        self.tell_went_on(account, lifted);
        lifted
    }

    /// The tokens of `account` were renewed: ends its pause, if Kommo was not even asked for want of them. One who was
    /// refused by Kommo is not let through by that. Says whether there was such a pause.
    pub fn lift_unasked(&self, account: &str) -> bool {
        let lifted = self.lock().pace.lift_unasked(account);
        if lifted {
            self.tell(account);
        }
        self.tell_went_on(account, lifted);
        lifted
    }

    pub(super) async fn ticket(
        &self,
        account: &str,
        errand: Errand,
        patience: Duration,
    ) -> Result<Ticket, Paused> {
        let deadline = self.clock.elapsed() + patience;
        let _guest = Guest::new(self, account);
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let now = self.clock.elapsed();
            if let Some(ticket) = self.lock().pace.reserve_for_guest(account, errand, now) {
                return Ok(ticket);
            }
            let left = deadline.saturating_sub(now);
            let wait = self.wait_for(account, errand);
            if wait.is_some_and(|wait| wait > left) || left.is_zero() {
                return Err(Paused { left: wait });
            }
            tokio::select! {
                () = changed => {}
                () = self.clock.sleep(wait.unwrap_or(left).max(SHORTEST_WAIT)) => {}
            }
        }
    }

    fn pass(self: &Arc<Self>, account: Arc<str>, ticket: Ticket, has_place: bool) -> Pass {
        Pass::new(self.clone(), account, ticket, has_place)
    }

    pub(super) fn tell_went_on(&self, account: &str, it_did: bool) {
        if let Some(went_on) = self.went_on.get().filter(|_| it_did) {
            went_on(account);
        }
    }

    pub(super) fn tell(&self, account: &str) {
        self.changed.notify_waiters();
        if let Some(freed) = self.freed.get() {
            freed(account);
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The turn does not come in time.
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

/// Somebody who waits for a turn, counted for as long as it lives.
struct Guest<'a> {
    gate: &'a Gate,
    account: &'a str,
}

impl<'a> Guest<'a> {
    fn new(gate: &'a Gate, account: &'a str) -> Self {
        let now = gate.clock.elapsed();
        gate.lock().pace.guest_comes(account, now);
        Self { gate, account }
    }
}

impl Drop for Guest<'_> {
    fn drop(&mut self) {
        self.gate.lock().pace.guest_leaves(self.account);
        // What was left to a guest who went away is the others' again.
        self.gate.tell(self.account);
    }
}

#[cfg(test)]
mod tests;
