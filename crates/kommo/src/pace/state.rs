//! Decides when the next call may start, without I/O and without a clock.
//!
//! Each moment is an argument: the time since a fixed moment. A call is reserved, then started. It counts from its
//! reservation until one window after its start. So no window contains more starts than the rate allows, however long the
//! store takes between the two.
//!
//! A pause ends with a probe: one call starts, and the others wait for its response. If the probe fails in the same way,
//! the pause grows. Responses to calls that started before the pause change nothing, and a call that was reserved before
//! the pause does not start in it.

use std::sync::Arc;
use std::time::Duration;

use model::Timestamp;
use model::maps::{EntryRef, HashMap};

use super::arbiter::{Arbiter, Caller};
use super::breaker::BreakerState;
use super::cause::{Cause, Pause, Source};
use super::effects::{AccountEvidence, PauseStarted, Resumed};
use super::global_breaker::GlobalBreaker;
use super::window::Window;

mod account;
mod hold;
mod operator;
mod reservation;

use account::Account;
pub use hold::Hold;
pub use reservation::CallKind;
pub(super) use reservation::Reservation;

/// The number of accounts from which idle ones are removed. Anyone can name new accounts, because the bridge must try a
/// callback before it knows that it is forged.
const MIN_ACCOUNTS_TO_TIDY: usize = 1_024;

/// An account counts as active for this time after the sender last asked for a call to it.
const ACTIVE_FOR: Duration = Duration::from_secs(60);

/// The rates and the breakers of all accounts.
#[derive(Debug)]
pub(super) struct LimiterState {
    rate_per_account: usize,
    accounts: HashMap<Arc<str>, Account>,
    /// The number of accounts at which idle ones are removed.
    tidy_at: usize,
    total: Option<Window>,
    /// Decides whose turn it is if the total rate is used up.
    arbiter: Arbiter,
    global: GlobalBreaker,
}

impl LimiterState {
    /// Creates the state with a rate per second for each account, and one for all accounts.
    pub(super) fn new(rate_per_account: u32, rate_total: Option<u32>) -> Self {
        let limit = |rate: u32| usize::try_from(rate).unwrap_or(usize::MAX);
        Self {
            rate_per_account: limit(rate_per_account),
            accounts: HashMap::new(),
            tidy_at: MIN_ACCOUNTS_TO_TIDY,
            total: rate_total.map(|rate| Window::new(limit(rate))),
            arbiter: Arbiter::default(),
            global: GlobalBreaker::default(),
        }
    }

    /// Reserves up to `wanted` calls to `account` for the sender.
    pub(super) fn reserve(&mut self, account: &str, wanted: usize, now: Duration) -> Vec<Reservation> {
        self.tidy(account, now);
        let entry = self.account(account);
        entry.asked_at = Some(now);
        let room = entry.window.room(now).saturating_sub(entry.left_to_waiters());
        let reservations = self.grant(account, wanted.min(room), Caller::Sender, CallKind::Api, now);
        let entry = self.account(account);
        if !reservations.is_empty() {
            entry.granted_to_sender();
        } else if wanted > 0 {
            entry.refused_to_sender(now);
        }
        reservations
    }

    /// Reserves a call to `account` for a waiter.
    pub(super) fn reserve_for_waiter(
        &mut self,
        account: &str,
        kind: CallKind,
        now: Duration,
    ) -> Option<Reservation> {
        let entry = self.account(account);
        let is_left_to_sender = entry.is_left_to_sender(kind, now);
        if entry.window.room(now) <= usize::from(is_left_to_sender) {
            return None;
        }
        // Only a continue can end a pause that began with a refusal.
        if is_left_to_sender && entry.breaker.state(now) == BreakerState::HalfOpen {
            return None;
        }
        let reservation = self.grant(account, 1, Caller::Waiter, kind, now).pop()?;
        self.account(account).granted_to_waiter();
        Some(reservation)
    }

    /// Records that a caller begins to wait for a call to `account`.
    pub(super) fn waiter_arrives(&mut self, account: &str, now: Duration) {
        self.tidy(account, now);
        self.account(account).waiters += 1;
    }

