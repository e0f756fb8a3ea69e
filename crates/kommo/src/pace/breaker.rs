//! A circuit breaker: the length of a pause, its growth and its end.
//!
//! The refusal (401, 402, 403) of one job proves nothing about its account. The first refusal opens the account's breaker.
//! While Kommo refuses only the same job again, only that job waits, longer each time. Any other job may be the probe at
//! once.

use std::time::Duration;

use super::cause::{Cause, Pause, Source, pause_length};

/// The longest pause that Kommo can request, so that a wrong number does not stop an account for days.
const MAX_HINT: Duration = Duration::from_secs(60 * 60);

/// The state of a breaker, with the calls that it allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// All calls that the rate allows.
    Closed,
    /// One call, the probe, which tests whether the pause can end.
    HalfOpen,
    /// No call until this moment; `None` if the end depends on the response to the current probe.
    Open(Option<Duration>),
}

/// The circuit breaker of one account, or of all accounts.
#[derive(Debug, Default)]
pub struct Breaker {
    /// The number of times that the breaker was tripped or reset. The response to a call of an earlier epoch does not count
    /// in this one.
    epoch: u64,
    /// `None` while the breaker is closed.
    tripped: Option<Tripped>,
}

#[derive(Clone, Copy, Debug)]
struct Tripped {
    until: Duration,
    cause: Cause,
    /// The number of pauses in a row.
    nth: u32,
    /// The number of refusals in a row of the only refused job.
    alone: u32,
    /// Whether the probe is in flight.
    probing: bool,
    refused: Refused,
}

/// The refused calls that caused the pause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Refused {
    /// None: Kommo asked to wait, or no call was made.
    #[default]
    None,
    One(Source),
    Several,
}

impl Refused {
    /// Adds the call of `pause`. Returns `None` if this changes nothing, because only the same job was refused again.
    fn and(self, pause: &Pause) -> Option<Self> {
        match self {
            _ if !pause.cause.may_be_of_one_job() => Some(Self::None),
            Self::None => Some(Self::One(pause.source)),
            Self::One(first) if first == pause.source => None,
            Self::One(_) | Self::Several => Some(Self::Several),
        }
    }
}

/// The pause that tripping the breaker started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The end of the pause; now, if only the refused job waits.
    pub until: Duration,
    /// The end of the refused job's wait, if it is the only refused job.
    pub alone_until: Option<Duration>,
}

impl Breaker {
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Whether the breaker is open or half-open.
    pub const fn is_tripped(&self) -> bool {
        self.tripped.is_some()
    }

    /// Makes the next call, of any job, the probe, because an operator asked for it. If it fails, the pause grows as after
    /// any probe. Returns whether the breaker is tripped.
    pub fn resume(&mut self, now: Duration) -> bool {
        if let Some(pause) = &mut self.tripped {
            pause.until = pause.until.min(now);
        }
        self.is_tripped()
    }

    /// The cause and the end of the pause; `None` if the breaker is closed.
    pub fn cause(&self) -> Option<(Cause, Duration)> {
        self.tripped.map(|pause| (pause.cause, pause.until))
    }

    /// The end of the pause; `None` if the breaker is closed.
    pub fn until(&self) -> Option<Duration> {
        self.tripped.map(|pause| pause.until)
    }

    /// Whether a call that was reserved in `epoch` may start. It may not if a pause has begun since. If the breaker is
    /// closed, the call moves to the current epoch, so that its response counts.
    pub fn admits(&self, epoch: &mut u64) -> bool {
        if self.tripped.is_none() {
            *epoch = self.epoch;
        }
        *epoch == self.epoch
    }

    /// Whether calls other than `source` are refused, according to a call of `epoch`. If so, the refusal of `source` says
    /// nothing about `source` itself.
    pub fn refuses_others(&self, epoch: u64, source: Source) -> bool {
        epoch != self.epoch
            || self.tripped.is_some_and(|pause| match pause.refused {
                Refused::None => false,
                Refused::One(first) => first != source,
                Refused::Several => true,
            })
    }

    /// Whether the breaker has never been tripped or reset.
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

    /// Whether the pause waits for a token. Such a pause does not hold the call that obtains one.
    pub fn waits_for_token(&self) -> bool {
        self.tripped.is_some_and(|pause| pause.cause.ends_with_a_new_token())
    }

    /// Records that a call is reserved. If the breaker is tripped, the call is the probe.
    pub fn call_reserved(&mut self) {
        if let Some(pause) = &mut self.tripped {
            pause.probing = true;
        }
    }

    /// Records that a call of `epoch` succeeded. Returns whether this ended a pause. If Kommo refused continues, only a
    /// continue can show that it accepts them again, because a handler makes other calls.
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

    /// Ends a pause that waits for a token, because there is a new one. Returns whether this ended a pause. Responses to
    /// calls that started before no longer count.
    pub fn close_with_new_token(&mut self) -> bool {
        let before = self.tripped.is_some();
        let closed = self.tripped.take_if(|pause| pause.cause.ends_with_a_new_token()).is_some();
        // Start a new epoch even if the breaker was closed, so that a caller that found no token just before does not trip
        // it. A pause that continues keeps its epoch, so that the response to its probe counts.
        self.epoch += u64::from(closed || !before);
        closed
    }

    /// Ends a pause that began without a call, because the tokens were renewed. Returns whether this ended a pause.
    pub fn close_after_renewal(&mut self) -> bool {
        let closed = self.tripped.take_if(|pause| !pause.cause.was_answered()).is_some();
        self.epoch += u64::from(closed);
        closed
    }

    /// Records that a call of `epoch` showed nothing about the account. If it was the probe, another one may start.
    pub fn inconclusive(&mut self, epoch: u64) {
        if let Some(pause) = self.tripped.as_mut().filter(|_| epoch == self.epoch) {
            pause.probing = false;
        }
    }

    /// Records that the response to a call of `epoch` asks to wait. Returns the pause that this started; `None` if a later
    /// pause has already begun.
    pub fn trip(&mut self, epoch: u64, pause: Pause, now: Duration) -> Option<Opened> {
        // A late 429 counts even if its pause has ended, because Kommo asked for fewer calls.
        let is_late = epoch != self.epoch && (self.is_tripped() || pause.cause != Cause::TooMany);
        if is_late {
            return None;
        }
        let before = self.tripped;
        let refused = before.map_or(Refused::None, |before| before.refused).and(&pause);
        // Another refusal of the same job proves nothing more about its account.
        let (nth, alone) = match (before, refused) {
            (None, _) => (1, 1),
            (Some(before), Some(_)) => (before.nth.saturating_add(1), 1),
            (Some(before), None) => (before.nth, before.alone.saturating_add(1)),
        };
        // Ignore a hint of zero. Otherwise calls would follow each other without a pause until Kommo blocks the IP address.
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

    /// Records that a call of `epoch` was refused in a way that affects all accounts. Returns the end of the pause.
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
