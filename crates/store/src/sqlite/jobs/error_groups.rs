//! Reads the groups of errors, retries their dead jobs, and deletes old groups.

use std::collections::HashMap;

use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use model::{HandlerName, JobId, Stage, Timestamp};

use crate::sqlite::engine::Engine;
use crate::sqlite::write::bind::execute;
use crate::sqlite::write::command::Command;
use crate::sqlite::write::error_groups::{HOURS, hour};
use crate::sqlite::write::transaction::Transaction;
use crate::time::Cutoff;
use crate::{ErrorGroup, ErrorGroupPage, ErrorGroupPosition, StoreError};

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
pub(crate) const GROUPS: &str =
    select!(" WHERE (last_at, id) < (?1, ?2) ORDER BY last_at DESC, id DESC LIMIT 0 + ?3");
pub(crate) const GROUP: &str = select!(" WHERE id = ?");
/// Selects the hours of the groups in a JSON list.
pub(crate) const HOURS_OF: &str = "SELECT group_id, hour, failures FROM error_hours \
     WHERE group_id IN (SELECT value FROM json_each(?1)) AND hour > ?2 AND hour <= ?3";
pub(crate) const DELETE_OLD: &str =
    "DELETE FROM error_groups WHERE last_service_at < :before_service AND last_at < :before";

impl Engine {
    /// Returns at most `limit` groups behind `after`, those with the newest error first.
    pub(crate) async fn error_groups(
        &self,
        after: Option<ErrorGroupPosition>,
        limit: u32,
    ) -> Result<ErrorGroupPage, StoreError> {
        let (last_at, id) = after.map_or((i64::MAX, i64::MAX), |(at, id)| (at.as_millis(), id));
        let mut snapshot = self.reading.begin().await?;
        let query = sqlx::query(GROUPS).bind(last_at).bind(id).bind(i64::from(limit) + 1);
        let rows = query.fetch_all(&mut *snapshot).await?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut groups = rows.iter().take(limit).map(group).collect::<Result<Vec<_>, _>>()?;
        self.count_hours(&mut snapshot, &mut groups).await?;
        let next = groups.last().filter(|_| rows.len() > limit).map(|last| (last.last_at, last.id));
        Ok(ErrorGroupPage { groups, next })
    }

    /// Returns one group.
    pub(crate) async fn error_group(&self, id: i64) -> Result<Option<ErrorGroup>, StoreError> {
        let mut snapshot = self.reading.begin().await?;
        let row = sqlx::query(GROUP).bind(id).fetch_optional(&mut *snapshot).await?;
        let mut found: Vec<ErrorGroup> = row.iter().map(group).collect::<Result<_, _>>()?;
        self.count_hours(&mut snapshot, &mut found).await?;
        Ok(found.pop())
    }

    /// Sets `last_day` of the groups.
    pub(super) async fn count_hours(
        &self,
        snapshot: &mut SqliteConnection,
        groups: &mut [ErrorGroup],
    ) -> Result<(), StoreError> {
        let now = hour(self.moment().calendar.as_millis());
        let ids: Vec<i64> = groups.iter().map(|group| group.id).collect();
        let ids = serde_json::Value::from(ids).to_string();
        let query = sqlx::query(HOURS_OF).bind(ids).bind(now - HOURS).bind(now);
        let rows = query.fetch_all(snapshot).await?;
        let mut days: HashMap<i64, &mut Vec<u64>> =
            groups.iter_mut().map(|group| (group.id, &mut group.last_day)).collect();
        for row in &rows {
            let (id, at, failures): (i64, i64, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            let place = usize::try_from(at - (now - HOURS) - 1).unwrap_or_default();
            if let Some(slot) = days.get_mut(&id).and_then(|day| day.get_mut(place)) {
                *slot = failures.unsigned_abs();
            }
        }
        Ok(())
    }
}

pub(super) fn group(row: &SqliteRow) -> Result<ErrorGroup, StoreError> {
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
