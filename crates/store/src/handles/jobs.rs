//! The handle for jobs.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use model::{
    AccountId, Attempt, DeliveringJob, DeliveryReport, HandlerReport, JobId, JobPrefix, JobRecord, NewJob,
    RunningJob, StateName, Timestamp,
};

use crate::engine::{Engine, on};
use crate::{
    Accepted, ChangedJobs, HandlerStats, JobFilter, LongestDue, OldestUnfinished, Overdue, Page,
    RecentOutcomes, Stats, StoreError, Surroundings, Written,
};

/// The jobs of a store.
#[derive(Clone, Copy)]
pub struct Jobs<'s>(pub(super) &'s Engine);

impl Jobs<'_> {
    /// Stores a request as a job, unless its idempotency key is known. When this returns, the job is on the disk.
    ///
    /// # Errors
    /// [`StoreError::OverBudget`] if the account has used up its budget. [`StoreError::Timeout`] after `within`: the
    /// request is dropped if no transaction has taken it by then; otherwise its outcome is unknown.
    pub async fn accept(self, job: NewJob, within: Duration) -> Result<Accepted, StoreError> {
        on!(self.0, engine => engine.operations.accept(job, within).await)
    }

    /// Claims up to `limit` due jobs of `handler` for `lease`. Does not claim overdue jobs, which have run out
    /// of time to answer: [`claim_overdue`](Self::claim_overdue) does.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn claim_work(
        self,
        handler: Arc<str>,
        limit: usize,
        lease: Duration,
    ) -> Result<Vec<RunningJob>, StoreError> {
        on!(self.0, engine => engine.claim_work(handler, limit, lease).await)
    }

    /// Claims overdue jobs, of any handler: up to `limit` that are queued, and as many that await a callback. An overdue
    /// job has run out of time to answer.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn claim_overdue(self, limit: usize, lease: Duration) -> Result<Overdue, StoreError> {
        on!(self.0, engine => engine.claim_overdue(limit, lease).await)
    }

    /// Claims up to `limit` due deliveries to `origin` for `lease`. Young jobs come first, apart from the share that
    /// `longest_due` reserves.
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
        on!(self.0, engine => engine.claim_deliveries(origin, limit, longest_due, lease).await)
    }

    /// Writes a worker's report. Keeps trying while the store cannot be written, for example on a full disk.
    ///
    /// # Errors
    /// The store is closed, or damaged.
    pub async fn handled(self, report: HandlerReport) -> Result<Written, StoreError> {
        on!(self.0, engine => engine.operations.handled(report).await)
    }

    /// Like [`handled`](Self::handled), but without a caller that waits: `then` gets the result, with the same errors, once
    /// and on any thread. It must not block, because other answers wait behind it. May be called on any thread.
    pub fn handled_then(
        self,
        report: HandlerReport,
        then: impl FnOnce(Result<Written, StoreError>) + Send + 'static,
    ) {
        on!(self.0, engine => engine.operations.handled_then(report, then));
    }

    /// Writes a report of the sender. Keeps trying while the store cannot be written, for example on a full disk.
    ///
    /// # Errors
    /// The store is closed, or damaged.
    pub async fn sent(self, report: DeliveryReport) -> Result<Written, StoreError> {
        on!(self.0, engine => engine.operations.sent(report).await)
    }

    /// Returns one job with its attempts, oldest first.
    ///
    /// # Errors
    /// The store cannot be read, or the row is damaged.
    pub async fn get(self, id: JobId) -> Result<Option<(JobRecord, Vec<Attempt>)>, StoreError> {
        on!(self.0, engine => engine.job(id).await)
    }

    /// Lists jobs, newest first.
    ///
    /// # Errors
    /// [`StoreError::TooManyLists`] if too many lists are already being read. Other errors: the store cannot be read.
    pub async fn list(self, filter: &JobFilter) -> Result<Page, StoreError> {
        on!(self.0, engine => engine.list_jobs(filter).await)
    }

    /// Returns the id of the job whose id begins with `prefix`. A complete id is returned unchanged, even if no such job
    /// exists.
    ///
    /// # Errors
    /// [`StoreError::NoMatch`] or [`StoreError::Ambiguous`] if no job or several jobs match. Other errors: the store
    /// cannot be read.
    pub async fn find(self, prefix: JobPrefix) -> Result<JobId, StoreError> {
        on!(self.0, engine => engine.find(prefix).await)
    }

    /// Returns, for each of these ids, how many leading digits identify its job in the store.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn unique_digits(self, ids: &[JobId]) -> Result<Vec<usize>, StoreError> {
        on!(self.0, engine => engine.unique_digits(ids).await)
    }

    /// Returns the number of jobs in each state. Cheaper than [`stats`](Self::stats).
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn counts(self) -> Result<BTreeMap<StateName, u64>, StoreError> {
        on!(self.0, engine => engine.counts().await)
    }

    /// Returns the numbers of jobs and bytes in the store.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn stats(self) -> Result<Stats, StoreError> {
        on!(self.0, engine => engine.stats().await)
    }

    /// Returns the outcomes of the jobs received since `since`, at most the newest 10,000.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn recent_outcomes(self, since: Timestamp) -> Result<RecentOutcomes, StoreError> {
        on!(self.0, engine => engine.recent_outcomes(since).await)
    }

    /// Follows the jobs that this process receives and works on, from now on. Changes by operators and by other processes are
    /// not included.
    pub fn changed(self) -> ChangedJobs {
        on!(self.0, engine => engine.feed.follow())
    }

    /// Returns the jobs around the job `id`; `None` if there is no such job.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn surroundings(self, id: JobId) -> Result<Option<Surroundings>, StoreError> {
        on!(self.0, engine => engine.surroundings(id).await)
    }

    /// Returns the statistics of the handlers that got jobs since `since`, from at most the newest 5,000 jobs.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn handler_stats(self, since: Timestamp) -> Result<Vec<HandlerStats>, StoreError> {
        on!(self.0, engine => engine.handler_stats(since).await)
    }

    /// Cancels the unfinished jobs of these accounts, with `why` as their last error. Returns how many. A single read
    /// beside the writer finds the jobs; the writer then cancels them in chunks, so that other writes can run in
    /// between.
    ///
    /// # Errors
    /// The store cannot be read or written. Some jobs may already be cancelled.
    pub async fn cancel_accounts(
        self,
        account_ids: &[AccountId],
        why: &'static str,
    ) -> Result<u64, StoreError> {
        on!(self.0, engine => engine.cancel_accounts(account_ids, why).await)
    }

    /// Makes the deliveries to `origin` that Kommo refused because of their account due now. Returns how many.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn release_refused(self, origin: Arc<str>) -> Result<u64, StoreError> {
        on!(self.0, engine => engine.release_refused(origin).await)
    }

    /// Makes the deliveries to `origin` that began to fail after `since` due now; `None` means any time. A delivery that
    /// Kommo refuses although it accepts others still waits. Returns how many are due earlier than before.
    ///
    /// # Errors
    /// The store cannot be written. Some deliveries may already be due.
    pub async fn release_failed(self, origin: Arc<str>, since: Option<Timestamp>) -> Result<u64, StoreError> {
        on!(self.0, engine => engine.release_failed(origin, since).await)
    }

    /// Returns when the oldest job in `delivering` was received, by the steady clock; `None` if there is none. The cost grows
    /// with the number of deliveries that are retried.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn oldest_undelivered(self) -> Result<Option<Timestamp>, StoreError> {
        on!(self.0, engine => engine.oldest_undelivered().await)
    }

    /// Returns the `limit` unfinished jobs that have waited longest. Reads at most a few thousand entries of indexes, however
    /// many jobs are unfinished; the result says whether that was enough to compare all of them.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn oldest_unfinished(self, limit: u32) -> Result<OldestUnfinished, StoreError> {
        on!(self.0, engine => engine.oldest_unfinished(limit).await)
    }

    /// Returns how many deliveries wait for each origin.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn waiting_deliveries(self) -> Result<Vec<(String, u64)>, StoreError> {
        on!(self.0, engine => engine.waiting_deliveries().await)
    }

    /// Returns the origins among `origins` that have unfinished deliveries.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn with_deliveries(self, origins: &[Arc<str>]) -> Result<HashSet<Arc<str>>, StoreError> {
        on!(self.0, engine => engine.with_deliveries(origins).await)
    }
}
