//! Pauses: how long, how they grow, and how they end.

use std::time::Duration;

/// Who has to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The account that was called.
    Account,
    /// Every account, because Kommo refuses the bridge's address.
    Everybody,
}

/// Why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// 401: the token is no good.
    Unauthorized,
    /// 402: the account's plan has ended.
    PaymentRequired,
    /// 403 with JSON: the token's user lacks rights.
    Forbidden,
    /// 403 without JSON: the address is blocked.
    Blocked,
    /// 429
    TooMany,
    /// There is no token for that address, so Kommo was not asked.
    NotConnected,
    /// Its token has to be renewed first, and that did not work.
    NotRenewed,
}

impl Cause {
    /// What a person has to do, or that nobody has to do anything.
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Unauthorized => {
                "an administrator of the account has to authorize it again: `salesbot-bridge accounts authorize`, or a new \
                 token in accounts.NAME.access_token and a restart"
            }
            Self::PaymentRequired => "the account's plan has ended: its owner has to renew it",
            Self::Forbidden => "the token has to belong to an administrator of the account",
            Self::Blocked => {
                "Kommo blocks this address: lower delivery.rate_per_account, or ask Kommo's support"
            }
            Self::TooMany => "the account's deliveries wait as long as Kommo asks",
            Self::NotConnected => "its deliveries go out by themselves once it is connected",
            Self::NotRenewed => "it is tried again and again, and deliveries go out once it succeeds",
        }
    }

    /// Whether it ends by itself, without a person.
    pub const fn ends_by_itself(self) -> bool {
        matches!(self, Self::TooMany)
    }

    /// Whether Kommo may refuse one job alone for it: then it must not be the one to be tried again and again.
    pub const fn may_be_of_one_job(self) -> bool {
        matches!(self, Self::Unauthorized | Self::PaymentRequired | Self::Forbidden | Self::Blocked)
    }

    /// Whether Kommo was asked at all.
    pub const fn was_answered(self) -> bool {
        !matches!(self, Self::NotConnected | Self::NotRenewed)
    }

    /// Whether a new token ends it. It may belong to another user, one with more rights.
    const fn ends_with_a_new_token(self) -> bool {
        matches!(self, Self::Unauthorized | Self::Forbidden | Self::NotConnected | Self::NotRenewed)
    }

    /// The n-th pause in a row, from 1, if Kommo names no time.
    fn length(self, nth: u32) -> Duration {
        let (first, longest) = match self {
            Self::TooMany => (1, 60),
            Self::Unauthorized | Self::PaymentRequired | Self::NotConnected => (30, 15 * 60),
            Self::NotRenewed => (5, 10 * 60),
            Self::Forbidden | Self::Blocked => (60, 60 * 60),
        };
        let doubled = 1_u64 << nth.saturating_sub(1).min(20);
        Duration::from_secs((first * doubled).min(longest))
    }
}

/// Who has to wait, why, and how long if Kommo said so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause {
    /// Who has to wait.
    pub scope: Scope,
    /// Why.
    pub cause: Cause,
    /// How long, if Kommo said so.
    pub hint: Option<Duration>,
}

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
    probing: bool,
}

