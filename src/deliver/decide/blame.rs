//! Whom a refusal (401, 402, 403) is about: the account, or this job alone. No I/O.
//!
//! Kommo refuses accounts: a token, a plan, the rights of a user. But a firewall may dislike the text of one job, and the
//! answer looks the same. What tells them apart is that the account takes another job after it refused this one.

use kommo::pace::AccountEvidence;
use model::Delivery;

/// Whom the refusal is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::deliver) enum Blame {
    /// The account, as far as is known: it waits, and nothing is charged.
    Account,
    /// The job: it alone waits, and is charged.
    Job,
    /// A job that was refused for its own sake before, while the account refuses others too: nothing is learnt, and
    /// nothing charged.
    Unclear,
}

/// Decides whom the refusal of a job is about that went so far like this.
pub(in crate::deliver) fn decide(delivery: Delivery, account: AccountEvidence) -> Blame {
    let is_known = delivery.is_refused_alone();
    if account.refuses_others {
        return if is_known { Blame::Unclear } else { Blame::Account };
    }
    // Begun after the refusal, not only answered: what was under way before it says nothing of what came after.
    let others_were_taken =
        delivery.refused_at.zip(account.taken_at).is_some_and(|(refused, taken)| taken > refused);
    if is_known || others_were_taken { Blame::Job } else { Blame::Account }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Timestamp;

    fn at(seconds: i64) -> Option<Timestamp> {
        Some(Timestamp::from_millis(seconds * 1_000))
    }

    /// A job that failed in a row since the first moment, and was refused last at the second.
    fn job(failing_since: Option<Timestamp>, refused_at: Option<Timestamp>) -> Delivery {
        Delivery {
            failures: u32::from(failing_since.is_some()),
            failing_since,
            answer_lost: false,
            refused_at,
        }
    }

    #[test]
    fn a_refusal_is_about_the_job_once_the_account_took_another_after_it() {
        use Blame::{Account, Job, Unclear};
        for (what, failing_since, refused_at, taken_at, refuses_others, expected) in [
            ("never refused before", None, None, at(99), false, Account),
            ("only it was called", None, at(5), None, false, Account),
            ("another was taken before", None, at(5), at(4), false, Account),
            ("another was under way", None, at(5), at(5), false, Account),
            ("another was taken since", None, at(5), at(6), false, Job),
            ("it failed in another way since", at(7), at(5), at(6), false, Job),
            ("it failed in another way since, alone", at(7), at(5), None, false, Account),
            ("it is known to be refused, after a restart", at(5), at(9), None, false, Job),
            ("it is known to be refused", at(5), at(5), at(4), false, Job),
            ("now others are refused too", None, at(5), at(6), true, Account),
            ("now others are refused too, and it is known", at(5), at(9), at(6), true, Unclear),
        ] {
            let account = AccountEvidence { taken_at, refuses_others };
            assert_eq!(decide(job(failing_since, refused_at), account), expected, "{what}");
        }
    }
}
