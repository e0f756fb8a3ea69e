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
use super::breaker::{Pauses, Permission};
use super::cause::{Cause, Pause, Source};
use super::effects::{GoesOn, PauseBegan, Standing};
use super::global_breaker::Everybody;

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
const TIDY: usize = 1_024;

/// For so long the sender may be expected back that was refused because a probe is under way: it asks again when that is
/// answered, and after 5 s at the latest.
const AFTER_PROBE: Duration = WINDOW.saturating_mul(5);

/// An account that asked for calls no longer ago than this has something to send.
const AT_WORK: Duration = Duration::from_secs(60);

/// The pace of all calls.
#[derive(Debug)]
pub(super) struct Pace {
    rate_per_account: usize,
    accounts: HashMap<Arc<str>, Account>,
    /// With so many accounts, those of which nothing is to be remembered are forgotten.
    tidy_at: usize,
    total: Option<Window>,
    /// Whose turn it is when the total is short.
    turns: Turns,
    everybody: Everybody,
}

#[derive(Debug)]
struct Account {
    window: Window,
    pauses: Pauses,
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
pub(super) struct Ticket {
    account_era: u64,
    everybody_era: u64,
    /// It is not the probe of the account's pause.
    passes_by: bool,
    /// Its answer decides whether a pause is over.
    is_probe: bool,
}

impl Ticket {
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
    fn passes(self, pauses: &Pauses) -> bool {
        self == Self::Token && pauses.is_for_want_of_a_token()
    }
}

impl Pace {
    /// A pace of so many calls per second and account, and per second in all.
    pub(super) fn new(rate_per_account: u32, rate_total: Option<u32>) -> Self {
        let limit = |rate: u32| usize::try_from(rate).unwrap_or(usize::MAX);
        Self {
            rate_per_account: limit(rate_per_account),
            accounts: HashMap::new(),
            tidy_at: TIDY,
            total: rate_total.map(|rate| Window::new(limit(rate))),
            turns: Turns::default(),
            everybody: Everybody::default(),
        }
    }

