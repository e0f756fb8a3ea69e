//! A circuit breaker: how long a pause lasts, how it grows, and how it ends.
//!
//! A refusal (401, 402, 403) of one job proves nothing about its account. The first one opens the breaker of the account.
//! If the same job is refused again and no other, only that job waits longer and longer: any other job may be the probe at
//! once.

use std::time::Duration;

use super::cause::{Cause, Pause, Source, pause_length};

/// The longest pause that Kommo can ask for: a mistyped number must not stop an account for days.
const MAX_HINT: Duration = Duration::from_secs(60 * 60);

/// What the breaker lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// As many calls as the rate allows.
    Closed,
    /// One call, the probe: it finds out whether the pause is over.
    HalfOpen,
    /// No call until then; `None`: until the response to the probe that is under way.
    Open(Option<Duration>),
}

/// The circuit breaker of one account, or of all.
#[derive(Debug, Default)]
pub struct Breaker {
    /// Counts how often the breaker was tripped or reset. The response to a call of an earlier epoch says nothing about this
    /// one.
    epoch: u64,
    /// `None` while the breaker is closed.
    tripped: Option<Tripped>,
}

#[derive(Clone, Copy, Debug)]
struct Tripped {
    until: Duration,
    cause: Cause,
    /// How many pauses in a row.
    nth: u32,
    /// How often in a row the only refused job was refused.
    alone: u32,
    /// The probe is under way.
    probing: bool,
    refused: Refused,
}

/// Whose refusals make up the pause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Refused {
    /// No one's: Kommo asked to wait, or was not asked.
    #[default]
    None,
    One(Source),
    Several,
}

impl Refused {
    /// With one more pause. Returns `None` if that changes nothing: the same job was refused again, and no other.
    fn and(self, pause: &Pause) -> Option<Self> {
        match self {
            _ if !pause.cause.may_be_of_one_job() => Some(Self::None),
            Self::None => Some(Self::One(pause.source)),
            Self::One(first) if first == pause.source => None,
            Self::One(_) | Self::Several => Some(Self::Several),
        }
    }
}

/// What tripping the breaker started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Until when no call goes out; now, if only the refused call has to wait.
    pub until: Duration,
    /// Until when the refused job waits alone, if it is the only one that was refused.
    pub alone_until: Option<Duration>,
}

impl Breaker {
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Whether it is open or half-open.
    pub const fn is_tripped(&self) -> bool {
        self.tripped.is_some()
    }

    /// An operator asks to try now: the next call is the probe, of any job. If it fails, the pause grows as after any probe.
    /// Returns whether the breaker is tripped.
    pub fn resume(&mut self, now: Duration) -> bool {
        if let Some(pause) = &mut self.tripped {
            pause.until = pause.until.min(now);
        }
        self.is_tripped()
    }

    /// Why no call goes out, and until when; `None` if the breaker is closed.
    pub fn cause(&self) -> Option<(Cause, Duration)> {
        self.tripped.map(|pause| (pause.cause, pause.until))
    }

    /// Until when no call goes out; `None` if the breaker is closed.
    pub fn until(&self) -> Option<Duration> {
        self.tripped.map(|pause| pause.until)
    }

    /// Whether a call that was reserved in that epoch may start: not if a pause has begun since. If the breaker is closed, the
    /// call moves to the current epoch, so that its response counts.
    pub fn admits(&self, epoch: &mut u64) -> bool {
        if self.tripped.is_none() {
            *epoch = self.epoch;
        }
        *epoch == self.epoch
    }

    /// Whether others than `source` are refused, as far as a call of that epoch can tell. Its own refusal then says nothing
    /// about itself.
    pub fn refuses_others(&self, epoch: u64, source: Source) -> bool {
        epoch != self.epoch
            || self.tripped.is_some_and(|pause| match pause.refused {
                Refused::None => false,
                Refused::One(first) => first != source,
                Refused::Several => true,
            })
    }

    /// Whether it was closed from the start.
    pub const fn never_tripped(&self) -> bool {
        self.epoch == 0 && self.tripped.is_none()
    }

    pub fn state(&self, now: Duration) -> BreakerState {
        match self.tripped {
            None => BreakerState::Closed,
            Some(pause) if now < pause.until => BreakerState::Open(Some(pause.until)),
            Some(pause) if pause.probing => BreakerState::Open(None),
            Some(_) => BreakerState::HalfOpen,
        }
    }

