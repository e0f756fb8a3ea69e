//! The gate through which every call to Kommo goes: pace and places together.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Clock;
use crate::model::Shares;

use super::judge::Pause;
use super::pace::{Pace, Ticket};

/// Shared by all deliveries.
pub(super) struct Gate {
    inside: Mutex<Inside>,
    clock: Clock,
    /// Called whenever a place becomes free or a pause ends.
    freed: Box<dyn Fn() + Send + Sync>,
}

struct Inside {
    pace: Pace,
    shares: Shares,
}

impl Gate {
    pub(super) fn new(
        pace: Pace,
        shares: Shares,
        clock: Clock,
        freed: Box<dyn Fn() + Send + Sync>,
    ) -> Arc<Self> {
        Arc::new(Self { inside: Mutex::new(Inside { pace, shares }), clock, freed })
    }

    /// Up to `wanted` passes for calls to `account`.
    pub(super) fn enter(self: &Arc<Self>, account: &str, wanted: usize) -> Vec<Pass> {
        let mut inside = self.lock();
        let places = inside.shares.take(account, wanted);
        let tickets = inside.pace.reserve(account, places, self.clock.elapsed());
        for _ in tickets.len()..places {
            inside.shares.give_back(account);
        }
        let account: Arc<str> = account.into();
        tickets
            .into_iter()
            .map(|ticket| Pass {
                gate: self.clone(),
                account: account.clone(),
                ticket,
                started: false,
                told: false,
            })
            .collect()
    }

    /// How long until it may be worth to ask for `account` again; none if something else has to happen first.
    pub(super) fn wait(&self, account: &str) -> Option<Duration> {
        let now = self.clock.elapsed();
        self.lock().pace.next(account, now).map(|next| next.saturating_sub(now))
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The permission for one call, and a place for it. Dropping it gives back what was not used.
pub(super) struct Pass {
    gate: Arc<Gate>,
    account: Arc<str>,
    ticket: Ticket,
    started: bool,
    told: bool,
}

impl Pass {
    /// The call goes out now.
    pub(super) fn start(&mut self) {
        let now = self.gate.clock.elapsed();
        self.gate.lock().pace.start(&self.account, now);
        self.started = true;
    }

    /// The answer shows that the account takes calls. Says whether that ended a pause.
    pub(super) fn fine(&mut self) -> bool {
        self.told = true;
        self.gate.lock().pace.fine(&self.account, self.ticket)
    }

    /// The answer asks to wait. Says how long the pause is that this began.
    pub(super) fn pause(&mut self, pause: Pause) -> Option<Duration> {
        self.told = true;
        let now = self.gate.clock.elapsed();
        let Pause { scope, cause, hint } = pause;
        let until = self.gate.lock().pace.pause(&self.account, self.ticket, scope, cause, hint, now);
        until.map(|until| until.saturating_sub(now))
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut inside = self.gate.lock();
        inside.shares.give_back(&self.account);
        if !self.started {
            inside.pace.release(&self.account, self.ticket);
        } else if !self.told {
            inside.pace.unknown(&self.account, self.ticket);
        }
        drop(inside);
        (self.gate.freed)();
    }
}
