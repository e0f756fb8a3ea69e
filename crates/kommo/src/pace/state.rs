//! When the next call may go out: the rate of each account and of the bridge, and pauses.
//!
//! No I/O and no clock: the time comes in, as the time since some fixed moment. A call is reserved, then
//! started, and counts from its reservation until a window after its start; so in no window more
//! calls start than the rate allows, however long the store takes in between.
//!
//! A pause ends with a probe: one call, and the others wait for what becomes of it. If it fails the same
//! way the pause grows; answers to calls that left before the pause began change nothing. A call that was reserved
//! before the pause began does not start in it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use model::Timestamp;

use super::arbiter::{Turns, Who};
use super::breaker::{Breaker, BreakerState};
use super::cause::{Cause, Pause, Source};
use super::effects::{AccountEvidence, PauseStarted, Resumed};
use super::global_breaker::GlobalBreaker;

mod hold;
mod operator;
mod window;

pub use hold::Hold;
use window::Window;

/// The window in which a rate is counted. It is a tenth longer than the second that Kommo counts in, because
/// calls that leave a second apart can arrive closer together.
pub(super) const WINDOW: Duration = Duration::from_millis(1_100);

/// Accounts that are kept without a look at what they are good for. Anybody can name new ones: a callback has to be tried
/// before it is known to be none.
const MIN_ACCOUNTS_TO_TIDY: usize = 1_024;

/// For so long the sender may be expected back that was refused because a probe is under way: it asks again when that is
/// answered, and after 5 s at the latest.
const SENDER_BACK_AFTER_PROBE: Duration = WINDOW.saturating_mul(5);

/// An account that asked for calls no longer ago than this has something to send.
const ACTIVE_FOR: Duration = Duration::from_secs(60);

/// The pace of all calls.
#[derive(Debug)]
pub(super) struct LimiterState {
    rate_per_account: usize,
    accounts: HashMap<Arc<str>, Account>,
    /// With so many accounts, those of which nothing is to be remembered are forgotten.
    tidy_at: usize,
    total: Option<Window>,
    /// Whose turn it is when the total is short.
    turns: Turns,
    global: GlobalBreaker,
}

#[derive(Debug)]
struct Account {
    window: Window,
    breaker: Breaker,
    /// Those who wait for a single call.
    guests: usize,
    /// The sender had the last call, so the next is a guest's if there is one.
    guest_is_next: bool,
    /// The sender was refused not long ago, and is likely to come back until then.
    sender_waits_until: Duration,
    /// When the sender asked last.
    asked_at: Option<Duration>,
    /// When the last continue began that the account took.
    taken_at: Option<Timestamp>,
}

/// A reserved call. It belongs to the pauses that were in force when it was made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reservation {
    account_epoch: u64,
    global_epoch: u64,
    /// It is not the probe of the account's pause.
    passes_by: bool,
    /// Its answer decides whether a pause is over.
    is_probe: bool,
}

impl Reservation {
    pub(super) const fn is_probe(&self) -> bool {
        self.is_probe
    }
}

/// What a call is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errand {
    /// Whatever needs a token.
    Call,
    /// Getting one: a pause for want of a token does not hold it.
    Token,
}

impl Errand {
    fn passes(self, breaker: &Breaker) -> bool {
        self == Self::Token && breaker.waits_for_token()
    }
}

impl LimiterState {
    /// A pace of so many calls per second and account, and per second in all.
    pub(super) fn new(rate_per_account: u32, rate_total: Option<u32>) -> Self {
        let limit = |rate: u32| usize::try_from(rate).unwrap_or(usize::MAX);
        Self {
            rate_per_account: limit(rate_per_account),
            accounts: HashMap::new(),
            tidy_at: MIN_ACCOUNTS_TO_TIDY,
            total: rate_total.map(|rate| Window::new(limit(rate))),
            turns: Turns::default(),
            global: GlobalBreaker::default(),
        }
    }

    /// Reserves up to `wanted` calls to `account` for the sender.
    pub(super) fn reserve(&mut self, account: &str, wanted: usize, now: Duration) -> Vec<Reservation> {
        self.tidy(account, now);
        let entry = self.account(account);
        entry.asked_at = Some(now);
        let left_to_guests = usize::from(entry.guests > 0 && entry.guest_is_next);
        let room = entry.window.room(now).saturating_sub(left_to_guests);
        let reservations = self.grant(account, wanted.min(room), Who::Sender, Errand::Call, now);
        let entry = self.account(account);
        if !reservations.is_empty() {
            entry.guest_is_next = true;
            entry.sender_waits_until = Duration::ZERO;
        } else if wanted > 0 {
            let is_probed = entry.breaker.state(now) == BreakerState::Open(None);
            entry.sender_waits_until = now + if is_probed { SENDER_BACK_AFTER_PROBE } else { WINDOW * 2 };
        }
        reservations
    }