    /// Reserves up to `wanted` calls to `account` for the sender.
    pub(super) fn reserve(&mut self, account: &str, wanted: usize, now: Duration) -> Vec<Ticket> {
        self.tidy(account, now);
        let entry = self.account(account);
        entry.asked_at = Some(now);
        let left_to_guests = usize::from(entry.guests > 0 && entry.guest_is_next);
        let room = entry.window.room(now).saturating_sub(left_to_guests);
        let tickets = self.permit(account, wanted.min(room), Who::Sender, Errand::Call, now);
        let entry = self.account(account);
        if !tickets.is_empty() {
            entry.guest_is_next = true;
            entry.sender_waits_until = Duration::ZERO;
        } else if wanted > 0 {
            let is_probed = entry.pauses.permission(now) == Permission::Wait(None);
            entry.sender_waits_until = now + if is_probed { AFTER_PROBE } else { WINDOW * 2 };
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
        let entry = self.account(account);
        let is_senders = entry.is_senders(errand, now);
        if entry.window.room(now) <= usize::from(is_senders) {
            return None;
        }
        // Of a pause that began with a refusal no call but a continue shows the end.
        if is_senders && entry.pauses.permission(now) == Permission::Probe {
            return None;
        }
        let ticket = self.permit(account, 1, Who::Guest, errand, now).pop()?;
        self.account(account).guest_is_next = false;
        Some(ticket)
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

    fn permit(
        &mut self,
        account: &str,
        wanted: usize,
        who: Who,
        errand: Errand,
        now: Duration,
    ) -> Vec<Ticket> {
        // Without a token nobody gets on, so the call that brings one leaves none.
        let left = if errand == Errand::Token { 0 } else { self.turns.left_to_others(who, now) };
        let total = self.total.as_mut().map_or(usize::MAX, |window| window.room(now).saturating_sub(left));
        let entry = self.account(account);
        let wanted = entry.window.room(now).min(wanted);
        let passes_by = errand.passes(&entry.pauses);
        let own = if passes_by { Permission::Go } else { entry.pauses.permission(now) };
        let everybody = self.everybody.permission(account, now);
        let room = total.min(wanted);
        let (permitted, is_probe) = match (own, everybody) {
            (Permission::Wait(_), _) | (_, Permission::Wait(_)) => (0, false),
            (Permission::Probe, _) | (_, Permission::Probe) => (room.min(1), true),
            (Permission::Go, Permission::Go) => (room, false),
        };
        if permitted == 0 {
            let may_go = ![own, everybody].iter().any(|permission| matches!(permission, Permission::Wait(_)));
            if may_go && wanted > 0 {
                self.turns.refused(who, now);
            }
            return Vec::new();
        }
        let entry = self.account(account);
        entry.window.reserved += permitted;
        if !passes_by {
            entry.pauses.begin();
        }
        let account_era = entry.pauses.era();
        if let Some(total) = &mut self.total {
            total.reserved += permitted;
        }
        self.everybody.begin();
        self.turns.got(who);
        vec![Ticket { account_era, everybody_era: self.everybody.era(), passes_by, is_probe }; permitted]
    }

    /// When it may be worth to ask for `account` again, if nothing else happens; none if only a probe that
    /// is under way can change something.
    pub(super) fn next(&mut self, account: &str, errand: Errand, now: Duration) -> Option<Duration> {
        let everybody = self.everybody.permission(account, now);
        let total = self.total.as_mut().map(|window| window.next(now));
        let entry = self.account(account);
        let mut next = entry.window.next(now).max(total.unwrap_or_default());
        let own = if errand.passes(&entry.pauses) { Permission::Go } else { entry.pauses.permission(now) };
        if own == Permission::Probe && entry.is_senders(errand, now) {
            next = next.max(entry.sender_waits_until);
        }
        for permission in [own, everybody] {
            if let Permission::Wait(until) = permission {
                next = next.max(until?);
            }
        }
        Some(next)
    }

    /// A reserved call is about to go out. Says whether it may: not if a pause has begun since it was reserved. Then its
    /// ticket is given back.
    pub(super) fn start(&mut self, account: &str, ticket: &mut Ticket, now: Duration) -> bool {
        let entry = self.account(account);
        let passes_by = ticket.passes_by && entry.pauses.is_for_want_of_a_token();
        let admitted = passes_by || entry.pauses.admits(&mut ticket.account_era);
        if !(admitted && self.everybody.admits(&mut ticket.everybody_era)) {
            self.release(account, *ticket);
            return false;
        }
        self.account(account).window.start(now);
        if let Some(total) = &mut self.total {
            total.start(now);
        }
        true
    }

    /// A reserved call does not go out.
    pub(super) fn release(&mut self, account: &str, ticket: Ticket) {
        let entry = self.account(account);
        entry.window.reserved = entry.window.reserved.saturating_sub(1);
        if !ticket.passes_by {
            entry.pauses.unknown(ticket.account_era);
        }
        if let Some(total) = &mut self.total {
            total.reserved = total.reserved.saturating_sub(1);
        }
        self.everybody.unknown(ticket.everybody_era);
    }

    /// The answer shows that the account takes calls: its pause, if there was one, is over. `continued`: it was the answer
    /// to a continue, which began then.
    pub(super) fn fine(&mut self, account: &str, ticket: Ticket, continued: Option<Timestamp>) -> GoesOn {
        if continued.is_some() {
            self.everybody.continued();
        }
        let entry = self.account(account);
        entry.taken_at = entry.taken_at.max(continued);
        let ended = entry.pauses.fine(ticket.account_era, continued.is_some());
        let everybody = self.everybody.fine(ticket.everybody_era);
        GoesOn { account: ended, everybody: everybody.is_some(), refused: everybody.unwrap_or_default() }
    }

    /// How the account is, seen from that call.
    pub(super) fn standing(&mut self, account: &str, ticket: Ticket, source: Source) -> Standing {
        let entry = self.account(account);
        let refuses_others = entry.pauses.is_of_others(ticket.account_era, source);
        Standing { taken_at: entry.taken_at, refuses_others }
    }

    /// The answer shows nothing about the account.
    pub(super) fn unknown(&mut self, account: &str, ticket: Ticket) {
        self.everybody.unknown(ticket.everybody_era);
        if !ticket.passes_by {
            self.account(account).pauses.unknown(ticket.account_era);
        }
    }

    /// The answer asks to wait. Says which pause this began; none if a later one is on already.
    pub(super) fn pause(
        &mut self,
        account: &str,
        ticket: Ticket,
        pause: Pause,
        now: Duration,
    ) -> Option<PauseBegan> {
        let begun = self.account(account).pauses.pause(ticket.account_era, pause, now);
        let mut everybody_until = None;
        if pause.cause == Cause::Blocked && begun.is_some() {
            let (name, others_work) = (Arc::from(account), self.others_work(account, now));
            let era = ticket.everybody_era;
            everybody_until = self.everybody.refused(&name, pause.source, others_work, era, now);
        } else if pause.cause == Cause::Blocked || !pause.cause.was_answered() {
            self.everybody.unknown(ticket.everybody_era);
        } else {
            self.everybody.fine(ticket.everybody_era);
        }
        let left = |until: Duration| until.saturating_sub(now);
        begun.map(|begun| PauseBegan {
            account: left(begun.until),
            alone: begun.alone_until.map(left),
            everybody: everybody_until.map(left),
        })
    }

    fn others_work(&self, account: &str, now: Duration) -> bool {
        let is_at_work = |asked_at: Duration| asked_at + AT_WORK > now;
        self.accounts.iter().any(|(name, other)| &**name != account && other.asked_at.is_some_and(is_at_work))
    }

    /// There is a new token for the account. Says whether that ended a pause.
    pub(super) fn lift(&mut self, account: &str) -> bool {
        self.account(account).pauses.lift()
    }

    /// Makes room for `account`, if it is a new one.
    fn tidy(&mut self, account: &str, now: Duration) {
        if self.accounts.len() < self.tidy_at || self.accounts.contains_key(account) {
            return;
        }
        self.accounts.retain(|_, known| !known.is_as_new(now));
        // A sweep over many pays only after as many again.
        self.tidy_at = TIDY.max(self.accounts.len() * 2);
    }

    /// The account's tokens were renewed. Says whether that ended a pause.
    pub(super) fn lift_unasked(&mut self, account: &str) -> bool {
        self.account(account).pauses.lift_unasked()
    }

    fn account(&mut self, account: &str) -> &mut Account {
        let fresh = || Account {
            window: Window::new(self.rate_per_account),
            pauses: Pauses::default(),
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
        self.guests == 0 && self.window.room(now) == self.window.limit && self.pauses.were_never()
    }
}

#[cfg(test)]
mod tests;
