//! Reads the groups of errors, and deletes old groups.

use sqlx::{PgConnection, Row};

use crate::jobs::error_groups::{Days, first, group};
use crate::jobs::failures::{HOURS, hour};
use crate::jobs::row::Columns;
use crate::postgres::engine::Engine;
use crate::postgres::jobs::snapshot::snapshot;
use crate::postgres::write::command::Command;
use crate::postgres::write::transaction::Transaction;
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
    select!(" WHERE (last_at, id) < ($1, $2) ORDER BY last_at DESC, id DESC LIMIT $3");
pub(crate) const GROUP: &str = select!(" WHERE id = $1");
/// Selects the hours of some groups.
pub(crate) const HOURS_OF: &str = "SELECT group_id, hour, failures FROM error_hours \
     WHERE group_id = ANY ($1) AND hour > $2 AND hour <= $3";
pub(crate) const DELETE_OLD: &str = "DELETE FROM error_groups WHERE last_service_at < $1 AND last_at < $2";

impl Engine {
    /// Returns at most `limit` groups behind `after`, those with the newest error first.
    pub(crate) async fn error_groups(
        &self,
        after: Option<ErrorGroupPosition>,
        limit: u32,
    ) -> Result<ErrorGroupPage, StoreError> {
        let (last_at, id) = after.map_or((i64::MAX, i64::MAX), |(at, id)| (at.as_millis(), id));
        let mut snapshot = snapshot(&self.reading).await?;
        let query = sqlx::query(GROUPS).bind(last_at).bind(id).bind(i64::from(limit) + 1);
        let rows = query.fetch_all(&mut *snapshot).await?;
        let (mut groups, has_more) = first(rows.iter().map(|row| row as &dyn Columns), limit)?;
        self.count_hours(&mut snapshot, &mut groups).await?;
        let next = groups.last().filter(|_| has_more).map(|last| (last.last_at, last.id));
        Ok(ErrorGroupPage { groups, next })
    }

    /// Returns one group.
    pub(crate) async fn error_group(&self, id: i64) -> Result<Option<ErrorGroup>, StoreError> {
        let mut snapshot = snapshot(&self.reading).await?;
        let row = sqlx::query(GROUP).bind(id).fetch_optional(&mut *snapshot).await?;
        let mut found: Vec<ErrorGroup> = row.iter().map(|row| group(row)).collect::<Result<_, _>>()?;
        self.count_hours(&mut snapshot, &mut found).await?;
        Ok(found.pop())
    }

    /// Sets `last_day` of the groups.
    pub(super) async fn count_hours(
        &self,
        snapshot: &mut PgConnection,
        groups: &mut [ErrorGroup],
    ) -> Result<(), StoreError> {
        let now = hour(self.moment().calendar.as_millis());
        let ids: Vec<i64> = groups.iter().map(|group| group.id).collect();
        let query = sqlx::query(HOURS_OF).bind(ids).bind(now - HOURS).bind(now);
        let rows = query.fetch_all(snapshot).await?;
        let mut days = Days::of(groups, now);
        for row in &rows {
            days.set(row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        }
        Ok(())
    }
}

/// Deletes the groups whose last error is older than `before` by both clocks.
pub(crate) struct DeleteErrorGroups {
    pub(crate) before: Cutoff,
}

impl Command for DeleteErrorGroups {
    type Answer = ();

    async fn apply(&self, transaction: &mut Transaction) -> Result<(), StoreError> {
        let Cutoff { calendar, service } = self.before;
        let delete = sqlx::query(DELETE_OLD).bind(service.as_millis()).bind(calendar.as_millis());
        transaction.execute(delete).await?;
        Ok(())
    }
}