    /// Reserves a call to `account` for somebody who waits for it.
    pub(super) fn reserve_for_guest(
        &mut self,
        account: &str,
        errand: Errand,
        now: Duration,
    ) -> Option<Reservation> {
        let entry = self.account(account);
        let is_senders = entry.is_senders(errand, now);
        if entry.window.room(now) <= usize::from(is_senders) {
            return None;
        }
        // Of a pause that began with a refusal no call but a continue shows the end.
        if is_senders && entry.breaker.state(now) == BreakerState::HalfOpen {
            return None;
        }
        let reservation = self.grant(account, 1, Who::Guest, errand, now).pop()?;
        self.account(account).guest_is_next = false;
        Some(reservation)
    }

    /// Somebody begins to wait for a single call to `account`.
    pub(super) fn guest_comes(&mut self, account: &str, now: Duration) {
        self.tidy(account, now);
        self.account(account).guests += 1;
    }

    /// Somebody waits no more.
    pub(super) fn guest_leaves(&mut self, account: &str) {
        let entry = self.account(account);
        entry.guests = entry.guests.saturating_sub(1);
    }

    fn grant(
        &mut self,
        account: &str,
        wanted: usize,
        who: Who,
        errand: Errand,
        now: Duration,
    ) -> Vec<Reservation> {
        // Without a token nobody gets on, so the call that brings one leaves none.
        let left = if errand == Errand::Token { 0 } else { self.turns.left_to_others(who, now) };
        let total = self.total.as_mut().map_or(usize::MAX, |window| window.room(now).saturating_sub(left));
        let entry = self.account(account);
        let wanted = entry.window.room(now).min(wanted);
        let passes_by = errand.passes(&entry.breaker);
        let own = if passes_by { BreakerState::Closed } else { entry.breaker.state(now) };
        let everybody = self.global.state(account, now);
        let room = total.min(wanted);
        let (permitted, is_probe) = match (own, everybody) {
            (BreakerState::Open(_), _) | (_, BreakerState::Open(_)) => (0, false),
            (BreakerState::HalfOpen, _) | (_, BreakerState::HalfOpen) => (room.min(1), true),
            (BreakerState::Closed, BreakerState::Closed) => (room, false),
        };
        if permitted == 0 {
            let may_go =
                ![own, everybody].iter().any(|permission| matches!(permission, BreakerState::Open(_)));
            if may_go && wanted > 0 {
                self.turns.refused(who, now);
            }
            return Vec::new();
        }
        let entry = self.account(account);
        entry.window.reserved += permitted;
        if !passes_by {
            entry.breaker.call_reserved();
        }
        let account_epoch = entry.breaker.epoch();
        if let Some(total) = &mut self.total {
            total.reserved += permitted;
        }
        self.global.call_reserved();
        self.turns.got(who);
        vec![Reservation { account_epoch, global_epoch: self.global.epoch(), passes_by, is_probe }; permitted]
    }

    /// When it may be worth to ask for `account` again, if nothing else happens; none if only a probe that
    /// is under way can change something.
    pub(super) fn next(&mut self, account: &str, errand: Errand, now: Duration) -> Option<Duration> {
        let everybody = self.global.state(account, now);
        let total = self.total.as_mut().map(|window| window.next(now));
        let entry = self.account(account);
        let mut next = entry.window.next(now).max(total.unwrap_or_default());
        let own = if errand.passes(&entry.breaker) { BreakerState::Closed } else { entry.breaker.state(now) };
        if own == BreakerState::HalfOpen && entry.is_senders(errand, now) {
            next = next.max(entry.sender_waits_until);
        }
        for permission in [own, everybody] {
            if let BreakerState::Open(until) = permission {
                next = next.max(until?);
            }
        }
        Some(next)
    }

