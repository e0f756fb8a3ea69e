//! The pause of all accounts: when Kommo seems to block the bridge's address.
//!
//! A 403 without JSON can mean a blocked address, or a firewall that dislikes the text of one call. So it is the account's
//! matter first. All accounts wait only after such refusals of two of them in a row, and then an account that was not
//! refused is the first to find out whether it is over. While only accounts are refused that were refused before, the
//! others are not held up again.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::breaker::{Pauses, Permission};
use super::cause::{Cause, Source};
use super::state::WINDOW;

/// For this long after the pause only accounts that were not refused may send the probe.
const LEFT_TO_OTHERS: Duration = WINDOW.saturating_mul(2);

/// The pause of all accounts.
#[derive(Debug, Default)]
pub(super) struct Everybody {
    pauses: Pauses,
    /// The last refusal without JSON, if no continue has succeeded since.
    suspect: Option<Suspect>,
    /// The accounts whose refusals began the pause.
    refused: HashSet<Arc<str>>,
    /// The only account that has something to send, if two of its jobs were refused in a row.
    alone: Option<Arc<str>>,
    /// The account that an operator resumed: it need not leave the probe to those that were not refused.
    resumed: Option<Arc<str>>,
}

#[derive(Debug)]
struct Suspect {
    account: Arc<str>,
    source: Source,
}

impl Everybody {
    pub(super) const fn era(&self) -> u64 {
        self.pauses.era()
    }

    /// Whether a call to `account` may go out, as far as all accounts are concerned.
    pub(super) fn permission(&self, account: &str, now: Duration) -> Permission {
        let permission = self.pauses.permission(now);
        let left = self.pauses.until().map(|until| until + LEFT_TO_OTHERS).filter(|left| now < *left);
        let leaves_it = self.refused.contains(account) && self.resumed.as_deref() != Some(account);
        match (permission, left) {
            (Permission::Probe, Some(left)) if leaves_it => Permission::Wait(Some(left)),
            (permission, _) => permission,
        }
    }

    /// Whether no account at all may be called, until when if that is known.
    pub(super) fn holds_all(&self, now: Duration) -> Option<Option<Duration>> {
        match self.pauses.permission(now) {
            Permission::Wait(until) => Some(until),
            Permission::Go | Permission::Probe => None,
        }
    }

    pub(super) fn begin(&mut self) {
        self.pauses.begin();
    }

    /// An operator asks to try `account` now: its next call may be the probe.
    pub(super) fn resume(&mut self, account: &str, now: Duration) -> bool {
        let is_on = self.pauses.resume(now);
        self.resumed = is_on.then(|| account.into());
        is_on
    }

    pub(super) fn admits(&self, era: &mut u64) -> bool {
        self.pauses.admits(era)
    }

    pub(super) fn unknown(&mut self, era: u64) {
        self.pauses.unknown(era);
    }

    /// A call of that era was answered by Kommo, so the address is not blocked. Returns the accounts whose refusals had begun
    /// the pause, if that ended one.
    pub(super) fn fine(&mut self, era: u64) -> Option<Vec<Arc<str>>> {
        let ended = self.pauses.fine(era, true);
        if ended {
            self.resumed = None;
        }
        ended.then(|| self.refused.drain().collect())
    }

    /// A continue succeeded: refusals before it count no longer.
    pub(super) fn continued(&mut self) {
        self.suspect = None;
        self.alone = None;
    }

    /// A call of that era to `account` was answered 403 without JSON. `others_work`: other accounts have something to
    /// send too. Says until when all accounts wait, if this began a pause.
    pub(super) fn refused(
        &mut self,
        account: &Arc<str>,
        source: Source,
        others_work: bool,
        era: u64,
        now: Duration,
    ) -> Option<Duration> {
        if self.pauses.is_on() {
            self.resumed = None;
            if era == self.pauses.era() && self.refused.insert(account.clone()) {
                return self.hold(era, now);
            }
            self.pauses.unknown(era);
            return None;
        }
        let before = self.suspect.replace(Suspect { account: account.clone(), source });
        match before {
            Some(before) if before.account != *account => {
                self.refused = HashSet::from([before.account, account.clone()]);
                self.hold(era, now)
            }
            Some(before) if before.source != source && !others_work => {
                self.alone = Some(account.clone());
                None
            }
            Some(_) | None => None,
        }
    }

