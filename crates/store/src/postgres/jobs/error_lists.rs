//! Reads pages and counts of the groups of errors.

use sqlx::Row;

use model::Timestamp;

use crate::jobs::error_groups::{first, group};
use crate::jobs::failures::{HOURS, hour};
use crate::jobs::row::Columns;
use crate::postgres::engine::Engine;
use crate::postgres::jobs::snapshot::snapshot;
use crate::{DeadInGroup, ErrorCounts, ErrorGroup, ListedErrors, StoreError};

/// How many dead jobs are read to count those of one group.
const MAX_COUNTED: i64 = 50_000;

/// Sorts all groups, of which there are few, and returns some.
pub(crate) const NEW_FIRST: &str = "SELECT id, stage, handler, text, failures, first_at, last_at, sample FROM error_groups \
     WHERE ((first_at > $1)::int::bigint, last_at, id) < ($2, $3, $4) \
     ORDER BY first_at > $1 DESC, last_at DESC, id DESC LIMIT $5";
/// Selects the groups with most errors since the hour `$1`, until the hour `$2`, and the number of these errors.
pub(crate) const TOP: &str = "SELECT id, stage, handler, text, failures, first_at, last_at, sample, recent FROM \
     (SELECT group_id, sum(failures) AS recent FROM error_hours WHERE hour > $1 AND hour <= $2 GROUP BY group_id \
     ORDER BY recent DESC LIMIT $3) AS hours JOIN error_groups ON id = group_id \
     ORDER BY recent DESC, last_at DESC, id DESC";
pub(crate) const COUNTS: &str = "SELECT count(*), count(*) FILTER (WHERE last_at > $1), \
     count(*) FILTER (WHERE first_at > $1), coalesce(sum(failures), 0)::bigint, max(last_at) FROM error_groups";
/// The newest dead jobs: how many, and those of a group that can be retried, superseded or not.
pub(crate) const DEAD_IN: &str = "SELECT count(*), \
     count(*) FILTER (WHERE error_group = $1 AND NOT bodies_dropped AND superseded_by IS NULL), \
     count(*) FILTER (WHERE error_group = $1 AND NOT bodies_dropped AND superseded_by IS NOT NULL) \
     FROM (SELECT error_group, superseded_by, bodies_dropped FROM jobs \
     WHERE ended = 'dead' ORDER BY id DESC LIMIT $2) AS newest";

impl Engine {
    /// Returns at most `limit` groups behind `after`: first those that are newer than `new_since`.
    pub(crate) async fn list_errors(
        &self,
        new_since: Timestamp,
        after: Option<(bool, Timestamp, i64)>,
        limit: u32,
    ) -> Result<ListedErrors, StoreError> {
        let (is_new, last_at, id) =
            after.map_or((2, 0, 0), |(is_new, at, id)| (i64::from(is_new), at.as_millis(), id));
        let mut snapshot = snapshot(&self.reading).await?;
        let query = sqlx::query(NEW_FIRST).bind(new_since.as_millis()).bind(is_new).bind(last_at).bind(id);
        let rows = query.bind(i64::from(limit) + 1).fetch_all(&mut *snapshot).await?;
        let (mut groups, has_more) = first(rows.iter().map(|row| row as &dyn Columns), limit)?;
        self.count_hours(&mut snapshot, &mut groups).await?;
        Ok(ListedErrors { has_more, groups })
    }

    /// Returns at most `limit` groups, those with most errors within a day first.
    pub(crate) async fn top_errors(&self, limit: u32) -> Result<Vec<ErrorGroup>, StoreError> {
        let now = hour(self.moment().calendar.as_millis());
        let mut snapshot = snapshot(&self.reading).await?;
        let query = sqlx::query(TOP).bind(now - HOURS).bind(now).bind(i64::from(limit));
        let rows = query.fetch_all(&mut *snapshot).await?;
        let mut groups = rows.iter().map(|row| group(row)).collect::<Result<Vec<_>, _>>()?;
        self.count_hours(&mut snapshot, &mut groups).await?;
        Ok(groups)
    }

    /// Counts the groups.
    pub(crate) async fn count_errors(&self, since: Timestamp) -> Result<ErrorCounts, StoreError> {
        let row = sqlx::query(COUNTS)
            .bind(since.as_millis())
            .fetch_one(&mut *snapshot(&self.reading).await?)
            .await?;
        let count = |column: usize| row.try_get(column).map(i64::unsigned_abs);
        let last_at: Option<i64> = row.try_get(4)?;
        Ok(ErrorCounts {
            all: count(0)?,
            recent: count(1)?,
            new: count(2)?,
            failures: count(3)?,
            last_at: last_at.map(Timestamp::from_millis),
        })
    }

    /// Counts the dead jobs of a group.
    pub(crate) async fn dead_in_group(&self, id: i64) -> Result<DeadInGroup, StoreError> {
        let row = sqlx::query(DEAD_IN)
            .bind(id)
            .bind(MAX_COUNTED)
            .fetch_one(&mut *snapshot(&self.reading).await?)
            .await?;
        let (read, jobs, superseded): (i64, i64, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        Ok(DeadInGroup {
            jobs: jobs.unsigned_abs(),
            superseded: superseded.unsigned_abs(),
            is_complete: read < MAX_COUNTED,
        })
    }
}
