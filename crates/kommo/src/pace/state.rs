//! When the next call may go out: the decisions of the limiter, without I/O and without a clock.
//!
//! Each moment comes in as the time since some fixed moment. A call is reserved, then started, and counts from its
//! reservation until a window after its start. So no window has more starts than the rate allows, however long the store
//! takes between the two.
//!
//! A pause ends with a probe: one call goes out, and the others wait for its response. If the probe fails in the same way, the
//! pause grows. Responses to calls that started before the pause change nothing, and a call that was reserved before
//! the pause does not start in it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use model::Timestamp;

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

/// Up to so many accounts are kept without looking for idle ones. Anyone can name new accounts: a callback has to be tried
/// before it is known to be false.
const MIN_ACCOUNTS_TO_TIDY: usize = 1_024;

/// If the sender asked for calls to an account within this time, the account has something to send.
const ACTIVE_FOR: Duration = Duration::from_secs(60);

/// The rates and the breakers of all accounts.
#[derive(Debug)]
pub(super) struct LimiterState {
    rate_per_account: usize,
    accounts: HashMap<Arc<str>, Account>,
    /// At this number of accounts the idle ones are forgotten.
    tidy_at: usize,
    total: Option<Window>,
    /// Decides whose turn it is when the total is short.
    arbiter: Arbiter,
    global: GlobalBreaker,
}

impl LimiterState {
    /// With these rates per second: of each account, and in total.
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
        // Only a continue shows the end of a pause that began with a refusal.
        if is_left_to_sender && entry.breaker.state(now) == BreakerState::HalfOpen {
            return None;
        }
        let reservation = self.grant(account, 1, Caller::Waiter, kind, now).pop()?;
        self.account(account).granted_to_waiter();
        Some(reservation)
    }

    /// A caller begins to wait for a single call to `account`.
    pub(super) fn waiter_arrives(&mut self, account: &str, now: Duration) {
        self.tidy(account, now);
        self.account(account).waiters += 1;
    }

    /// A waiter has its call, or gives up.
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
        // Without a token no call gets on, so the call that brings one leaves none to the other side.
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

    /// When a retry for `account` may succeed, if nothing else happens; `None` if that depends on the response to a probe.
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

    /// A reserved call is about to go out. Returns whether it may: not if a pause has begun since its reservation, which is
    /// then released.
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

    /// A reserved call does not go out.
    pub(super) fn release(&mut self, account: &str, reservation: Reservation) {
        self.account(account).window.release();
        if let Some(total) = &mut self.total {
            total.release();
        }
        self.inconclusive(account, reservation);
    }

    /// The response shows that the account takes calls, so its pause is over. `continued`: when the call started, if it was
    /// a continue.
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
        entry.taken_at = entry.taken_at.max(continued);
        let ended = entry.breaker.succeeded(reservation.account_epoch, continued.is_some());
        let refused = self.global.succeeded(reservation.global_epoch);
        Resumed { account: ended, all_accounts: refused.is_some(), refused: refused.unwrap_or_default() }
    }

    /// What is known about the account, as far as that call can tell.
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

    /// The response shows nothing about the account, or there is none.
    pub(super) fn inconclusive(&mut self, account: &str, reservation: Reservation) {
        self.global.inconclusive(reservation.global_epoch);
        if !reservation.is_exempt {
            self.account(account).breaker.inconclusive(reservation.account_epoch);
        }
    }

    /// The response asks to wait. Returns the pause that this starts; `None` if a later one is already on.
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

    /// There is a new token for the account. Returns whether that ended a pause.
    pub(super) fn resume_with_new_token(&mut self, account: &str) -> bool {
        self.account(account).breaker.close_with_new_token()
    }

    /// The tokens of the account were renewed. Returns whether that ended a pause.
    pub(super) fn resume_after_renewal(&mut self, account: &str) -> bool {
        self.account(account).breaker.close_after_renewal()
    }

    /// Makes room for `account`, if it is a new one.
    fn tidy(&mut self, account: &str, now: Duration) {
        if self.accounts.len() < self.tidy_at || self.accounts.contains_key(account) {
            return;
        }
        self.accounts.retain(|_, known| !known.is_as_new(now));
        // The next sweep comes only after as many new accounts, so its cost stays in proportion.
        self.tidy_at = MIN_ACCOUNTS_TO_TIDY.max(self.accounts.len() * 2);
    }

    fn account(&mut self, account: &str) -> &mut Account {
        let rate = self.rate_per_account;
        self.accounts.entry(account.into()).or_insert_with(|| Account::new(rate))
    }
}

#[cfg(test)]
mod tests;