    /// Whether it waits for a token. Such a pause does not hold the call that brings one.
    pub fn waits_for_token(&self) -> bool {
        self.tripped.is_some_and(|pause| pause.cause.ends_with_a_new_token())
    }

    /// A call is reserved; if the breaker is tripped, it is the probe.
    pub fn call_reserved(&mut self) {
        if let Some(pause) = &mut self.tripped {
            pause.probing = true;
        }
    }

    /// A call of that epoch succeeded. Returns whether that ended a pause. If continues were refused, only a continue shows
    /// that they no longer are: a handler may ask for other things.
    pub fn succeeded(&mut self, epoch: u64, is_continue: bool) -> bool {
        if epoch != self.epoch {
            return false;
        }
        match &mut self.tripped {
            Some(pause) if pause.cause.may_be_of_one_job() && !is_continue => {
                pause.probing = false;
                false
            }
            tripped => tripped.take().is_some(),
        }
    }

    /// There is a new token: a pause for want of one is over. Returns whether there was one. Responses to calls that started
    /// before no longer count.
    pub fn close_with_new_token(&mut self) -> bool {
        let before = self.tripped.is_some();
        let closed = self.tripped.take_if(|pause| pause.cause.ends_with_a_new_token()).is_some();
        // A new epoch even if the breaker was closed: a caller that found no token just before must not trip it now. A pause
        // that goes on keeps its epoch, or the response to its probe would be lost.
        self.epoch += u64::from(closed || !before);
        closed
    }

    /// The tokens were renewed: a pause in which Kommo was not asked is over. Returns whether there was one.
    pub fn close_after_renewal(&mut self) -> bool {
        let closed = self.tripped.take_if(|pause| !pause.cause.was_answered()).is_some();
        self.epoch += u64::from(closed);
        closed
    }

    /// A call of that epoch showed nothing about the account. If it was the probe, another may go.
    pub fn inconclusive(&mut self, epoch: u64) {
        if let Some(pause) = self.tripped.as_mut().filter(|_| epoch == self.epoch) {
            pause.probing = false;
        }
    }

    /// A call of that epoch was asked to wait. Returns what that opened; `None` if a later pause is already on.
    pub fn trip(&mut self, epoch: u64, pause: Pause, now: Duration) -> Option<Opened> {
        // A late 429 counts even if its pause is over: Kommo has said that it wants no calls.
        let is_late = epoch != self.epoch && (self.is_tripped() || pause.cause != Cause::TooMany);
        if is_late {
            return None;
        }
        let before = self.tripped;
        let refused = before.map_or(Refused::None, |before| before.refused).and(&pause);
        // The same job refused again proves nothing further against its account.
        let (nth, alone) = match (before, refused) {
            (None, _) => (1, 1),
            (Some(before), Some(_)) => (before.nth.saturating_add(1), 1),
            (Some(before), None) => (before.nth, before.alone.saturating_add(1)),
        };
        // A hint of zero is ignored: following it, calls would go out one after the other until Kommo blocks the address.
        let hint = pause.hint.filter(|hint| !hint.is_zero()).map(|hint| hint.min(MAX_HINT));
        let length = |nth| hint.unwrap_or_else(|| pause_length(pause.cause, nth));
        let (until, alone_until) = match refused {
            Some(_) => (now + length(nth), None),
            None => (now, Some(now + length(alone))),
        };
        let refused = refused.or(before.map(|before| before.refused)).unwrap_or_default();
        self.open(Tripped { until, cause: pause.cause, nth, alone, probing: false, refused });
        Some(Opened { until, alone_until })
    }

    /// A call of that epoch was refused in a way that concerns all accounts. Returns until when all wait.
    pub fn trip_for_all(&mut self, epoch: u64, cause: Cause, now: Duration) -> Option<Duration> {
        if epoch != self.epoch {
            return None;
        }
        let nth = self.tripped.map_or(1, |pause| pause.nth.saturating_add(1));
        let until = now + pause_length(cause, nth);
        self.open(Tripped { until, cause, nth, alone: 1, probing: false, refused: Refused::Several });
        Some(until)
    }

    fn open(&mut self, tripped: Tripped) {
        self.epoch += 1;
        self.tripped = Some(tripped);
    }
}

#[cfg(test)]
mod tests;