    /// Records that a waiter got its call, or gave up.
    pub(super) fn waiter_leaves(&mut self, account: &str) {
        let entry = self.account(account);
        entry.waiters = entry.waiters.saturating_sub(1);
    }

    fn grant(
        &mut self,
        account: &str,
        wanted: usize,
        caller: Caller,
        kind: CallKind,
        now: Duration,
    ) -> Vec<Reservation> {
        // All calls need a token, so a call that obtains one does not leave its place to the other side.
        let left = if kind == CallKind::Token { 0 } else { self.arbiter.left_to_others(caller, now) };
        let total = self.total.as_mut().map_or(usize::MAX, |window| window.room(now).saturating_sub(left));
        let entry = self.account(account);
        let wanted = entry.window.room(now).min(wanted);
        let is_exempt = kind.is_exempt_from(&entry.breaker);
        let own = entry.state(kind, now);
        let global = self.global.state(account, now);
        let room = total.min(wanted);
        let (granted, is_probe) = match (own, global) {
            (BreakerState::Open(_), _) | (_, BreakerState::Open(_)) => (0, false),
            (BreakerState::HalfOpen, _) | (_, BreakerState::HalfOpen) => (room.min(1), true),
            (BreakerState::Closed, BreakerState::Closed) => (room, false),
        };
        if granted == 0 {
            let is_held = [own, global].iter().any(|state| matches!(state, BreakerState::Open(_)));
            if !is_held && wanted > 0 {
                self.arbiter.refused(caller, now);
            }
            return Vec::new();
        }
        let entry = self.account(account);
        entry.window.reserved += granted;
        if !is_exempt {
            entry.breaker.call_reserved();
        }
        let account_epoch = entry.breaker.epoch();
        if let Some(total) = &mut self.total {
            total.reserved += granted;
        }
        self.global.call_reserved();
        self.arbiter.granted(caller);
        vec![Reservation { account_epoch, global_epoch: self.global.epoch(), is_exempt, is_probe }; granted]
    }

    /// The moment at which a call to `account` may start, if nothing else happens; `None` if that depends on the response
    /// to a probe.
    pub(super) fn next(&mut self, account: &str, kind: CallKind, now: Duration) -> Option<Duration> {
        let global = self.global.state(account, now);
        let total = self.total.as_mut().map(|window| window.next(now));
        let entry = self.account(account);
        let mut next = entry.window.next(now).max(total.unwrap_or_default());
        let own = entry.state(kind, now);
        if own == BreakerState::HalfOpen && entry.is_left_to_sender(kind, now) {
            next = next.max(entry.sender_waits_until);
        }
        for state in [own, global] {
            if let BreakerState::Open(until) = state {
                next = next.max(until?);
            }
        }
        Some(next)
    }

    /// Starts a reserved call. Returns false if a pause has begun since the reservation, and releases the reservation.
    pub(super) fn start(&mut self, account: &str, reservation: &mut Reservation, now: Duration) -> bool {
        let entry = self.account(account);
        let is_exempt = reservation.is_exempt && entry.breaker.waits_for_token();
        let admitted = is_exempt || entry.breaker.admits(&mut reservation.account_epoch);
        if !(admitted && self.global.admits(&mut reservation.global_epoch)) {
            self.release(account, *reservation);
            return false;
        }
        self.account(account).window.start(now);
        if let Some(total) = &mut self.total {
            total.start(now);
        }
        true
    }

    /// Releases the reservation of a call that does not start.
    pub(super) fn release(&mut self, account: &str, reservation: Reservation) {
        self.account(account).window.release();
        if let Some(total) = &mut self.total {
            total.release();
        }
        self.inconclusive(account, reservation);
    }

