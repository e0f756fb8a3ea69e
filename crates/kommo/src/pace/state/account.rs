//! What the limiter knows of one account.

use std::time::Duration;

use model::Timestamp;

use super::super::breaker::{Breaker, BreakerState};
use super::super::window::{WINDOW, Window};
use super::reservation::CallKind;

/// If the sender was refused because a probe is under way, it is expected back within this time. It asks again after the
/// response to the probe, or after 5 s.
const SENDER_BACK_AFTER_PROBE: Duration = WINDOW.saturating_mul(5);

/// If the sender was refused for another reason, it is expected back within this time.
const SENDER_BACK: Duration = WINDOW.saturating_mul(2);

/// One account.
#[derive(Debug)]
pub(in crate::pace) struct Account {
    pub(super) window: Window,
    pub(super) breaker: Breaker,
    /// How many callers wait for a single call.
    pub(super) waiters: usize,
    /// The sender had the last call, so the next one is a waiter's, if there is one.
    waiter_is_next: bool,
    /// The sender was refused, and is likely to come back before this moment.
    pub(super) sender_waits_until: Duration,
    /// When the sender asked last.
    pub(super) asked_at: Option<Duration>,
    /// When the last continue that the account took started.
    pub(super) taken_at: Option<Timestamp>,
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
        }
    }

    /// How many calls the sender has to leave to the waiters.
    pub(super) fn left_to_waiters(&self) -> usize {
        usize::from(self.waiters > 0 && self.waiter_is_next)
    }

    /// Whether a waiter has to leave the next call to the sender: a waiter had the last one, and the sender is likely to come
    /// back.
    pub(super) fn is_left_to_sender(&self, kind: CallKind, now: Duration) -> bool {
        kind == CallKind::Api && !self.waiter_is_next && now < self.sender_waits_until
    }

    /// The sender got a call.
    pub(super) const fn granted_to_sender(&mut self) {
        self.waiter_is_next = true;
        self.sender_waits_until = Duration::ZERO;
    }

    /// The sender got none.
    pub(super) fn refused_to_sender(&mut self, now: Duration) {
        let is_probed = self.breaker.state(now) == BreakerState::Open(None);
        self.sender_waits_until = now + if is_probed { SENDER_BACK_AFTER_PROBE } else { SENDER_BACK };
    }

    /// A waiter got a call.
    pub(super) const fn granted_to_waiter(&mut self) {
        self.waiter_is_next = false;
    }

    /// What the breaker lets through of calls of this kind.
    pub(super) fn state(&self, kind: CallKind, now: Duration) -> BreakerState {
        if kind.is_exempt_from(&self.breaker) { BreakerState::Closed } else { self.breaker.state(now) }
    }

    /// Whether a new entry in its place would behave the same.
    pub(super) fn is_as_new(&mut self, now: Duration) -> bool {
        self.waiters == 0 && self.window.room(now) == self.window.limit && self.breaker.never_tripped()
    }
}
