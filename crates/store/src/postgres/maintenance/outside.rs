//! Reads the changes by other processes: an operator's commands.

use crate::StoreError;
use crate::postgres::engine::Engine;
use crate::postgres::jobs::lane_reload::PollOutsideChanges;

pub(crate) const ANY_OUTSIDE_CHANGES: &str = "SELECT EXISTS (SELECT FROM outside_changes)";

impl Engine {
    /// Loads the jobs that other processes have changed into the schedule. A read spares the writer as long as there are none.
    pub(super) async fn poll_outside_changes(&self) -> Result<(), StoreError> {
        let any: bool = sqlx::query_scalar(ANY_OUTSIDE_CHANGES).fetch_one(&self.reading).await?;
        if any {
            self.execute(PollOutsideChanges).await?;
        }
        Ok(())
    }
}