    /// Records that the account accepts calls, according to a response, and ends its pause. `continued` is the start of the
    /// call if it was a continue.
    pub(super) fn succeeded(
        &mut self,
        account: &str,
        reservation: Reservation,
        continued: Option<Timestamp>,
    ) -> Resumed {
        if continued.is_some() {
            self.global.continue_succeeded();
        }
        let entry = self.account(account);
        let outage = continued.and_then(|started_at| entry.took(started_at));
        let ended = entry.breaker.succeeded(reservation.account_epoch, continued.is_some());
        let refused = self.global.succeeded(reservation.global_epoch);
        let all_accounts = refused.is_some();
        Resumed { account: ended, all_accounts, outage, refused: refused.unwrap_or_default() }
    }

    /// The evidence about the account, according to a call.
    pub(super) fn evidence(
        &mut self,
        account: &str,
        reservation: Reservation,
        source: Source,
    ) -> AccountEvidence {
        let entry = self.account(account);
        let refuses_others = entry.breaker.refuses_others(reservation.account_epoch, source);
        AccountEvidence { taken_at: entry.taken_at, refuses_others }
    }

    /// Records that the response shows nothing about the account, or that there is no response.
    pub(super) fn inconclusive(&mut self, account: &str, reservation: Reservation) {
        self.global.inconclusive(reservation.global_epoch);
        if !reservation.is_exempt {
            self.account(account).breaker.inconclusive(reservation.account_epoch);
        }
    }

    /// Records that a continue failed because of the network or a server.
    pub(super) fn failed(&mut self, account: &str, reservation: Reservation) {
        self.account(account).failed();
        self.inconclusive(account, reservation);
    }

    /// Records that the response asks to wait. Returns the pause that this starts; `None` if a later pause has already
    /// begun.
    pub(super) fn pause(
        &mut self,
        account: &str,
        reservation: Reservation,
        pause: Pause,
        now: Duration,
    ) -> Option<PauseStarted> {
        let opened = self.account(account).breaker.trip(reservation.account_epoch, pause, now);
        let epoch = reservation.global_epoch;
        let mut all_until = None;
        if pause.cause == Cause::Blocked && opened.is_some() {
            let (name, others_work) = (Arc::from(account), self.others_work(account, now));
            all_until = self.global.refused(&name, pause.source, others_work, epoch, now);
        } else if pause.cause == Cause::Blocked || !pause.cause.was_answered() {
            self.global.inconclusive(epoch);
        } else {
            self.global.succeeded(epoch);
        }
        let left = |until: Duration| until.saturating_sub(now);
        opened.map(|opened| PauseStarted {
            account: left(opened.until),
            alone: opened.alone_until.map(left),
            all_accounts: all_until.map(left),
        })
    }

    fn others_work(&self, account: &str, now: Duration) -> bool {
        let is_active = |asked_at: Duration| asked_at + ACTIVE_FOR > now;
        self.accounts.iter().any(|(name, other)| &**name != account && other.asked_at.is_some_and(is_active))
    }

    /// Records that there is a new token for the account. Returns whether this ended a pause.
    pub(super) fn resume_with_new_token(&mut self, account: &str) -> bool {
        self.account(account).breaker.close_with_new_token()
    }

    /// Records that the account's tokens were renewed. Returns whether this ended a pause.
    pub(super) fn resume_after_renewal(&mut self, account: &str) -> bool {
        self.account(account).breaker.close_after_renewal()
    }

    /// Removes idle accounts if there are many and `account` is new.
    fn tidy(&mut self, account: &str, now: Duration) {
        if self.accounts.len() < self.tidy_at || self.accounts.contains_key(account) {
            return;
        }
        self.accounts.retain(|_, known| !known.is_as_new(now));
        // The next sweep comes when the number has doubled, so its cost stays proportional.
        self.tidy_at = MIN_ACCOUNTS_TO_TIDY.max(self.accounts.len() * 2);
    }

    fn account(&mut self, account: &str) -> &mut Account {
        let rate = self.rate_per_account;
        match self.accounts.entry_ref(account) {
            EntryRef::Occupied(known) => known.into_mut(),
            EntryRef::Vacant(new) => new.insert_entry_with_key(account.into(), Account::new(rate)).into_mut(),
        }
    }
}

#[cfg(test)]
mod tests;
