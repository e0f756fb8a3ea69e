//! The pauses from the operator's view: which accounts are paused and why, and the command to resume one.

use std::sync::Arc;
use std::time::Duration;

use super::super::cause::Cause;
use super::{Account, LimiterState};

impl LimiterState {
    /// The refused accounts that make all accounts wait, the end of the wait, and whether other accounts wait at all.
    pub(in crate::pace) fn everybody_waits(&self) -> Option<(Vec<Arc<str>>, Duration, bool)> {
        let (accounts, until) = self.global.holders()?;
        let holds_all = until.is_some();
        let of_account = |name: &Arc<str>| self.accounts.get(name).and_then(|known| known.breaker.until());
        // If only one account has work, it waits for the end of its own pause.
        let until = until.or_else(|| accounts.first().and_then(of_account))?;
        Some((accounts, until, holds_all))
    }

    /// Makes the account's next call the probe of its pause. Returns whether it is paused.
    pub(in crate::pace) fn probe_next(&mut self, account: &str, now: Duration) -> bool {
        self.accounts.get_mut(account).is_some_and(|known| known.breaker.resume(now))
    }

    /// Makes the account's next call the probe of the pause of all accounts. Returns whether there is such a pause.
    pub(in crate::pace) fn resume_all(&mut self, account: &str, now: Duration) -> bool {
        self.global.resume(account, now)
    }

    /// The calls of the account in the current window, the limit, and the moment at which the next one may start, apart from
    /// pauses. Adds no account.
    pub(in crate::pace) fn pace(&mut self, account: &str, now: Duration) -> (usize, usize, Duration) {
        match self.accounts.get_mut(account) {
            None => (0, self.rate_per_account, now),
            Some(known) => (known.window.used(now), known.window.limit, known.window.next(now)),
        }
    }

    /// The paused accounts, with the cause and the end of each pause.
    pub(in crate::pace) fn paused(&self) -> Vec<(Arc<str>, Cause, Duration)> {
        let paused = |(name, known): (&Arc<str>, &Account)| {
            known.breaker.cause().map(|(cause, until)| (name.clone(), cause, until))
        };
        self.accounts.iter().filter_map(paused).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pace::cause::{Pause, Source, pause_length};
    use model::{JobId, Timestamp};

    const fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn job(number: u128) -> Source {
        Source::Job(JobId::new(Timestamp::from_millis(0), number))
    }

    /// A state in which each of `accounts` was refused with `cause` at 0 s.
    fn refused(accounts: &[&str], cause: Cause) -> LimiterState {
        let mut state = LimiterState::new(7, None);
        for (account, number) in accounts.iter().zip(1..) {
            refuse(&mut state, account, cause, number, secs(0));
        }
        state
    }

    fn refuse(state: &mut LimiterState, account: &str, cause: Cause, number: u128, now: Duration) {
        let mut reservation = state.reserve(account, 1, now).pop().unwrap();
        assert!(state.start(account, &mut reservation, now));
        state.pause(account, reservation, Pause { cause, hint: None, source: job(number) }, now);
    }

    #[test]
    fn resumed_account_gets_one_probe_which_ends_or_lengthens_its_pause() {
        for cause in
            [Cause::Unauthorized, Cause::PaymentRequired, Cause::Forbidden, Cause::Blocked, Cause::TooMany]
        {
            let mut state = refused(&["a"], cause);
            assert_eq!(state.reserve("a", 5, secs(0)).len(), 0, "{cause}");
            assert!(state.probe_next("a", secs(0)), "{cause}");
            let mut probe = state.reserve("a", 5, secs(0));
            assert_eq!(probe.len(), 1, "{cause}: only one");
            let mut probe = probe.remove(0);
            assert!(probe.is_probe() && state.start("a", &mut probe, secs(0)), "{cause}");
            assert_eq!(state.reserve("a", 5, secs(0)).len(), 0, "{cause}: the probe is in flight");
            assert!(state.succeeded("a", probe, Some(Timestamp::from_millis(0))).account, "{cause}");
            assert_eq!(state.reserve("a", 5, secs(0)).len(), 5, "{cause}");

            let mut state = refused(&["a"], cause);
            state.probe_next("a", secs(0));
            refuse(&mut state, "a", cause, 9, secs(0));
            let [(_, _, until)] = &state.paused()[..] else { panic!("{cause}") };
            assert_eq!(*until, pause_length(cause, 2), "{cause}: the pause grows as after any probe");
        }
    }

    #[test]
    fn the_pace_of_an_account_counts_reserved_and_started_calls() {
        let mut state = LimiterState::new(7, None);
        assert_eq!(state.pace("a", secs(0)), (0, 7, secs(0)));
        assert!(state.accounts.is_empty(), "asking adds no account");
        let mut reserved = state.reserve("a", 7, secs(0));
        assert!(state.start("a", &mut reserved[0], secs(0)));
        let window = Duration::from_millis(1_100);
        assert_eq!(state.pace("a", secs(0)), (7, 7, window));
        assert_eq!(state.pace("a", secs(2)), (6, 7, secs(2)), "one of them has left the window");
    }

    #[test]
    fn account_that_is_not_paused_is_not_resumed() {
        let mut state = refused(&["a"], Cause::Unauthorized);
        assert!(!state.probe_next("b", secs(0)) && !state.resume_all("b", secs(0)));
        assert_eq!(state.paused(), [("a".into(), Cause::Unauthorized, secs(30))]);
    }

    #[test]
    fn resumed_account_may_end_the_pause_of_all_although_it_was_refused() {
        let mut state = refused(&["a", "b"], Cause::Blocked);
        assert_eq!(state.reserve("c", 1, secs(1)).len(), 0, "all wait");
        assert!(state.resume_all("a", secs(1)) && state.probe_next("a", secs(1)));
        let mut probe = state.reserve("a", 5, secs(1)).pop().expect("it does not leave the probe to others");
        assert_eq!(state.reserve("c", 1, secs(1)).len(), 0, "one probe at a time");
        assert!(state.start("a", &mut probe, secs(1)));
        assert!(state.succeeded("a", probe, Some(Timestamp::from_millis(0))).all_accounts);
        assert_eq!(state.reserve("c", 1, secs(1)).len(), 1);
    }

    #[test]
    fn resumed_account_that_is_refused_again_does_not_delay_others() {
        let mut state = refused(&["a", "b"], Cause::Blocked);
        state.resume_all("a", secs(1));
        state.probe_next("a", secs(1));
        refuse(&mut state, "a", Cause::Blocked, 9, secs(1));
        assert_eq!(state.reserve("c", 1, secs(1)).len(), 1, "the next account sends the probe");
        assert_eq!(state.everybody_waits().map(|(_, _, holds_all)| holds_all), Some(true));
    }
}
