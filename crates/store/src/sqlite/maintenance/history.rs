//! History for charts: writes the latest periods, and reads all of them at the start.

use sqlx::Row;

use crate::sqlite::engine::Engine;
use crate::sqlite::write::bind::execute;
use crate::sqlite::write::command::Command;
use crate::sqlite::write::transaction::Transaction;
use crate::{HistoryPoint, KeptHistory, StoreError};

pub(crate) const SAVE: &str = "INSERT INTO history (step_seconds, slot, point) VALUES (:step, :slot, :point) \
     ON CONFLICT DO UPDATE SET point = excluded.point";
pub(crate) const DELETE: &str =
    "DELETE FROM history WHERE step_seconds = :step AND NOT slot BETWEEN :first AND :last";

struct SaveHistory {
    points: Vec<HistoryPoint>,
    kept: Vec<KeptHistory>,
}

impl Command for SaveHistory {
    type Answer = ();

    fn apply(&self, transaction: &mut Transaction<'_>) -> Result<(), StoreError> {
        for HistoryPoint { step_seconds, slot, point } in &self.points {
            execute!(transaction, SAVE, {
                "step" => *step_seconds,
                "slot" => *slot,
                "point" => point.as_str(),
            });
        }
        for KeptHistory { step_seconds, first, last } in &self.kept {
            execute!(transaction, DELETE, { "step" => *step_seconds, "first" => *first, "last" => *last });
        }
        Ok(())
    }
}

impl Engine {
    pub(crate) async fn save_history(
        &self,
        points: Vec<HistoryPoint>,
        kept: Vec<KeptHistory>,
    ) -> Result<(), StoreError> {
        self.execute(SaveHistory { points, kept }).await
    }

    pub(crate) async fn history(&self) -> Result<Vec<HistoryPoint>, StoreError> {
        let sql = "SELECT step_seconds, slot, point FROM history ORDER BY step_seconds, slot";
        let rows = sqlx::query(sql).fetch_all(&self.reading).await?;
        let point = |row: &sqlx::sqlite::SqliteRow| {
            Ok(HistoryPoint {
                step_seconds: row.try_get("step_seconds")?,
                slot: row.try_get("slot")?,
                point: row.try_get("point")?,
            })
        };
        rows.iter().map(point).collect()
    }
}
