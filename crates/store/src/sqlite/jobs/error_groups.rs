//! Reads the groups of errors, retries their dead jobs, and deletes old groups.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use model::{HandlerName, JobId, Stage, Timestamp};

use crate::sqlite::engine::Engine;
use crate::sqlite::write::bind::execute;
use crate::sqlite::write::command::Command;
use crate::sqlite::write::error_groups::{HOURS, hour};
use crate::sqlite::write::transaction::Transaction;
use crate::time::Cutoff;
use crate::{ErrorGroup, StoreError};

/// The columns of a group.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, stage, handler, text, failures, first_at, last_at, sample FROM error_groups",
            $rest
        )
    };
}

/// There are about a thousand groups at most, so sorting them is cheap.
pub(crate) const GROUPS: &str = select!(" ORDER BY last_at DESC, id DESC");
pub(crate) const GROUP: &str = select!(" WHERE id = ?");
const ALL_HOURS: &str = "SELECT group_id, hour, failures FROM error_hours WHERE hour > ?1 AND hour <= ?2";
pub(crate) const DELETE_OLD: &str =
    "DELETE FROM error_groups WHERE last_service_at < :before_service AND last_at < :before";

impl Engine {
    /// Returns all groups, those with the newest error first.
    pub(crate) async fn error_groups(&self) -> Result<Vec<ErrorGroup>, StoreError> {
        let mut snapshot = self.reading.begin().await?;
        let rows = sqlx::query(GROUPS).fetch_all(&mut *snapshot).await?;
        let mut groups = rows.iter().map(group).collect::<Result<Vec<_>, _>>()?;
        let now = hour(self.moment().calendar.as_millis());
        let hours = sqlx::query(ALL_HOURS).bind(now - HOURS).bind(now).fetch_all(&mut *snapshot).await?;
        for row in &hours {
            let (id, at, failures): (i64, i64, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            let place = usize::try_from(at - (now - HOURS) - 1).unwrap_or_default();
            let found = groups.iter_mut().find(|group| group.id == id);
            if let Some(slot) = found.and_then(|group| group.last_day.get_mut(place)) {
                *slot = failures.unsigned_abs();
            }
        }
        Ok(groups)
    }

    /// Returns one group.
    pub(crate) async fn error_group(&self, id: i64) -> Result<Option<ErrorGroup>, StoreError> {
        if sqlx::query(GROUP).bind(id).fetch_optional(&self.reading).await?.is_none() {
            return Ok(None);
        }
        Ok(self.error_groups().await?.into_iter().find(|group| group.id == id))
    }
}

fn group(row: &SqliteRow) -> Result<ErrorGroup, StoreError> {
    let id: i64 = row.try_get("id")?;
    let corrupt = |column, why: &str| StoreError::Corrupt {
        table: "error_groups",
        column,
        id: id.to_string(),
        why: why.into(),
    };
    let (stage, handler): (&str, &str) = (row.try_get("stage")?, row.try_get("handler")?);
    let stage = [Stage::Handler, Stage::Delivery].into_iter().find(|known| known.as_str() == stage);
    let handler: Option<HandlerName> = if handler.is_empty() {
        None
    } else {
        Some(handler.parse().map_err(|_| corrupt("handler", "not the name of a handler"))?)
    };
    let failures: i64 = row.try_get("failures")?;
    Ok(ErrorGroup {
        id,
        stage: stage.ok_or_else(|| corrupt("stage", "unknown"))?,
        handler,
        text: row.try_get("text")?,
        failures: failures.unsigned_abs(),
        first_at: Timestamp::from_millis(row.try_get("first_at")?),
        last_at: Timestamp::from_millis(row.try_get("last_at")?),
        last_day: vec![0; usize::try_from(HOURS).unwrap_or_default()],
        sample: JobId::from_uuid(row.try_get("sample")?),
    })
}

/// Deletes the groups whose last error is older than `before` by both clocks.
pub(crate) struct DeleteErrorGroups {
    pub(crate) before: Cutoff,
}

impl Command for DeleteErrorGroups {
    type Answer = ();

    fn apply(&self, transaction: &mut Transaction<'_>) -> Result<(), StoreError> {
        execute!(transaction, DELETE_OLD, {
            "before_service" => self.before.service.as_millis(),
            "before" => self.before.calendar.as_millis(),
        });
        Ok(())
    }
}
