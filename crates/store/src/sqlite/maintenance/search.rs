//! Keeps the search index up to date.

use sqlx::Row;

use crate::StoreError;
use crate::jobs::search::run::RunSize;
use crate::jobs::search::watch::{Indexed, MIN_AGE, RUNS_PER_TICK, SearchWatch};
use crate::sqlite::engine::Engine;
use crate::sqlite::jobs::search::index::{self, DeleteRuns, IndexRun, MAX_DELETED_RUNS};
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
            let rows = sqlx::query(index::EMPTY).bind(MAX_DELETED_RUNS).fetch_all(&self.reading).await?;
            let runs: Vec<i64> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
            if runs.is_empty() {
                return Ok(());
            }
            self.execute(DeleteRuns(runs)).await?;
        }
    }
}
