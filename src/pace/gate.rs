//! The gate through which every call to Kommo goes: pace and places together.
//!
//! The sender asks for as many passes as it may have and never waits ([`Gate::admit`]); whoever makes a
//! single call waits for its turn ([`Gate::turn`]). A busy sender leaves every second call to those who
//! wait, and they leave it every other, so that neither a handler's question nor a continue stands behind all of the others.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::clock::Clock;
use crate::model::Shares;

use super::pause::Pause;
use super::rate::{Errand, Hold, Pace, Ticket};

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

/// Hears the account for which something became free.
type OnFreed = Box<dyn Fn(&str) + Send + Sync>;

/// Shared by all who call Kommo.
pub struct Gate {
    inside: Mutex<Inside>,
    clock: Clock,
    /// Tells those who wait for a turn that it may have come.
    changed: Notify,
    /// Called with an account whenever a place of it becomes free, or something else that may let its continues go.
    freed: OnceLock<OnFreed>,
}

struct Inside {
    pace: Pace,
    shares: Shares,
}

impl Gate {
    /// A gate that nobody has passed.
    pub fn new(limits: Limits, clock: Clock) -> Arc<Self> {
        let pace = Pace::new(limits.rate_per_account, limits.rate_total);
        let inside = Mutex::new(Inside { pace, shares: Shares::for_anybody(limits.places) });
        Arc::new(Self { inside, clock, changed: Notify::new(), freed: OnceLock::new() })
    }

    /// Calls `freed` with an account after whatever may let its continues go: a place of it that became free, the end of a
    /// call or of a pause, a waiter that left. The first wish counts.
    pub fn on_freed(&self, freed: impl Fn(&str) + Send + Sync + 'static) {
        let _there_is_one_sender = self.freed.set(Box::new(freed));
    }

    /// The passes of [`admit`](Self::admit), for tests that need no reason.
    #[cfg(test)]
    pub fn enter(self: &Arc<Self>, account: &str, wanted: usize) -> Vec<Pass> {
        self.admit(account, wanted).unwrap_or_default()
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
    #[cfg(test)]
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

    /// There is a new token for `account`: ends its pause, if it was for want of one. Says whether it was.
    pub fn lift(&self, account: &str) -> bool {
        let lifted = self.lock().pace.lift(account);
        self.tell(account);
        lifted
    }

    /// The tokens of `account` were renewed: ends its pause, if Kommo was not even asked for want of them. One who was
    /// refused by Kommo is not let through by that. Says whether there was such a pause.
    pub fn lift_unasked(&self, account: &str) -> bool {
        let lifted = self.lock().pace.lift_unasked(account);
        if lifted {
            self.tell(account);
        }
        lifted
    }

    async fn ticket(&self, account: &str, errand: Errand, patience: Duration) -> Result<Ticket, Paused> {
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
        Pass { gate: self.clone(), account, ticket, has_place, stage: Stage::Reserved }
    }

    fn tell(&self, account: &str) {
        self.changed.notify_waiters();
        if let Some(freed) = self.freed.get() {
            freed(account);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
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

/// How far the call of a [`Pass`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It has a ticket, and has not gone out.
    Reserved,
    /// It has gone out.
    Started,
    /// What its answer says about the account was told, or the ticket was given back.
    Settled,
}

/// The permission for one call, and perhaps a place for it. Dropping it gives back what was not used.
pub struct Pass {
    gate: Arc<Gate>,
    account: Arc<str>,
    ticket: Ticket,
    has_place: bool,
    stage: Stage,
}

impl Pass {
    /// The call goes out now.
    pub fn start(&mut self) {
        let now = self.gate.clock.elapsed();
        self.gate.lock().pace.start(&self.account, now);
        self.stage = Stage::Started;
    }

    /// The answer shows that the account takes calls. Says whether that ended a pause.
    pub fn fine(&mut self) -> bool {
        self.stage = Stage::Settled;
        self.gate.lock().pace.fine(&self.account, self.ticket)
    }

    /// The answer asks to wait. Says how long the pause is that this began; none if a later one is in force.
    pub fn pause(&mut self, pause: Pause) -> Option<Duration> {
        let now = self.gate.clock.elapsed();
        let Pause { scope, cause, hint } = pause;
        let mut inside = self.gate.lock();
        if self.stage == Stage::Reserved {
            inside.pace.release(&self.account, self.ticket);
        }
        self.stage = Stage::Settled;
        let until = inside.pace.pause(&self.account, self.ticket, scope, cause, hint, now);
        until.map(|until| until.saturating_sub(now))
    }

    /// Gives the ticket back, and keeps the place: something has to be waited for before the call can go out.
    pub fn give_back(&mut self) {
        self.settle();
        self.gate.tell(&self.account);
    }

    /// Waits, at most `patience`, for another ticket in the same place: for a call in addition, or for one whose ticket
    /// was given back.
    ///
    /// # Errors
    /// The turn does not come in time. Then there is no ticket any more.
    pub async fn renew(&mut self, patience: Duration) -> Result<(), Paused> {
        self.give_back();
        self.ticket = self.gate.ticket(&self.account, Errand::Call, patience).await?;
        self.stage = Stage::Reserved;
        Ok(())
    }

    fn settle(&mut self) {
        let mut inside = self.gate.lock();
        match self.stage {
            Stage::Reserved => inside.pace.release(&self.account, self.ticket),
            Stage::Started => inside.pace.unknown(&self.account, self.ticket),
            Stage::Settled => {}
        }
        self.stage = Stage::Settled;
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.settle();
        if self.has_place {
            self.gate.lock().shares.give_back(&self.account);
        }
        self.gate.tell(&self.account);
    }
}

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;
