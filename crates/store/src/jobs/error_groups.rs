//! Groups of errors, for any engine: what their rows contain, and their errors by hour.

use model::maps::HashMap;
use model::{HandlerName, Stage};

use super::failures::HOURS;
use super::row::Columns;
use super::table_row::TableRow;
use crate::{ErrorGroup, StoreError};

/// Reads the first `limit` groups. Returns whether there are more: the query has read one more, if there is one.
pub(crate) fn first<'r>(
    rows: impl ExactSizeIterator<Item = &'r dyn Columns>,
    limit: u32,
) -> Result<(Vec<ErrorGroup>, bool), StoreError> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = rows.len() > limit;
    Ok((rows.take(limit).map(group).collect::<Result<_, _>>()?, has_more))
}

/// Reads a group, without its hours.
pub(crate) fn group(row: &dyn Columns) -> Result<ErrorGroup, StoreError> {
    let row = TableRow::new("error_groups", row)?;
    let stage =
        |name: &str| [Stage::Handler, Stage::Delivery].into_iter().find(|known| known.as_str() == name);
    let handler = row.text("handler")?;
    let handler: Option<HandlerName> = if handler.is_empty() {
        None
    } else {
        Some(handler.parse().map_err(|_| row.corrupt("handler", "not the name of a handler"))?)
    };
    Ok(ErrorGroup {
        id: row.id,
        stage: row.named("stage", stage)?,
        handler,
        text: row.text("text")?.to_owned(),
        failures: row.number("failures")?,
        first_at: row.time("first_at")?,
        last_at: row.time("last_at")?,
        last_day: vec![0; usize::try_from(HOURS).unwrap_or_default()],
        sample: row.job_id("sample")?,
    })
}

/// The last day of some groups, hour by hour.
pub(crate) struct Days<'g> {
    days: HashMap<i64, &'g mut Vec<u64>>,
    /// The first hour of the day.
    first: i64,
}

impl<'g> Days<'g> {
    /// `now` is the current hour, which is the last one of the day.
    pub(crate) fn of(groups: &'g mut [ErrorGroup], now: i64) -> Self {
        let days = groups.iter_mut().map(|group| (group.id, &mut group.last_day)).collect();
        Self { days, first: now - HOURS + 1 }
    }

    /// Sets the number of errors of a group in an hour.
    pub(crate) fn set(&mut self, group: i64, hour: i64, failures: i64) {
        let place = usize::try_from(hour - self.first).ok();
        if let Some(slot) = self.days.get_mut(&group).zip(place).and_then(|(day, place)| day.get_mut(place)) {
            *slot = failures.unsigned_abs();
        }
    }
}