    fn hold(&mut self, era: u64, now: Duration) -> Option<Duration> {
        (self.suspect, self.alone, self.resumed) = (None, None, None);
        self.pauses.of_everybody(era, Cause::Blocked, now)
    }

    /// Whose refusals hold up everybody, and until when; none if nothing does.
    pub(super) fn holders(&self) -> Option<(Vec<Arc<str>>, Option<Duration>)> {
        if let Some(until) = self.pauses.until() {
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

    /// Refusals as (account, job), or a success in between, at 0 s; and until when all wait after them.
    fn after(events: &[Option<(&str, u128)>], others_work: bool) -> (Everybody, Option<Duration>) {
        let (mut everybody, mut until) = (Everybody::default(), None);
        for event in events {
            match event {
                Some((account, number)) => {
                    let era = everybody.era();
                    until = everybody.refused(&(*account).into(), job(*number), others_work, era, secs(0));
                }
                None => everybody.continued(),
            }
        }
        (everybody, until)
    }

    #[test]
    fn all_wait_only_after_refusals_of_two_accounts_in_a_row() {
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
            let (everybody, until) = after(&events, true);
            assert_eq!(until, expected, "{events:?}");
            assert_eq!(everybody.holders().is_some(), expected.is_some(), "{events:?}");
            let held = everybody.permission("c", secs(0)) != Permission::Go;
            assert_eq!(held, expected.is_some(), "{events:?}");
        }
    }

    #[test]
    fn an_account_alone_at_work_is_shown_after_two_of_its_jobs_and_holds_up_no_other() {
        for (events, others_work, shown) in [
            (vec![Some(("a", 1)), Some(("a", 1))], false, false),
            (vec![Some(("a", 1)), Some(("a", 2))], true, false),
            (vec![Some(("a", 1)), Some(("a", 2))], false, true),
            (vec![Some(("a", 1)), Some(("a", 2)), None], false, false),
        ] {
            let (everybody, _) = after(&events, others_work);
            assert_eq!(everybody.holders().is_some(), shown, "{events:?}");
            assert_eq!(everybody.permission("b", secs(0)), Permission::Go, "{events:?}");
        }
    }

    #[test]
    fn who_was_not_refused_finds_out_whether_it_is_over() {
        let (mut everybody, _) = after(&[Some(("a", 1)), Some(("b", 2))], true);
        let left = Some(secs(60) + LEFT_TO_OTHERS);
        assert_eq!(everybody.permission("a", secs(60)), Permission::Wait(left));
        assert_eq!(everybody.permission("c", secs(60)), Permission::Probe);
        assert_eq!(everybody.holds_all(secs(60)), None, "the others need not wait for that");
        assert_eq!(everybody.permission("a", secs(63)), Permission::Probe, "no other has come");
        everybody.begin();
        let mut refused = everybody.fine(everybody.era()).unwrap();
        refused.sort();
        assert_eq!(refused, ["a".into(), "b".into()]);
        assert_eq!(everybody.permission("a", secs(60)), Permission::Go);
    }

    #[test]
    fn who_is_refused_again_holds_up_no_other_and_who_is_new_among_them_does() {
        let (mut everybody, _) = after(&[Some(("a", 1)), Some(("b", 2))], true);
        everybody.begin();
        let era = everybody.era();
        assert_eq!(everybody.refused(&"a".into(), job(1), true, era, secs(60)), None);
        assert_eq!(everybody.permission("c", secs(60)), Permission::Probe);
        everybody.begin();
        assert_eq!(everybody.refused(&"c".into(), job(3), true, era, secs(60)), Some(secs(180)));
        assert_eq!(everybody.permission("d", secs(179)), Permission::Wait(Some(secs(180))));
        // One that was under way before the pause began says nothing.
        assert_eq!(everybody.refused(&"d".into(), job(4), true, era, secs(61)), None);
    }
}
