//! The limiter's state of one account.

use std::time::Duration;

use model::Timestamp;

use super::super::breaker::{Breaker, BreakerState};
use super::super::effects::Outage;
use super::super::window::{WINDOW, Window};
use super::reservation::CallKind;

/// The time within which the sender is expected to ask again, if it got no call because of a probe in flight. It asks again
/// after the response to the probe, or after 5 s.
const SENDER_BACK_AFTER_PROBE: Duration = WINDOW.saturating_mul(5);

/// The time within which the sender is expected to ask again, if it got no call for another reason.
const SENDER_BACK: Duration = WINDOW.saturating_mul(2);

/// The shortest time without an accepted continue that counts as an outage.
const MIN_OUTAGE: Duration = Duration::from_secs(5);

/// The number of failed continues in a row after which an account seems to be down.
const MANY_FAILURES: usize = 100;

/// The number of calls that start in a window while an account seems to be down.
const OUTAGE_RATE: usize = 100;

/// The limiter's state of one account.
#[derive(Debug)]
pub(in crate::pace) struct Account {
    pub(super) window: Window,
    pub(super) breaker: Breaker,
    /// The number of waiters.
    pub(super) waiters: usize,
    /// Whether the sender got the last call, so that a waiter gets the next one, if there is a waiter.
    waiter_is_next: bool,
    /// The moment until which the sender is likely to ask again after it got no call.
    pub(super) sender_waits_until: Duration,
    /// When the sender last asked for a call.
    pub(super) asked_at: Option<Duration>,
    /// When the last continue that the account accepted started.
    pub(super) taken_at: Option<Timestamp>,
    /// How many continues have failed since then because of the network or a server.
    failures: usize,
    /// The number of calls that may start in a window while the account accepts continues.
    rate: usize,
}

impl Account {
    pub(super) fn new(rate: usize) -> Self {
        Self {
            window: Window::new(rate),
            breaker: Breaker::default(),
            waiters: 0,
            waiter_is_next: false,
            sender_waits_until: Duration::ZERO,
            asked_at: None,
            taken_at: None,
            failures: 0,
            rate,
        }
    }

    /// The number of calls that the sender must leave to the waiters.
    pub(super) fn left_to_waiters(&self) -> usize {
        usize::from(self.waiters > 0 && self.waiter_is_next)
    }

    /// Whether a waiter must leave the next call to the sender, because a waiter got the last one and the sender is likely
    /// to ask again.
    pub(super) fn is_left_to_sender(&self, kind: CallKind, now: Duration) -> bool {
        kind == CallKind::Api && !self.waiter_is_next && now < self.sender_waits_until
    }

    /// Records that the sender got a call.
    pub(super) const fn granted_to_sender(&mut self) {
        self.waiter_is_next = true;
        self.sender_waits_until = Duration::ZERO;
    }

    /// Records that the sender got no call.
    pub(super) fn refused_to_sender(&mut self, now: Duration) {
        let is_probed = self.breaker.state(now) == BreakerState::Open(None);
        self.sender_waits_until = now + if is_probed { SENDER_BACK_AFTER_PROBE } else { SENDER_BACK };
    }

    /// Records that a waiter got a call.
    pub(super) const fn granted_to_waiter(&mut self) {
        self.waiter_is_next = false;
    }

    /// Records that the account accepted a continue that started at `started_at`. Returns the outage that this ended.
    ///
    /// Within a short time no job gets a long backoff. So if an account accepts some continues and not others, its jobs
    /// keep their backoff.
    pub(super) fn took(&mut self, started_at: Timestamp) -> Option<Outage> {
        let failed = std::mem::take(&mut self.failures) > 0;
        self.window.limit = self.rate;
        let since = self.taken_at;
        self.taken_at = since.max(Some(started_at));
        let is_long = since.is_none_or(|since| started_at.since(since) >= MIN_OUTAGE);
        (failed && is_long).then_some(Outage { since })
    }

    /// Records that a continue failed because of the network or a server. After many without an accepted one, fewer calls
    /// start: they show as soon that the account is back, and cost the bridge and Kommo less.
    pub(super) fn failed(&mut self) {
        self.failures = self.failures.saturating_add(1);
        if self.failures >= MANY_FAILURES {
            self.window.limit = self.rate.min(OUTAGE_RATE);
        }
    }

    /// The state of the breaker for calls of this kind.
    pub(super) fn state(&self, kind: CallKind, now: Duration) -> BreakerState {
        if kind.is_exempt_from(&self.breaker) { BreakerState::Closed } else { self.breaker.state(now) }
    }

    /// Whether a new entry would behave the same, so that this one can be removed.
    pub(super) fn is_as_new(&mut self, now: Duration) -> bool {
        self.waiters == 0 && self.window.room(now) == self.window.limit && self.breaker.never_tripped()
    }
}
