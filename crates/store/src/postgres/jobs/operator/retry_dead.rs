//! Retries dead jobs for an operator: all, those of a handler, or those of a group of errors.
//!
//! The writer finds them, so that the retry includes every job that died before it. Each transaction looks at a limited
//! number of dead jobs, whether it retries them or not, so that requests do not wait for a long search.

use sqlx::Row;
use uuid::Uuid;

use model::{HandlerName, JobId, StateName, Timestamp};

use super::retry::retry;
use crate::jobs::actions::NewAction;
use crate::postgres::actions;
use crate::postgres::engine::Engine;
use crate::postgres::jobs::locked::{LockedJob, lock};
use crate::postgres::jobs::work_claims::count;
use crate::postgres::write::command::Command;
use crate::postgres::write::transaction::Transaction;
use crate::{ActionKind, Actor, RetriedDead, StoreError};

/// The maximum number of dead jobs at which one transaction looks. It bounds the time for which requests wait.
const RETRY_CHUNK: usize = 500;

impl Engine {
    pub(crate) async fn retry_dead(
        &self,
        handler: Option<HandlerName>,
        force: bool,
        by: &Actor,
    ) -> Result<RetriedDead, StoreError> {
        self.retry_all(Dead { handler, group: None, force }, by).await
    }

    pub(crate) async fn retry_group(
        &self,
        group: i64,
        force: bool,
        by: &Actor,
    ) -> Result<RetriedDead, StoreError> {
        self.retry_all(Dead { handler: None, group: Some(group), force }, by).await
    }

    async fn retry_all(&self, which: Dead, by: &Actor) -> Result<RetriedDead, StoreError> {
        let mut done = RetriedDead::default();
        let (mut after, mut action) = (None, None);
        loop {
            let (which, now, by) = (which.clone(), self.moment().steady, by.clone());
            let request = RetryDead { which, after, limit: RETRY_CHUNK, now, by, action };
            let some = self.execute(request).await?;
            done.retried += some.jobs;
            done.superseded += some.superseded;
            (after, action) = (some.end, Some(some.action));
            if after.is_none() {
                return Ok(done);
            }
        }
    }
}

pub(crate) const DEAD: &str = "SELECT id, NOT bodies_dropped AND ($2::text IS NULL OR handler = $2) \
     AND ($3::bigint IS NULL OR error_group IS NOT DISTINCT FROM $3), superseded_by IS NOT NULL \
     FROM jobs WHERE ended = 'dead' AND id > $1 ORDER BY id LIMIT $4";

/// Which dead jobs to retry.
#[derive(Clone, Debug)]
pub(crate) struct Dead {
    pub(crate) handler: Option<HandlerName>,
    /// Only jobs of this group of errors.
    pub(crate) group: Option<i64>,
    /// Whether to retry superseded jobs too.
    pub(crate) force: bool,
}

/// Some dead jobs that follow each other.
#[derive(Default)]
struct Window {
    /// Those to retry.
    ids: Vec<JobId>,
    /// The number of those that are skipped because a newer job has the same `return_url`.
    superseded: u64,
    /// The last one; `None` if no dead job is left.
    end: Option<JobId>,
}

/// Retries dead jobs, oldest first, among the next `limit` ones.
///
/// Each transaction continues after the last job of the previous one, so a job that dies again in the meantime is not
/// retried endlessly.
pub(crate) struct RetryDead {
    pub(crate) which: Dead,
    pub(crate) after: Option<JobId>,
    pub(crate) limit: usize,
    pub(crate) now: Timestamp,
    pub(crate) by: Actor,
    /// Its number in the log of actions; `None` for the first transaction.
    pub(crate) action: Option<i64>,
}

/// The result of one transaction.
pub(crate) struct Retried {
    pub(crate) jobs: u64,
    /// The number of those that it skipped because a newer job has the same `return_url`.
    superseded: u64,
    /// The last job at which it looked; `None` if no dead job is left.
    pub(crate) end: Option<JobId>,
    /// Its number in the log of actions.
    action: i64,
}

impl Command for RetryDead {
    type Answer = Retried;

    async fn apply(&self, transaction: &mut Transaction) -> Result<Retried, StoreError> {
        let Window { ids, superseded, end } = self.find(transaction).await?;
        let mut jobs = lock(transaction, ids).await?;
        // Another process may have changed them before they were locked.
        jobs.retain(|job| self.which.takes(job));
        retry(transaction, &jobs, self.which.force, self.now).await?;
        let jobs = jobs.len() as u64;
        let action = match self.action {
            Some(action) => {
                actions::add_jobs(transaction, action, jobs).await?;
                action
            }
            None => actions::record(transaction, &self.which.action(&self.by, jobs)).await?,
        };
        Ok(Retried { jobs, superseded, end, action })
    }
}

impl RetryDead {
    /// Reads the next dead jobs.
    async fn find(&self, transaction: &mut Transaction) -> Result<Window, StoreError> {
        let Self { which, after, limit, .. } = self;
        let query = sqlx::query(DEAD)
            .bind(after.map_or(Uuid::nil(), JobId::as_uuid))
            .bind(which.handler.as_ref().map(|handler| handler.as_str().to_owned()))
            .bind(which.group)
            .bind(count(*limit));
        let rows = transaction.read(query).await?;
        let mut window = Window::default();
        for row in &rows {
            let (id, is_wanted, is_superseded): (Uuid, bool, bool) =
                (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            let id = JobId::from_uuid(id);
            window.end = Some(id);
            match (is_wanted, is_superseded && !which.force) {
                (true, false) => window.ids.push(id),
                (true, true) => window.superseded += 1,
                (false, _) => {}
            }
        }
        window.end = window.end.filter(|_| rows.len() >= *limit);
        Ok(window)
    }
}

impl Dead {
    /// Whether a job still allows the retry.
    fn takes(&self, job: &LockedJob) -> bool {
        let found = &job.found;
        found.state == StateName::Dead && found.has_bodies && (self.force || found.superseded_by.is_none())
    }

    fn action(&self, by: &Actor, jobs: u64) -> NewAction {
        let handler = self.handler.as_ref().map(|handler| format!(" handler:{handler}"));
        let target = match self.group {
            Some(group) => format!("error group {group}"),
            None => format!("state:dead{}", handler.unwrap_or_default()),
        };
        NewAction { jobs, ..NewAction::on(by, ActionKind::JobsRetry, target) }
    }
}