    /// A reserved call is about to go out. Says whether it may: not if a pause has begun since it was reserved. Then its
    /// reservation is given back.
    pub(super) fn start(&mut self, account: &str, reservation: &mut Reservation, now: Duration) -> bool {
        let entry = self.account(account);
        let passes_by = reservation.passes_by && entry.breaker.waits_for_token();
        let admitted = passes_by || entry.breaker.admits(&mut reservation.account_epoch);
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
        let entry = self.account(account);
        entry.window.reserved = entry.window.reserved.saturating_sub(1);
        if !reservation.passes_by {
            entry.breaker.inconclusive(reservation.account_epoch);
        }
        if let Some(total) = &mut self.total {
            total.reserved = total.reserved.saturating_sub(1);
        }
        self.global.inconclusive(reservation.global_epoch);
    }

    /// The answer shows that the account takes calls: its pause, if there was one, is over. `continued`: it was the answer
    /// to a continue, which began then.
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
        let everybody = self.global.succeeded(reservation.global_epoch);
        Resumed { account: ended, all_accounts: everybody.is_some(), refused: everybody.unwrap_or_default() }
    }

    /// How the account is, seen from that call.
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

    /// The answer shows nothing about the account.
    pub(super) fn inconclusive(&mut self, account: &str, reservation: Reservation) {
        self.global.inconclusive(reservation.global_epoch);
        if !reservation.passes_by {
            self.account(account).breaker.inconclusive(reservation.account_epoch);
        }
    }

    /// The answer asks to wait. Says which pause this began; none if a later one is on already.
    pub(super) fn pause(
        &mut self,
        account: &str,
        reservation: Reservation,
        pause: Pause,
        now: Duration,
    ) -> Option<PauseStarted> {
        let begun = self.account(account).breaker.trip(reservation.account_epoch, pause, now);
        let mut everybody_until = None;
        if pause.cause == Cause::Blocked && begun.is_some() {
            let (name, others_work) = (Arc::from(account), self.others_work(account, now));
            let epoch = reservation.global_epoch;
            everybody_until = self.global.refused(&name, pause.source, others_work, epoch, now);
        } else if pause.cause == Cause::Blocked || !pause.cause.was_answered() {
            self.global.inconclusive(reservation.global_epoch);
        } else {
            self.global.succeeded(reservation.global_epoch);
        }
        let left = |until: Duration| until.saturating_sub(now);
        begun.map(|begun| PauseStarted {
            account: left(begun.until),
            alone: begun.alone_until.map(left),
            all_accounts: everybody_until.map(left),
        })
    }

    fn others_work(&self, account: &str, now: Duration) -> bool {
        let is_at_work = |asked_at: Duration| asked_at + ACTIVE_FOR > now;
        self.accounts.iter().any(|(name, other)| &**name != account && other.asked_at.is_some_and(is_at_work))
    }

    /// There is a new token for the account. Says whether that ended a pause.
    pub(super) fn resume_with_new_token(&mut self, account: &str) -> bool {
        self.account(account).breaker.close_with_new_token()
    }

    /// Makes room for `account`, if it is a new one.
    fn tidy(&mut self, account: &str, now: Duration) {
        if self.accounts.len() < self.tidy_at || self.accounts.contains_key(account) {
            return;
        }
        self.accounts.retain(|_, known| !known.is_as_new(now));
        // A sweep over many pays only after as many again.
        self.tidy_at = MIN_ACCOUNTS_TO_TIDY.max(self.accounts.len() * 2);
    }

    /// The account's tokens were renewed. Says whether that ended a pause.
    pub(super) fn resume_after_renewal(&mut self, account: &str) -> bool {
        self.account(account).breaker.close_after_renewal()
    }

    fn account(&mut self, account: &str) -> &mut Account {
        let fresh = || Account {
            window: Window::new(self.rate_per_account),
            breaker: Breaker::default(),
            guests: 0,
            guest_is_next: false,
            sender_waits_until: Duration::ZERO,
            asked_at: None,
            taken_at: None,
        };
        self.accounts.entry(account.into()).or_insert_with(fresh)
    }
}

impl Account {
    /// Whether the next call is to be left to the sender: a guest had the last one, and the sender is likely to come back.
    fn is_senders(&self, errand: Errand, now: Duration) -> bool {
        errand == Errand::Call && !self.guest_is_next && now < self.sender_waits_until
    }

    /// Whether a fresh one in its place would not be told from it.
    fn is_as_new(&mut self, now: Duration) -> bool {
        self.guests == 0 && self.window.room(now) == self.window.limit && self.breaker.never_tripped()
    }
}

#[cfg(test)]
mod tests;
