//! Pauses: how long, how they grow, and how they end.
//!
//! A refusal (401, 402, 403) of one job proves nothing about its account. So the first one pauses the account, but while
//! the same job alone is refused again and again, only that job waits longer and longer: any other job may find out at
//! once whether the account takes calls.

use std::time::Duration;

use super::cause::{Cause, Pause, Source, pause_length};

/// A pause that Kommo asks for is kept, but no longer than this: a mistyped number must not stop an account for days.
const LONGEST_HINT: Duration = Duration::from_secs(60 * 60);

/// Whether a call may go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// As many as the rate allows.
    Go,
    /// One, to see whether the pause is over.
    Probe,
    /// None, until then; without a time, until the probe that is under way is answered.
    Wait(Option<Duration>),
}

/// The pauses of one account, or of all.
#[derive(Debug, Default)]
pub struct Pauses {
    /// Counts the pauses that began. An answer to a call of an earlier era says nothing about this one.
    era: u64,
    current: Option<Current>,
}

#[derive(Clone, Copy, Debug)]
struct Current {
    until: Duration,
    cause: Cause,
    /// How many in a row.
    nth: u32,
    /// How often in a row the one was refused that alone is refused.
    alone: u32,
    probing: bool,
    refused: Refused,
}

/// Whose refusals make up the pause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Refused {
    /// None were: Kommo asked to wait, or was not asked.
    #[default]
    None,
    One(Source),
    Several,
}

impl Refused {
    /// With one more pause. `None` in place of a change: the same one was refused again, and no other.
    fn and(self, pause: &Pause) -> Option<Self> {
        match self {
            _ if !pause.cause.may_be_of_one_job() => Some(Self::None),
            Self::None => Some(Self::One(pause.source)),
            Self::One(first) if first == pause.source => None,
            Self::One(_) | Self::Several => Some(Self::Several),
        }
    }
}

/// A pause that began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begun {
    /// Until when no call goes out. Now, if only the call that was refused has to wait.
    pub until: Duration,
    /// Until when the job that was refused waits alone, because it is the only one that was refused.
    pub alone_until: Option<Duration>,
}

impl Pauses {
    pub const fn era(&self) -> u64 {
        self.era
    }

    /// Whether one has begun and has not ended.
    pub const fn is_on(&self) -> bool {
        self.current.is_some()
    }

    /// An operator asks to try now: the next call is the probe, whoever alone was refused. A pause that goes on afterwards
    /// grows as before. Says whether there is a pause.
    pub fn resume(&mut self, now: Duration) -> bool {
        if let Some(pause) = &mut self.current {
            pause.until = pause.until.min(now);
        }
        self.is_on()
    }

    /// Why no call goes out, and until when, if a pause is on.
    pub fn cause(&self) -> Option<(Cause, Duration)> {
        self.current.map(|pause| (pause.cause, pause.until))
    }

    /// Until when no call goes out, if a pause is on.
    pub fn until(&self) -> Option<Duration> {
        self.current.map(|pause| pause.until)
    }

    /// Whether a call that was reserved in that era may start: not if a pause has begun since. Where there is none, the
    /// call counts as one of today's era, so that its answer is heard.
    pub fn admits(&self, era: &mut u64) -> bool {
        if self.current.is_none() {
            *era = self.era;
        }
        *era == self.era
    }

    /// Whether others than `source` are refused, as far as a call of that era can tell: then its own refusal says nothing
    /// about itself.
    pub fn is_of_others(&self, era: u64, source: Source) -> bool {
        era != self.era
            || self.current.is_some_and(|pause| match pause.refused {
                Refused::None => false,
                Refused::One(first) => first != source,
                Refused::Several => true,
            })
    }

    /// Whether none has begun so far.
    pub const fn were_never(&self) -> bool {
        self.era == 0 && self.current.is_none()
    }

    pub fn permission(&self, now: Duration) -> Permission {
        match self.current {
            None => Permission::Go,
            Some(pause) if now < pause.until => Permission::Wait(Some(pause.until)),
            Some(pause) if pause.probing => Permission::Wait(None),
            Some(_) => Permission::Probe,
        }
    }

