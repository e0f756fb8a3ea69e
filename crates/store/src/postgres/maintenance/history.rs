//! History for charts: writes the latest periods, and reads all of them at the start.

use sqlx::Row;
use sqlx::postgres::PgRow;

use crate::postgres::engine::Engine;
use crate::postgres::write::command::Command;
use crate::postgres::write::transaction::Transaction;
use crate::{HistoryPoint, KeptHistory, StoreError};

/// Writes periods, each once.
pub(crate) const SAVE: &str = "INSERT INTO history (step_seconds, slot, point) \
     SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[]) \
     ON CONFLICT (step_seconds, slot) DO UPDATE SET point = excluded.point";
pub(crate) const DELETE: &str = "DELETE FROM history WHERE step_seconds = $1 AND NOT slot BETWEEN $2 AND $3";
pub(crate) const SELECT: &str = "SELECT step_seconds, slot, point FROM history ORDER BY step_seconds, slot";

struct SaveHistory {
    points: Vec<HistoryPoint>,
    kept: Vec<KeptHistory>,
}

impl Command for SaveHistory {
    type Answer = ();

    async fn apply(&self, transaction: &mut Transaction) -> Result<(), StoreError> {
        // One statement cannot write the same row twice.
        let points: std::collections::BTreeMap<(i64, i64), &str> = self
            .points
            .iter()
            .map(|HistoryPoint { step_seconds, slot, point }| {
                ((i64::from(*step_seconds), *slot), point.as_str())
            })
            .collect();
        let (keys, texts): (Vec<(i64, i64)>, Vec<&str>) = points.into_iter().unzip();
        let (steps, slots): (Vec<i64>, Vec<i64>) = keys.into_iter().unzip();
        transaction.execute(sqlx::query(SAVE).bind(steps).bind(slots).bind(texts)).await?;
        for KeptHistory { step_seconds, first, last } in &self.kept {
            let delete = sqlx::query(DELETE).bind(i64::from(*step_seconds)).bind(first).bind(last);
            transaction.execute(delete).await?;
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
        let rows = sqlx::query(SELECT).fetch_all(&self.reading).await?;
        let point = |row: &PgRow| {
            let step: i64 = row.try_get("step_seconds")?;
            Ok(HistoryPoint {
                step_seconds: u32::try_from(step).unwrap_or(u32::MAX),
                slot: row.try_get("slot")?,
                point: row.try_get("point")?,
            })
        };
        rows.iter().map(point).collect()
    }
}
