//! Decides whether a refusal (401, 402, 403) is about the account or about this job alone. Pure.
//!
//! Kommo refuses accounts, because of a token, a plan, or the rights of a user. But a firewall may reject the text of
//! one job, and the response looks the same. The difference: after refusing this job, the account takes another one.

use kommo::pace::AccountEvidence;
use model::Delivery;

/// What the refusal is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::deliver) enum Blame {
    /// The account, as far as we know: it waits, and nothing is charged.
    Account,
    /// The job: only it waits, and the attempt is charged.
    Job,
    /// Unknown: earlier refusals were about this job, but now the account refuses others too. Only the job waits, and
    /// nothing is charged.
    Unclear,
}

/// Decides what the latest refusal of a job is about, from the job's delivery so far and the evidence about its account.
pub(in crate::deliver) fn decide(delivery: Delivery, account: AccountEvidence) -> Blame {
    let is_known = delivery.is_refused_alone();
    if account.refuses_others {
        return if is_known { Blame::Unclear } else { Blame::Account };
    }
    // The other call must have begun after the refusal: a call that was already under way shows nothing about the time
    // after it.
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

    /// A job that has been failing since `failing_since` and was last refused at `refused_at`.
    fn job(failing_since: Option<Timestamp>, refused_at: Option<Timestamp>) -> Delivery {
        Delivery {
            failures: u32::from(failing_since.is_some()),
            failing_since,
            answer_lost: false,
            refused_at,
        }
    }

    #[test]
    fn a_refusal_is_about_the_job_if_the_account_took_another_after_it() {
        use Blame::{Account, Job, Unclear};
        for (what, failing_since, refused_at, taken_at, refuses_others, expected) in [
            ("never refused before", None, None, at(99), false, Account),
            ("no other job was called", None, at(5), None, false, Account),
            ("another was taken before", None, at(5), at(4), false, Account),
            ("another was under way", None, at(5), at(5), false, Account),
            ("another was taken after it", None, at(5), at(6), false, Job),
            ("it then failed in another way", at(7), at(5), at(6), false, Job),
            ("it then failed in another way, alone", at(7), at(5), None, false, Account),
            ("known to be refused alone, after a restart", at(5), at(9), None, false, Job),
            ("known to be refused alone", at(5), at(5), at(4), false, Job),
            ("others are refused too", None, at(5), at(6), true, Account),
            (
                "others are refused too, but it is known to be refused alone",
                at(5),
                at(9),
                at(6),
                true,
                Unclear,
            ),
        ] {
            let account = AccountEvidence { taken_at, refuses_others };
            assert_eq!(decide(job(failing_since, refused_at), account), expected, "{what}");
        }
    }
}
