//! When the next call may go out: the rate of each account and of the bridge, and pauses.
//!
//! No I/O and no clock: the time comes in, as the time since some fixed moment. A call is reserved, then
//! started, and counts from its reservation until a window after its start; so in no window more
//! calls start than the rate allows, however long the store takes in between.
//!
//! A pause ends with a probe: one call, and the others wait for what becomes of it. If it fails the same
//! way the pause grows; answers to calls that left before the pause began change nothing.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::pause::{Cause, Errand, Pauses, Permission, Scope};

/// The window in which a rate is counted. It is a tenth longer than the second that Kommo counts in, because
/// calls that leave a second apart can arrive closer together.
pub(super) const WINDOW: Duration = Duration::from_millis(1_100);

/// The pace of all calls.
#[derive(Debug)]
pub(super) struct Pace {
    rate_per_account: usize,
    accounts: HashMap<Arc<str>, Account>,
    total: Option<Window>,
    everybody: Pauses,
}

#[derive(Debug)]
struct Account {
    window: Window,
    pauses: Pauses,
    /// Those who wait for a single call.
    guests: usize,
    /// The sender had the last call, so the next is a guest's if there is one.
    guest_is_next: bool,
}

/// A reserved call. It belongs to the pauses that were in force when it was made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticket {
    account_era: u64,
    everybody_era: u64,
}

impl Pace {
    /// A pace of so many calls per second and account, and per second in all.
    pub(super) fn new(rate_per_account: u32, rate_total: Option<u32>) -> Self {
        let limit = |rate: u32| usize::try_from(rate).unwrap_or(usize::MAX);
        Self {
            rate_per_account: limit(rate_per_account),
            accounts: HashMap::new(),
            total: rate_total.map(|rate| Window::new(limit(rate))),
            everybody: Pauses::default(),
        }
    }

    /// Reserves up to `wanted` calls to `account` for the sender.
    pub(super) fn reserve(&mut self, account: &str, wanted: usize, now: Duration) -> Vec<Ticket> {
        let entry = self.account(account);
        let left_to_guests = usize::from(entry.guests > 0 && entry.guest_is_next);
        let room = entry.window.room(now).saturating_sub(left_to_guests);
        let tickets = self.permit(account, wanted.min(room), Errand::Call, now);
        if !tickets.is_empty() {
            self.account(account).guest_is_next = true;
        }
        tickets
    }

    /// Reserves a call to `account` for somebody who waits for it.
    pub(super) fn reserve_for_guest(
        &mut self,
        account: &str,
        errand: Errand,
        now: Duration,
    ) -> Option<Ticket> {
        let ticket = self.permit(account, 1, errand, now).pop()?;
        self.account(account).guest_is_next = false;
        Some(ticket)
    }

    /// Somebody begins to wait for a single call to `account`.
    pub(super) fn guest_comes(&mut self, account: &str) {
        self.account(account).guests += 1;
    }

    /// Somebody waits no more.
    pub(super) fn guest_leaves(&mut self, account: &str) {
        let entry = self.account(account);
        entry.guests = entry.guests.saturating_sub(1);
    }

    fn permit(&mut self, account: &str, wanted: usize, errand: Errand, now: Duration) -> Vec<Ticket> {
        let everybody = self.everybody.permission(errand, now);
        let total = self.total.as_mut().map_or(usize::MAX, |window| window.room(now));
        let entry = self.account(account);
        let room = entry.window.room(now).min(total).min(wanted);
        let permitted = match (entry.pauses.permission(errand, now), everybody) {
            (Permission::Wait(_), _) | (_, Permission::Wait(_)) => 0,
            (Permission::Probe, _) | (_, Permission::Probe) => room.min(1),
            (Permission::Go, Permission::Go) => room,
        };
        if permitted == 0 {
            return Vec::new();
        }
        entry.window.reserved += permitted;
        entry.pauses.begin();
        let account_era = entry.pauses.era();
        if let Some(total) = &mut self.total {
            total.reserved += permitted;
        }
        self.everybody.begin();
        vec![Ticket { account_era, everybody_era: self.everybody.era() }; permitted]
    }

