//! Which jobs a new one supersedes: those that came earlier with the same `return_url`.
//!
//! Kommo uses a `return_url` again within one session, so a new request with it says that its bot has gone on. A late, repeated
//! continue of an older job would then answer the new question. The older job keeps its first continue; what comes after
//! that is for the sender and for [`retry`](crate::sqlite::jobs::operator::retry) to decide.
//!
//! The new job marks the older ones, and not the older one the new job: only then may the index hold few jobs. An index of
//! all jobs by `return_url` would change a page of its own for almost every request. Jobs are compared by their arrival and
//! not by their ids, because the clock may have been set back.

use std::collections::{HashMap, HashSet};

use model::{JobId, NewJob};

use crate::StoreError;
use crate::sqlite::write::statement::{RowsStatement, Values};
use crate::sqlite::write::transaction::Transaction;

/// Marks what is unfinished with the `return_url` of a new job. It runs before the new jobs go in.
///
/// Two statements, because SQLite walks all jobs for one that joins a union.
pub(crate) const UNFINISHED: RowsStatement = RowsStatement {
    before: "WITH new (id, return_url) AS (VALUES ",
    width: 2,
    after: ") UPDATE jobs SET superseded_by = new.id FROM new WHERE jobs.return_url = new.return_url \
            AND jobs.finished_at IS NULL AND jobs.superseded_by IS NULL",
};

/// Marks what an operator may retry, likewise.
pub(crate) const ENDED: RowsStatement = RowsStatement {
    before: "WITH new (id, return_url) AS (VALUES ",
    width: 2,
    after: ") UPDATE jobs SET superseded_by = new.id FROM new WHERE jobs.return_url = new.return_url \
            AND jobs.state IN ('dead', 'gone') AND jobs.superseded_by IS NULL",
};

/// Marks jobs of the same transaction.
pub(crate) const WITHIN: RowsStatement = RowsStatement {
    before: "WITH older (id, newer) AS (VALUES ",
    width: 2,
    after: ") UPDATE jobs SET superseded_by = older.newer FROM older WHERE jobs.id = older.id",
};

/// Marks the older jobs of each `return_url` of `new`, which is not stored yet: the first job of each is the next one.
pub(crate) async fn older(transaction: &mut Transaction<'_>, new: &[&NewJob]) -> Result<(), StoreError> {
    let mut seen = HashSet::with_capacity(new.len());
    let first = new.iter().copied().filter(|job| seen.insert(job.request.return_url.as_str()));
    let first: Vec<&NewJob> = first.collect();
    let push = |job: &&NewJob, row: &mut Values| {
        row.push(job.id.as_uuid()).push(job.request.return_url.as_str());
    };
    transaction.add(&UNFINISHED, &first, push).await?;
    transaction.add(&ENDED, &first, push).await
}

/// Marks those of `new`, which is stored by now, whose `return_url` comes again later in it.
pub(crate) async fn within(transaction: &mut Transaction<'_>, new: &[&NewJob]) -> Result<(), StoreError> {
    let pairs = pairs(new.iter().map(|job| (job.id, job.request.return_url.as_str())));
    if pairs.is_empty() {
        return Ok(());
    }
    let push = |(older, newer): &(JobId, JobId), row: &mut Values| {
        row.push(older.as_uuid()).push(newer.as_uuid());
    };
    transaction.add(&WITHIN, &pairs, push).await
}

/// Each job whose URL comes again, with the next job that has it.
fn pairs<'a>(jobs: impl ExactSizeIterator<Item = (JobId, &'a str)>) -> Vec<(JobId, JobId)> {
    if jobs.len() < 2 {
        return Vec::new();
    }
    let mut last = HashMap::with_capacity(jobs.len());
    jobs.filter_map(|(id, url)| Some((last.insert(url, id)?, id))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Timestamp;

    #[test]
    fn of_the_jobs_of_one_transaction_each_is_superseded_by_the_next_with_its_url() {
        let [a, b, c, d] = [1, 2, 3, 4].map(|number| JobId::new(Timestamp::from_millis(0), number));
        for (urls, expected) in [
            (vec![], vec![]),
            (vec![(a, "x")], vec![]),
            (vec![(a, "x"), (b, "y")], vec![]),
            (vec![(a, "x"), (b, "y"), (c, "x"), (d, "x")], vec![(a, c), (c, d)]),
            // By arrival, whatever their ids are.
            (vec![(d, "x"), (a, "x")], vec![(d, a)]),
        ] {
            assert_eq!(pairs(urls.clone().into_iter()), expected, "{urls:?}");
        }
    }
}
