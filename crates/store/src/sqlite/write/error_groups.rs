//! Writes the groups of errors (table `error_groups`), once for each group of a transaction.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension};

use model::JobId;

use crate::StoreError;
use crate::jobs::failures::{Failure, HOURS, MAX_GROUPS, OTHER, hour};
use crate::sqlite::write::bind::{bind, execute};
use crate::time::Moment;

pub(crate) const FIND: &str =
    "SELECT id FROM error_groups WHERE text = :text AND stage = :stage AND handler = :handler";
const COUNT: &str = "SELECT count(*) FROM error_groups";
pub(crate) const ADD: &str = "INSERT INTO error_groups (stage, handler, text, failures, first_at, last_at, last_service_at, \
     sample) VALUES (:stage, :handler, :text, :failures, :now, :now, :service_now, :sample) \
     ON CONFLICT (text, stage, handler) DO UPDATE SET failures = failures + excluded.failures, \
     last_at = excluded.last_at, last_service_at = excluded.last_service_at, sample = excluded.sample";
pub(crate) const ADD_HOUR: &str = "INSERT INTO error_hours (group_id, hour, failures) VALUES (:group_id, :hour, :failures) \
     ON CONFLICT (group_id, hour) DO UPDATE SET failures = failures + excluded.failures";
/// Hours in the future are from a calendar that was wrong.
pub(crate) const DROP_HOURS: &str =
    "DELETE FROM error_hours WHERE group_id = :group_id AND (hour <= :last OR hour > :hour)";
pub(crate) const MARK: &str = "UPDATE jobs SET error_group = :group_id WHERE id = :id";

/// Adds `failures` to their groups, and marks their jobs.
pub(crate) fn write(connection: &Connection, failures: &[Failure], moment: Moment) -> Result<(), StoreError> {
    if failures.is_empty() {
        return Ok(());
    }
    let mut groups: BTreeMap<(&str, &str, &str), Vec<JobId>> = BTreeMap::new();
    for Failure { stage, handler, text, job } in failures {
        groups.entry((text.as_str(), stage.as_str(), handler.as_str())).or_default().push(*job);
    }
    for ((text, stage, handler), jobs) in groups {
        let (text, handler) =
            if has_room(connection, text, stage, handler)? { (text, handler) } else { (OTHER, "") };
        let Some(sample) = jobs.last() else { continue };
        let failures = i64::try_from(jobs.len()).unwrap_or(i64::MAX);
        execute!(connection, ADD, {
            "stage" => stage,
            "handler" => handler,
            "text" => text,
            "failures" => failures,
            "now" => moment.calendar.as_millis(),
            "service_now" => moment.service.as_millis(),
            "sample" => sample.as_uuid(),
        });
        let Some(group) = find(connection, text, stage, handler)? else { continue };
        let hour = hour(moment.calendar.as_millis());
        execute!(connection, ADD_HOUR, { "group_id" => group, "hour" => hour, "failures" => failures });
        execute!(connection, DROP_HOURS, { "group_id" => group, "hour" => hour, "last" => hour - HOURS });
        for job in jobs {
            execute!(connection, MARK, { "group_id" => group, "id" => job.as_uuid() });
        }
    }
    Ok(())
}

/// Whether the group exists, or may be added.
fn has_room(connection: &Connection, text: &str, stage: &str, handler: &str) -> Result<bool, StoreError> {
    if find(connection, text, stage, handler)?.is_some() {
        return Ok(true);
    }
    let groups: i64 = connection.prepare_cached(COUNT)?.query_one((), |row| row.get(0))?;
    Ok(groups < MAX_GROUPS)
}

fn find(connection: &Connection, text: &str, stage: &str, handler: &str) -> Result<Option<i64>, StoreError> {
    let mut statement = connection.prepare_cached(FIND)?;
    bind!(statement, FIND, { "text" => text, "stage" => stage, "handler" => handler });
    let id = statement.raw_query().next().optional()?.flatten().map(|row| row.get(0)).transpose()?;
    Ok(id)
}
