//! The circuit breaker for all accounts. It opens when Kommo seems to block the bridge's IP address.
//!
//! A 403 without JSON can mean a blocked IP address, or a firewall that refuses the text of one call. The first one pauses
//! only its account. If two accounts in a row get such a refusal, all accounts wait. Then an account that was not refused
//! sends the first probe. Further refusals of the same accounts do not pause the others again.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::breaker::{Breaker, BreakerState};
use super::cause::{Cause, Source};
use super::window::WINDOW;

/// The time after the pause in which only accounts that were not refused may send the probe.
const LEFT_TO_OTHERS: Duration = WINDOW.saturating_mul(2);

/// The circuit breaker for all accounts.
#[derive(Debug, Default)]
pub(super) struct GlobalBreaker {
    breaker: Breaker,
    /// The last 403 without JSON, if no continue has succeeded since.
    suspect: Option<Suspect>,
    /// The refused accounts that started the pause.
    refused: HashSet<Arc<str>>,
    /// The only account that has something to send, if two of its jobs were refused in a row.
    alone: Option<Arc<str>>,
    /// The account that an operator resumed. It may send the probe although it was refused.
    resumed: Option<Arc<str>>,
}

#[derive(Debug)]
struct Suspect {
    account: Arc<str>,
    source: Source,
}

impl GlobalBreaker {
    pub(super) const fn epoch(&self) -> u64 {
        self.breaker.epoch()
    }

    /// The state of the breaker for `account`. A refused account leaves the probe to others for a while.
    pub(super) fn state(&self, account: &str, now: Duration) -> BreakerState {
        let state = self.breaker.state(now);
        let left = self.breaker.until().map(|until| until + LEFT_TO_OTHERS).filter(|left| now < *left);
        let leaves_it = self.refused.contains(account) && self.resumed.as_deref() != Some(account);
        match (state, left) {
            (BreakerState::HalfOpen, Some(left)) if leaves_it => BreakerState::Open(Some(left)),
            (state, _) => state,
        }
    }

    /// The end of the wait of all accounts: `None` if some accounts may be called, `Some(None)` if the end is unknown.
    pub(super) fn holds_all(&self, now: Duration) -> Option<Option<Duration>> {
        match self.breaker.state(now) {
            BreakerState::Open(until) => Some(until),
            BreakerState::Closed | BreakerState::HalfOpen => None,
        }
    }

    pub(super) fn call_reserved(&mut self) {
        self.breaker.call_reserved();
    }

    /// Lets the next call to `account` be the probe, because an operator asked for it. Returns whether the breaker is
    /// tripped.
    pub(super) fn resume(&mut self, account: &str, now: Duration) -> bool {
        let is_tripped = self.breaker.resume(now);
        self.resumed = is_tripped.then(|| account.into());
        is_tripped
    }

    pub(super) fn admits(&self, epoch: &mut u64) -> bool {
        self.breaker.admits(epoch)
    }

    pub(super) fn inconclusive(&mut self, epoch: u64) {
        self.breaker.inconclusive(epoch);
    }

    /// Records that Kommo answered a call of `epoch`, so the IP address is not blocked. If this ended a pause, returns the
    /// accounts that started it.
    pub(super) fn succeeded(&mut self, epoch: u64) -> Option<Vec<Arc<str>>> {
        let ended = self.breaker.succeeded(epoch, true);
        if ended {
            self.resumed = None;
        }
        ended.then(|| self.refused.drain().collect())
    }

    /// Forgets earlier refusals, because a continue succeeded.
    pub(super) fn continue_succeeded(&mut self) {
        self.suspect = None;
        self.alone = None;
    }

    /// Records that a call of `epoch` to `account` was answered 403 without JSON. `others_work` is whether other accounts
    /// have something to send too. If this started a pause, returns its end.
    pub(super) fn refused(
        &mut self,
        account: &Arc<str>,
        source: Source,
        others_work: bool,
        epoch: u64,
        now: Duration,
    ) -> Option<Duration> {
        if self.breaker.is_tripped() {
            self.resumed = None;
            if epoch == self.breaker.epoch() && self.refused.insert(account.clone()) {
                return self.hold(epoch, now);
            }
            self.breaker.inconclusive(epoch);
            return None;
        }
        let before = self.suspect.replace(Suspect { account: account.clone(), source });
        match before {
            Some(before) if before.account != *account => {
                self.refused = HashSet::from([before.account, account.clone()]);
                self.hold(epoch, now)
            }
            Some(before) if before.source != source && !others_work => {
                self.alone = Some(account.clone());
                None
            }
            Some(_) | None => None,
        }
    }

    fn hold(&mut self, epoch: u64, now: Duration) -> Option<Duration> {
        (self.suspect, self.alone, self.resumed) = (None, None, None);
        self.breaker.trip_for_all(epoch, Cause::Blocked, now)
    }