impl Pauses {
    pub const fn era(&self) -> u64 {
        self.era
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

    /// A call of that era was answered well. Says whether it ended a pause.
    pub fn fine(&mut self, era: u64) -> bool {
        era == self.era && self.current.take().is_some()
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

    /// A call of that era was asked to wait. Says until when the pause is that this began.
    pub fn pause(
        &mut self,
        era: u64,
        cause: Cause,
        hint: Option<Duration>,
        now: Duration,
    ) -> Option<Duration> {
        if era != self.era {
            return None;
        }
        let nth = self.current.map_or(1, |pause| pause.nth.saturating_add(1));
        // A hint of no time is none: followed, it would be a call after the other until Kommo blocks the address.
        let hint = hint.filter(|hint| !hint.is_zero());
        let until = now + hint.map_or_else(|| cause.length(nth), |hint| hint.min(LONGEST_HINT));
        self.era += 1;
        self.current = Some(Current { until, cause, nth, probing: false });
        Some(until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn pauses_double_up_to_their_longest() {
        let lengths = |cause: Cause| [1, 2, 3, 30].map(|nth| cause.length(nth).as_secs());
        assert_eq!(lengths(Cause::TooMany), [1, 2, 4, 60]);
        assert_eq!(lengths(Cause::Unauthorized), [30, 60, 120, 900]);
        assert_eq!(lengths(Cause::Blocked), [60, 120, 240, 3_600]);
    }

    #[test]
    fn a_pause_ends_with_one_probe() {
        let mut pauses = Pauses::default();
        assert_eq!(pauses.permission(secs(0)), Permission::Go);
        assert_eq!(pauses.pause(0, Cause::TooMany, Some(secs(5)), secs(0)), Some(secs(5)));
        assert_eq!(pauses.permission(secs(4)), Permission::Wait(Some(secs(5))));
        assert_eq!(pauses.permission(secs(5)), Permission::Probe);
        pauses.begin();
        assert_eq!(pauses.permission(secs(6)), Permission::Wait(None));
        assert!(pauses.fine(pauses.era()));
        assert_eq!(pauses.permission(secs(6)), Permission::Go);
        assert!(!pauses.fine(pauses.era()));
    }

    #[test]
    fn a_probe_that_fails_makes_the_pause_longer() {
        let mut pauses = Pauses::default();
        assert_eq!(pauses.pause(0, Cause::Unauthorized, None, secs(0)), Some(secs(30)));
        pauses.begin();
        assert_eq!(pauses.pause(1, Cause::Unauthorized, None, secs(30)), Some(secs(90)));
        pauses.begin();
        pauses.unknown(2);
        assert_eq!(pauses.permission(secs(90)), Permission::Probe);
    }

    #[test]
    fn stragglers_of_an_earlier_era_change_nothing() {
        let mut pauses = Pauses::default();
        pauses.pause(0, Cause::TooMany, Some(secs(10)), secs(0));
        assert_eq!(pauses.pause(0, Cause::TooMany, Some(secs(99)), secs(1)), None);
        assert!(!pauses.fine(0));
        assert_eq!(pauses.permission(secs(9)), Permission::Wait(Some(secs(10))));
    }

    #[test]
    fn who_found_no_token_just_before_there_was_one_begins_no_pause() {
        let mut pauses = Pauses::default();
        let asked = pauses.era();
        assert!(!pauses.lift(), "there is none yet");
        assert_eq!(pauses.pause(asked, Cause::NotConnected, None, secs(0)), None);
        assert_eq!(pauses.permission(secs(0)), Permission::Go);
    }

    #[test]
    fn a_pause_that_a_new_token_does_not_end_hears_the_answer_to_its_probe() {
        let mut pauses = Pauses::default();
        pauses.pause(0, Cause::TooMany, None, secs(0));
        pauses.begin();
        let probe = pauses.era();
        assert!(!pauses.lift() && !pauses.lift_unasked());
        assert!(pauses.fine(probe));
    }

    #[test]
    fn a_renewal_ends_only_what_was_for_want_of_it() {
        for (cause, ends) in [
            (Cause::NotRenewed, true),
            (Cause::NotConnected, true),
            (Cause::Unauthorized, false),
            (Cause::Forbidden, false),
            (Cause::TooMany, false),
        ] {
            let mut pauses = Pauses::default();
            pauses.pause(0, cause, None, secs(0));
            assert_eq!(pauses.lift_unasked(), ends, "{cause:?}");
        }
    }

    #[test]
    fn a_pause_of_no_time_is_a_pause_all_the_same() {
        let mut pauses = Pauses::default();
        let zero = Some(Duration::ZERO);
        assert_eq!(pauses.pause(0, Cause::TooMany, zero, secs(0)), Some(secs(1)));
        assert_eq!(pauses.pause(1, Cause::TooMany, zero, secs(1)), Some(secs(3)));
    }

    #[test]
    fn a_pause_of_days_is_cut_to_an_hour() {
        assert_eq!(
            Pauses::default().pause(0, Cause::TooMany, Some(secs(999_999)), secs(0)),
            Some(secs(3_600))
        );
    }
}
