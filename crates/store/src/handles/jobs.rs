//! The handle of the jobs.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use model::{
    AccountId, Attempt, DeliveringJob, DeliveryReport, HandlerName, HandlerReport, JobId, JobPrefix,
    JobRecord, NewJob, RunningJob, Timestamp,
};

use crate::sqlite::engine::Engine;
use crate::{
    Accepted, JobFilter, LongestDue, Page, RecentOutcomes, RetriedDead, RetryOptions, Stats, StoreError,
    Written,
};

/// The jobs of a store.
#[derive(Clone, Copy)]
pub struct Jobs<'s>(pub(super) &'s Engine);

impl Jobs<'_> {
    /// Stores a request, unless its idempotency key is known. When this returns, the job is on the disk.
    ///
    /// # Errors
    /// [`StoreError::OverBudget`] if the account has used up its budget. [`StoreError::Timeout`] after `within`: a request
    /// that is not in a transaction by then is dropped; if it is in one, its outcome is unknown.
    pub async fn accept(self, job: NewJob, within: Duration) -> Result<Accepted, StoreError> {
        self.0.accept(job, within).await
    }

    /// Claims up to `limit` due jobs of `handler` for `lease`, except those whose time to answer is over.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn claim_work(
        self,
        handler: Arc<str>,
        limit: usize,
        lease: Duration,
    ) -> Result<Vec<RunningJob>, StoreError> {
        self.0.claim_work(handler, limit, lease).await
    }

    /// Claims up to `limit` jobs of any handler that waited past their time to answer.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn claim_overdue(self, limit: usize, lease: Duration) -> Result<Vec<RunningJob>, StoreError> {
        self.0.claim_overdue(limit, lease).await
    }

    /// Claims up to `limit` due deliveries to `origin` for `lease`: young ones first, except for those that `longest_due`
    /// asks for.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn claim_deliveries(
        self,
        origin: Arc<str>,
        limit: usize,
        longest_due: LongestDue,
        lease: Duration,
    ) -> Result<Vec<DeliveringJob>, StoreError> {
        self.0.claim_deliveries(origin, limit, longest_due, lease).await
    }

    /// Writes a worker's report. Retries while the disk is full.
    ///
    /// # Errors
    /// The store is closed, or damaged.
    pub async fn handled(self, report: HandlerReport) -> Result<Written, StoreError> {
        self.0.handled(report).await
    }

    /// Writes a report of the sender. Retries while the disk is full.
    ///
    /// # Errors
    /// The store is closed, or damaged.
    pub async fn sent(self, report: DeliveryReport) -> Result<Written, StoreError> {
        self.0.sent(report).await
    }

    /// One job with its attempts, oldest first.
    ///
    /// # Errors
    /// The store cannot be read, or the row is damaged.
    pub async fn get(self, id: JobId) -> Result<Option<(JobRecord, Vec<Attempt>)>, StoreError> {
        self.0.job(id).await
    }

    /// Lists jobs, newest first.
    ///
    /// # Errors
    /// The store cannot be read, or too many lists are read already.
    pub async fn list(self, filter: &JobFilter) -> Result<Page, StoreError> {
        self.0.list_jobs(filter).await
    }

    /// The job whose id begins with `prefix`. A whole id is returned as it is, whether there is such a job or not.
    ///
    /// # Errors
    /// No job's id begins so, or several jobs' ids do; or the store cannot be read.
    pub async fn find(self, prefix: JobPrefix) -> Result<JobId, StoreError> {
        self.0.find(prefix).await
    }

    /// How many leading digits of each of these ids identify its job in the store.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn unique_digits(self, ids: &[JobId]) -> Result<Vec<usize>, StoreError> {
        self.0.unique_digits(ids).await
    }

    /// Counts of jobs and bytes.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn stats(self) -> Result<Stats, StoreError> {
        self.0.stats().await
    }

    /// Reads how the jobs turned out that were received since `since`, at most the newest 10,000.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn recent_outcomes(self, since: Timestamp) -> Result<RecentOutcomes, StoreError> {
        self.0.recent_outcomes(since).await
    }

    /// Cancels an unfinished job. A handler that runs is not stopped, but its result is dropped.
    ///
    /// # Errors
    /// There is no such job, it is finished, or the store cannot be written.
    pub async fn cancel(self, id: JobId) -> Result<(), StoreError> {
        self.0.cancel(id).await
    }

    /// Cancels the unfinished jobs of these accounts, with `why` as their last error; returns how many. It looks for them
    /// once, beside the writer, and cancels them in chunks, so that other writes get in between.
    ///
    /// # Errors
    /// The store cannot be read or written; some may be cancelled.
    pub async fn cancel_accounts(
        self,
        account_ids: &[AccountId],
        why: &'static str,
    ) -> Result<u64, StoreError> {
        self.0.cancel_accounts(account_ids, why).await
    }

    /// Delivers a dead or gone job again, or one that waits at once, with a new time budget.
    ///
    /// # Errors
    /// There is no such job, its state does not allow it, a newer job has the same `return_url`, it has no completion of its
    /// handler to send, or the store cannot be written.
    pub async fn retry_with(self, id: JobId, options: RetryOptions) -> Result<(), StoreError> {
        self.0.retry_with(id, options).await
    }

    /// Delivers all dead jobs again, or those of one handler; without `force` only those that no newer job supersedes. A job
    /// that dies again in the meantime is not taken a second time.
    ///
    /// # Errors
    /// The store cannot be written; some may be under way.
    pub async fn retry_dead(
        self,
        handler: Option<HandlerName>,
        force: bool,
    ) -> Result<RetriedDead, StoreError> {
        self.0.retry_dead(handler, force).await
    }

    /// Makes the deliveries to `origin` due that Kommo refused while it refused the account; returns how many.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn release_refused(self, origin: Arc<str>) -> Result<u64, StoreError> {
        self.0.release_refused(origin).await
    }

    /// How many deliveries wait for each origin.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn waiting_deliveries(self) -> Result<Vec<(String, u64)>, StoreError> {
        self.0.waiting_deliveries().await
    }

    /// Which of these origins have unfinished deliveries.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn with_deliveries(self, origins: &[Arc<str>]) -> Result<HashSet<Arc<str>>, StoreError> {
        self.0.with_deliveries(origins).await
    }
}