    /// The refused accounts that make others wait, and the end of the wait; `None` if there is no wait.
    pub(super) fn holders(&self) -> Option<(Vec<Arc<str>>, Option<Duration>)> {
        if let Some(until) = self.breaker.until() {
            let mut refused: Vec<Arc<str>> = self.refused.iter().cloned().collect();
            refused.sort();
            return Some((refused, Some(until)));
        }
        self.alone.as_ref().map(|alone| (vec![alone.clone()], None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{JobId, Timestamp};

    const fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn job(number: u128) -> Source {
        Source::Job(JobId::new(Timestamp::from_millis(0), number))
    }

    /// Applies refusals, as (account, job), and successes (`None`) at 0 s. Returns the breaker and the end of its pause.
    fn after(events: &[Option<(&str, u128)>], others_work: bool) -> (GlobalBreaker, Option<Duration>) {
        let (mut global, mut until) = (GlobalBreaker::default(), None);
        for event in events {
            match event {
                Some((account, number)) => {
                    let epoch = global.epoch();
                    until = global.refused(&(*account).into(), job(*number), others_work, epoch, secs(0));
                }
                None => global.continue_succeeded(),
            }
        }
        (global, until)
    }

    #[test]
    fn all_accounts_wait_only_after_refusals_of_two_accounts_in_a_row() {
        let minute = Some(secs(60));
        for (events, expected) in [
            (vec![Some(("a", 1))], None),
            (vec![Some(("a", 1)), Some(("a", 1))], None),
            (vec![Some(("a", 1)), Some(("a", 2)), Some(("a", 3))], None),
            (vec![Some(("a", 1)), Some(("b", 2))], minute),
            (vec![Some(("a", 1)), Some(("a", 2)), Some(("b", 3))], minute),
            (vec![Some(("a", 1)), None, Some(("b", 2))], None),
            (vec![Some(("a", 1)), None, Some(("b", 2)), Some(("a", 1))], minute),
        ] {
            let (global, until) = after(&events, true);
            assert_eq!(until, expected, "{events:?}");
            assert_eq!(global.holders().is_some(), expected.is_some(), "{events:?}");
            let held = global.state("c", secs(0)) != BreakerState::Closed;
            assert_eq!(held, expected.is_some(), "{events:?}");
        }
    }

    #[test]
    fn two_refused_jobs_of_the_only_active_account_are_shown_and_hold_no_others() {
        for (events, others_work, shown) in [
            (vec![Some(("a", 1)), Some(("a", 1))], false, false),
            (vec![Some(("a", 1)), Some(("a", 2))], true, false),
            (vec![Some(("a", 1)), Some(("a", 2))], false, true),
            (vec![Some(("a", 1)), Some(("a", 2)), None], false, false),
        ] {
            let (global, _) = after(&events, others_work);
            assert_eq!(global.holders().is_some(), shown, "{events:?}");
            assert_eq!(global.state("b", secs(0)), BreakerState::Closed, "{events:?}");
        }
    }

    #[test]
    fn account_that_was_not_refused_sends_the_probe() {
        let (mut global, _) = after(&[Some(("a", 1)), Some(("b", 2))], true);
        let left = Some(secs(60) + LEFT_TO_OTHERS);
        assert_eq!(global.state("a", secs(60)), BreakerState::Open(left));
        assert_eq!(global.state("c", secs(60)), BreakerState::HalfOpen);
        assert_eq!(global.holds_all(secs(60)), None, "other accounts do not wait for it");
        assert_eq!(
            global.state("a", secs(63)),
            BreakerState::HalfOpen,
            "no other account has sent the probe"
        );
        global.call_reserved();
        let mut refused = global.succeeded(global.epoch()).unwrap();
        refused.sort();
        assert_eq!(refused, ["a".into(), "b".into()]);
        assert_eq!(global.state("a", secs(60)), BreakerState::Closed);
    }

    #[test]
    fn only_a_newly_refused_account_pauses_all_again() {
        let (mut global, _) = after(&[Some(("a", 1)), Some(("b", 2))], true);
        global.call_reserved();
        let epoch = global.epoch();
        assert_eq!(global.refused(&"a".into(), job(1), true, epoch, secs(60)), None);
        assert_eq!(global.state("c", secs(60)), BreakerState::HalfOpen);
        global.call_reserved();
        assert_eq!(global.refused(&"c".into(), job(3), true, epoch, secs(60)), Some(secs(180)));
        assert_eq!(global.state("d", secs(179)), BreakerState::Open(Some(secs(180))));
        // A call that started before the pause does not count.
        assert_eq!(global.refused(&"d".into(), job(4), true, epoch, secs(61)), None);
    }
}
