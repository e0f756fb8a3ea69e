//! Writes the groups of errors (table `error_groups`), once for each group of a transaction.

use std::collections::BTreeMap;

use sqlx::Row;
use uuid::Uuid;

use model::JobId;

use crate::StoreError;
use crate::jobs::failures::{Failure, HOURS, MAX_GROUPS, OTHER, hour};
use crate::postgres::write::text::storable;
use crate::postgres::write::transaction::Transaction;

pub(crate) const FIND: &str = "SELECT id FROM error_groups WHERE text = $1 AND stage = $2 AND handler = $3";
const COUNT: &str = "SELECT count(*) FROM error_groups";
pub(crate) const ADD: &str = "INSERT INTO error_groups (stage, handler, text, failures, first_at, last_at, last_service_at, \
     sample) VALUES ($2, $3, $1, $4, $5, $5, $6, $7) \
     ON CONFLICT (text, stage, handler) DO UPDATE SET failures = error_groups.failures + excluded.failures, \
     last_at = excluded.last_at, last_service_at = excluded.last_service_at, sample = excluded.sample RETURNING id";
pub(crate) const ADD_HOUR: &str = "INSERT INTO error_hours (group_id, hour, failures) VALUES ($1, $2, $3) \
     ON CONFLICT (group_id, hour) DO UPDATE SET failures = error_hours.failures + excluded.failures";
/// Hours in the future are from a calendar that was wrong.
pub(crate) const DROP_HOURS: &str =
    "DELETE FROM error_hours WHERE group_id = $1 AND (hour <= $2 OR hour > $3)";
pub(crate) const MARK: &str =
    "UPDATE jobs SET error_group = $2 FROM unnest($1::uuid[]) AS failed (id) WHERE jobs.id = failed.id";

/// Adds the failures of the transaction to their groups, and marks their jobs.
pub(crate) async fn write(transaction: &mut Transaction) -> Result<(), StoreError> {
    let failures = std::mem::take(&mut transaction.failures);
    let mut groups: BTreeMap<(String, &str, &str), Vec<JobId>> = BTreeMap::new();
    for Failure { stage, handler, text, job } in &failures {
        let text = storable(text).into_owned();
        groups.entry((text, stage.as_str(), handler.as_str())).or_default().push(*job);
    }
    for ((text, stage, handler), jobs) in groups {
        let has_room = has_room(transaction, &text, stage, handler).await?;
        let (text, handler) = if has_room { (text.as_str(), handler) } else { (OTHER, "") };
        add(transaction, text, stage, handler, &jobs).await?;
    }
    Ok(())
}

async fn add(
    transaction: &mut Transaction,
    text: &str,
    stage: &str,
    handler: &str,
    jobs: &[JobId],
) -> Result<(), StoreError> {
    let Some(sample) = jobs.last() else { return Ok(()) };
    let (moment, failures) = (transaction.moment, i64::try_from(jobs.len()).unwrap_or(i64::MAX));
    let now = moment.calendar.as_millis();
    let add = sqlx::query(ADD)
        .bind(text)
        .bind(stage)
        .bind(handler)
        .bind(failures)
        .bind(now)
        .bind(moment.service.as_millis())
        .bind(sample.as_uuid());
    let Some(row) = transaction.change(add).await?.pop() else { return Ok(()) };
    let (group, hour): (i64, i64) = (row.try_get(0)?, hour(now));
    transaction.execute(sqlx::query(ADD_HOUR).bind(group).bind(hour).bind(failures)).await?;
    transaction.execute(sqlx::query(DROP_HOURS).bind(group).bind(hour - HOURS).bind(hour)).await?;
    let mut ids: Vec<Uuid> = jobs.iter().map(|id| id.as_uuid()).collect();
    ids.sort_unstable();
    transaction.execute(sqlx::query(MARK).bind(ids).bind(group)).await?;
    Ok(())
}

/// Whether the group exists, or may be added.
async fn has_room(
    transaction: &mut Transaction,
    text: &str,
    stage: &str,
    handler: &str,
) -> Result<bool, StoreError> {
    let find = sqlx::query(FIND).bind(text).bind(stage).bind(handler);
    if !transaction.read(find).await?.is_empty() {
        return Ok(true);
    }
    let groups = transaction.read(sqlx::query(COUNT)).await?;
    let groups: i64 = groups.first().map_or(Ok(0), |row| row.try_get(0))?;
    Ok(groups < MAX_GROUPS)
}