    /// When it may be worth to ask for `account` again, if nothing else happens; none if only a probe that
    /// is under way can change something.
    pub(super) fn next(&mut self, account: &str, errand: Errand, now: Duration) -> Option<Duration> {
        let everybody = self.everybody.permission(errand, now);
        let total = self.total.as_mut().map(|window| window.next(now));
        let entry = self.account(account);
        let mut next = entry.window.next(now).max(total.unwrap_or_default());
        for permission in [entry.pauses.permission(errand, now), everybody] {
            if let Permission::Wait(until) = permission {
                next = next.max(until?);
            }
        }
        Some(next)
    }

    /// A reserved call goes out now.
    pub(super) fn start(&mut self, account: &str, now: Duration) {
        self.account(account).window.start(now);
        if let Some(total) = &mut self.total {
            total.start(now);
        }
    }

    /// A reserved call does not go out.
    pub(super) fn release(&mut self, account: &str, ticket: Ticket) {
        let entry = self.account(account);
        entry.window.reserved = entry.window.reserved.saturating_sub(1);
        entry.pauses.unknown(ticket.account_era);
        if let Some(total) = &mut self.total {
            total.reserved = total.reserved.saturating_sub(1);
        }
        self.everybody.unknown(ticket.everybody_era);
    }

    /// The answer shows that the account takes calls: its pause, if there was one, is over. Says whether there was.
    pub(super) fn fine(&mut self, account: &str, ticket: Ticket) -> bool {
        self.everybody.fine(ticket.everybody_era);
        self.account(account).pauses.fine(ticket.account_era)
    }

    /// The answer shows nothing about the account.
    pub(super) fn unknown(&mut self, account: &str, ticket: Ticket) {
        self.everybody.unknown(ticket.everybody_era);
        self.account(account).pauses.unknown(ticket.account_era);
    }

    /// The answer asks to wait. Says until when, or none if a later pause is in force already.
    pub(super) fn pause(
        &mut self,
        account: &str,
        ticket: Ticket,
        scope: Scope,
        cause: Cause,
        hint: Option<Duration>,
        now: Duration,
    ) -> Option<Duration> {
        match scope {
            Scope::Account => {
                if cause.was_answered() {
                    self.everybody.fine(ticket.everybody_era);
                } else {
                    self.everybody.unknown(ticket.everybody_era);
                }
                self.account(account).pauses.pause(ticket.account_era, cause, hint, now)
            }
            Scope::Everybody => {
                self.account(account).pauses.unknown(ticket.account_era);
                self.everybody.pause(ticket.everybody_era, cause, hint, now)
            }
        }
    }

    /// There is a new token for the account. Says whether that ended a pause.
    pub(super) fn lift(&mut self, account: &str) -> bool {
        self.account(account).pauses.lift()
    }

    fn account(&mut self, account: &str) -> &mut Account {
        let fresh = || Account {
            window: Window::new(self.rate_per_account),
            pauses: Pauses::default(),
            guests: 0,
            guest_is_next: false,
        };
        self.accounts.entry(account.into()).or_insert_with(fresh)
    }
}

/// Calls that started within the last window, and those that will.
#[derive(Debug)]
struct Window {
    limit: usize,
    started: VecDeque<Duration>,
    reserved: usize,
}

impl Window {
    fn new(limit: usize) -> Self {
        Self { limit, started: VecDeque::new(), reserved: 0 }
    }

    fn room(&mut self, now: Duration) -> usize {
        while self.started.front().is_some_and(|start| *start + WINDOW <= now) {
            self.started.pop_front();
        }
        self.limit.saturating_sub(self.started.len() + self.reserved)
    }

    fn next(&mut self, now: Duration) -> Duration {
        if self.room(now) > 0 {
            now
        } else {
            self.started.front().map_or(now + WINDOW, |start| *start + WINDOW)
        }
    }

    fn start(&mut self, now: Duration) {
        self.reserved = self.reserved.saturating_sub(1);
        self.started.push_back(now);
    }
}

#[cfg(test)]
#[path = "rate_tests.rs"]
mod tests;