    /// Whether this is a pause for want of a token, which does not hold the call that brings one.
    pub fn is_for_want_of_a_token(&self) -> bool {
        self.current.is_some_and(|pause| pause.cause.ends_with_a_new_token())
    }

    /// A call goes out; in a pause it is the probe.
    pub fn begin(&mut self) {
        if let Some(pause) = &mut self.current {
            pause.probing = true;
        }
    }

    /// A call of that era was answered well. Says whether that ended a pause. Where continues are refused, only a continue
    /// shows that they are no longer: a handler may ask for other things.
    pub fn fine(&mut self, era: u64, is_continue: bool) -> bool {
        if era != self.era {
            return false;
        }
        match &mut self.current {
            Some(pause) if pause.cause.may_be_of_one_job() && !is_continue => {
                pause.probing = false;
                false
            }
            current => current.take().is_some(),
        }
    }

    /// There is a new token: a pause for want of one is over. Says whether it was. Answers to calls that left before say
    /// nothing any more.
    pub fn lift(&mut self) -> bool {
        let before = self.current.is_some();
        let lifted = self.current.take_if(|current| current.cause.ends_with_a_new_token()).is_some();
        // Also where there was no pause yet: who looked for a token just before must not begin one now. A pause that goes
        // on keeps its era, or the answer to its probe would be lost.
        self.era += u64::from(lifted || !before);
        lifted
    }

    /// The tokens were renewed: a pause in which Kommo was not asked is over. Says whether it was.
    pub fn lift_unasked(&mut self) -> bool {
        let lifted = self.current.take_if(|current| !current.cause.was_answered()).is_some();
        self.era += u64::from(lifted);
        lifted
    }

    /// A call of that era told nothing: if it was the probe, another may go.
    pub fn unknown(&mut self, era: u64) {
        if let Some(pause) = self.current.as_mut().filter(|_| era == self.era) {
            pause.probing = false;
        }
    }

    /// A call of that era was asked to wait. Says which pause this began; none if a later one is on already.
    pub fn pause(&mut self, era: u64, pause: Pause, now: Duration) -> Option<Begun> {
        // A late 429 counts even if the pause that it belongs to is over: Kommo has said that it wants no calls.
        let is_late = era != self.era && (self.is_on() || pause.cause != Cause::TooMany);
        if is_late {
            return None;
        }
        let before = self.current;
        let refused = before.map_or(Refused::None, |current| current.refused).and(&pause);
        // The same job refused again proves nothing further against its account.
        let (nth, alone) = match (before, refused) {
            (None, _) => (1, 1),
            (Some(before), Some(_)) => (before.nth.saturating_add(1), 1),
            (Some(before), None) => (before.nth, before.alone.saturating_add(1)),
        };
        // A hint of no time is none: followed, it would be a call after the other until Kommo blocks the address.
        let hint = pause.hint.filter(|hint| !hint.is_zero()).map(|hint| hint.min(LONGEST_HINT));
        let length = |nth| hint.unwrap_or_else(|| pause_length(pause.cause, nth));
        let (until, alone_until) = match refused {
            Some(_) => (now + length(nth), None),
            None => (now, Some(now + length(alone))),
        };
        let refused = refused.or(before.map(|before| before.refused)).unwrap_or_default();
        self.open(Current { until, cause: pause.cause, nth, alone, probing: false, refused });
        Some(Begun { until, alone_until })
    }

    /// A call of that era was refused in a way that is not its account's alone. Says until when all wait.
    pub fn of_everybody(&mut self, era: u64, cause: Cause, now: Duration) -> Option<Duration> {
        if era != self.era {
            return None;
        }
        let nth = self.current.map_or(1, |current| current.nth.saturating_add(1));
        let until = now + pause_length(cause, nth);
        self.open(Current { until, cause, nth, alone: 1, probing: false, refused: Refused::Several });
        Some(until)
    }

    fn open(&mut self, current: Current) {
        self.era += 1;
        self.current = Some(current);
    }
}

#[cfg(test)]
mod tests;
