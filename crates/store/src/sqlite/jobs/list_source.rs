//! Chooses where a list gets its ids from.
//!
//! Most jobs are finished. A search for the few unfinished ones must not scan the finished ones. So it takes their ids
//! from the partial indexes that the queue and the sender need anyway, and lists need no index of their own. These
//! indexes are not in the order of ids: each window scans all their entries, which is fast up to [`MAX_ENTRIES`].

use sqlx::{QueryBuilder, Row, Sqlite, SqlitePool};

use model::{JobId, StateName};

use crate::StoreError;

/// If more jobs are in a state, a list scans the newest jobs of all states instead: many of them are in that state.
const MAX_ENTRIES: i64 = 1_000_000;

/// The source of the ids of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// No job is in this state.
    Nothing,
    /// All jobs.
    All,
    /// These partial indexes, each with its condition. Together they contain every job of the state exactly once.
    Indexes(&'static [(&'static str, &'static str)]),
}

impl Source {
    /// Chooses the source for a list of jobs in `state`, of which there are `jobs`.
    pub(crate) const fn choose(state: StateName, jobs: i64) -> Self {
        match state {
            _ if jobs <= 0 => Self::Nothing,
            _ if jobs > MAX_ENTRIES => Self::All,
            StateName::Queued => Self::Indexes(&[("jobs_queued", "state = 'queued'")]),
            StateName::Running => {
                Self::Indexes(&[("jobs_leased", "lease_until IS NOT NULL AND state = 'running'")])
            }
            StateName::AwaitingCallback => Self::Indexes(&[("jobs_awaiting", "state = 'awaiting_callback'")]),
            StateName::Delivering => Self::Indexes(&[
                ("jobs_undelivered", "state = 'delivering' AND lease_until IS NULL"),
                ("jobs_leased", "lease_until IS NOT NULL AND state = 'delivering'"),
            ]),
            // This index is in the order of ids, so the planner uses it for the list itself.
            StateName::Dead => Self::Indexes(&[("jobs_dead", "state = 'dead'")]),
            StateName::Delivered | StateName::Gone | StateName::Cancelled => Self::All,
        }
    }

    /// Returns the source for a list of jobs in `state`.
    pub(crate) async fn of(pool: &SqlitePool, state: Option<StateName>) -> Result<Self, StoreError> {
        let Some(state) = state else { return Ok(Self::All) };
        let count = sqlx::query("SELECT jobs FROM job_counts WHERE state = ?").bind(state.as_str());
        let jobs = count.fetch_one(pool).await?.try_get(0)?;
        Ok(Self::choose(state, jobs))
    }

    /// Adds a SELECT of the ids before `before` and from `oldest` on.
    pub(crate) fn push(self, sql: &mut QueryBuilder<Sqlite>, before: Option<JobId>, oldest: Option<JobId>) {
        let all = [("", "true")];
        let parts = if let Self::Indexes(parts) = self { parts } else { &all };
        for (place, (index, condition)) in parts.iter().enumerate() {
            let union = if place == 0 { "" } else { " UNION ALL " };
            let by = if index.is_empty() { String::new() } else { format!(" INDEXED BY {index}") };
            sql.push(format!("{union}SELECT id FROM jobs{by} WHERE {condition}"));
            if let Some(before) = before {
                sql.push(" AND id < ").push_bind(before.as_uuid());
            }
            if let Some(oldest) = oldest {
                sql.push(" AND id >= ").push_bind(oldest.as_uuid());
            }
        }
    }
}
