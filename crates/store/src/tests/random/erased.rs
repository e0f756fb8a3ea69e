//! An operator erases the texts of an account.

use super::super::erase::erase;
use super::super::*;
use super::life::Life;
use super::model::Model;

impl Life {
    /// Erases the texts of `account`; with `cancels`, of its unfinished jobs too, which are cancelled.
    pub(super) async fn erase(&mut self, account: i64, cancels: bool) {
        let moment = self.store.0.moment();
        let (changed, skipped) =
            erase(&self.store, Erasure::new(None, Some(AccountId(account))), cancels).await;
        assert_eq!((changed, skipped), self.model.erased(account, cancels, moment));
    }
}

impl Model {
    /// Returns how many jobs have lost texts, and how many keep them because they are unfinished.
    fn erased(&mut self, account: i64, cancels: bool, now: Moment) -> (u64, u64) {
        let of_account = self.jobs.iter().filter(|(_, known)| known.job.request.account_id.0 == account);
        let newest_first: Vec<JobId> = of_account.map(|(id, _)| *id).rev().collect();
        let (mut changed, mut skipped) = (0, 0);
        for id in newest_first {
            if !self.jobs[&id].job.state.name().is_finished() {
                if !cancels {
                    skipped += 1;
                    continue;
                }
                self.cancelled(id, &Ok(()), now);
            }
            let known = self.jobs.get_mut(&id).unwrap();
            let errors = known.attempts.iter_mut().filter_map(|attempt| attempt.error.take()).count();
            let error = known.job.last_error.take();
            let had_bodies = !std::mem::replace(&mut known.bodies_dropped, true);
            changed += u64::from(errors > 0 || error.is_some() || had_bodies);
        }
        (changed, skipped)
    }
}
