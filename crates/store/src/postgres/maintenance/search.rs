//! Keeps the search index up to date.

use crate::StoreError;
use crate::jobs::search::run::RunSize;
use crate::jobs::search::watch::{Indexed, MIN_AGE, RUNS_PER_TICK, SearchWatch};
use crate::postgres::engine::Engine;
use crate::postgres::jobs::search::index::{self, DeleteRuns, IndexRun, MAX_DELETED_RUNS};
use crate::postgres::jobs::snapshot::snapshot;
use crate::time::Moment;

impl Engine {
    /// Adds runs to the search index, if enough jobs have gathered.
    pub(crate) async fn index_jobs(
        &self,
        watch: &mut SearchWatch,
        now: Moment,
        size: RunSize,
    ) -> Result<(), StoreError> {
        let accepted = watch.tick(i64::try_from(self.search_progress.all_accepted()).unwrap_or(i64::MAX));
        if !watch.is_due(accepted, size) {
            return Ok(());
        }
        for _ in 0..RUNS_PER_TICK {
            let before = now.calendar - MIN_AGE;
            let run = IndexRun { progress: self.search_progress.clone(), size, before };
            let indexed = self.execute(run).await?;
            watch.note(indexed, accepted, size);
            if matches!(indexed, Indexed::TooFew(_)) {
                break;
            }
        }
        Ok(())
    }

    /// Removes the runs whose jobs are all deleted.
    pub(crate) async fn delete_empty_runs(&self) -> Result<(), StoreError> {
        loop {
            let runs: Vec<i64> = {
                let mut snapshot = snapshot(&self.reading).await?;
                sqlx::query_scalar(index::EMPTY).bind(MAX_DELETED_RUNS).fetch_all(&mut *snapshot).await?
            };
            if runs.is_empty() {
                return Ok(());
            }
            self.execute(DeleteRuns(runs)).await?;
        }
    }
}
