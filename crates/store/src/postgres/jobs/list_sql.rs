//! The statements of a list.
//!
//! OFFSET keeps PostgreSQL from turning a statement around: it then reads the jobs for one id, or for one range of ids,
//! after another.

use sqlx::{Postgres, QueryBuilder};
use uuid::Uuid;

use model::JobId;

use crate::jobs::listing::source::Source;
use crate::jobs::listing::walk::{Parts, Selected, Stretch};
use crate::postgres::jobs::row::SUMMARY;
use crate::postgres::jobs::{filter_sql, list_source};

/// Selects the oldest job of a window of `size` + 1 jobs; nothing if fewer remain.
pub(crate) fn window(
    source: &Source,
    before: Option<JobId>,
    floor: Option<JobId>,
    size: i64,
) -> QueryBuilder<Postgres> {
    let mut sql = QueryBuilder::new("SELECT id FROM (");
    list_source::push(&mut sql, source, before, floor, |_| ());
    sql.push(") AS ids ORDER BY id DESC LIMIT 1 OFFSET ").push_bind(size);
    sql
}

/// Selects the ids of all entries of `source`, oldest first.
pub(crate) fn all_ids(
    source: &Source,
    before: Option<JobId>,
    floor: Option<JobId>,
) -> QueryBuilder<Postgres> {
    let mut sql = QueryBuilder::new("SELECT id FROM (");
    list_source::push(&mut sql, source, before, floor, |_| ());
    sql.push(") AS ids ORDER BY id");
    sql
}

/// Selects the jobs of a stretch that match a filter.
pub(crate) fn select(selected: Selected<'_>) -> QueryBuilder<Postgres> {
    let mut sql = QueryBuilder::new("");
    push(&mut sql, selected, SUMMARY, true);
    sql
}

/// Counts the jobs of a stretch that match a filter for each account, and selects the oldest and the newest of them. The
/// digits of ids have the order of the ids, which PostgreSQL 15 cannot compare in an aggregate.
pub(crate) fn count(selected: Selected<'_>, have_bodies: bool) -> QueryBuilder<Postgres> {
    let mut sql = QueryBuilder::new(
        r#"SELECT account_id, count(*), min(id::text COLLATE "C")::uuid, max(id::text COLLATE "C")::uuid FROM ("#,
    );
    push(&mut sql, selected, "jobs.id, jobs.account_id, jobs.bodies_dropped", false);
    sql.push(") AS matching");
    sql.push(if have_bodies { " WHERE NOT bodies_dropped" } else { "" }).push(" GROUP BY account_id");
    sql
}

/// Adds a SELECT of these columns of the jobs of a stretch that match a filter: of all of them, or of the newest ones up to
/// the limit.
fn push(sql: &mut QueryBuilder<Postgres>, selected: Selected<'_>, columns: &str, is_limited: bool) {
    let Selected { source, filter, now, limit, stretch } = selected;
    let Stretch { before, oldest, .. } = *stretch;
    let newest = |sql: &mut QueryBuilder<Postgres>, id: &str| {
        if is_limited {
            sql.push(format!(" ORDER BY {id} DESC LIMIT ")).push_bind(i64::from(limit));
        } else {
            sql.push(" OFFSET 0");
        }
    };
    match (&stretch.parts, source) {
        (Parts::Ids(ids), _) => {
            sql.push("SELECT job.* FROM unnest(").push_bind(ids.clone());
            sql.push(format!(
                "::uuid[]) AS ids (id) CROSS JOIN LATERAL (SELECT {columns} FROM jobs WHERE jobs.id = ids.id"
            ));
            filter_sql::push(sql, filter, now);
            sql.push(" OFFSET 0) AS job");
            newest(sql, "job.id");
        }
        // A single one is the range itself.
        (Parts::Spans(spans), _) if spans.len() > 1 => {
            let (from, below): (Vec<Uuid>, Vec<Uuid>) =
                spans.iter().map(|span| (span.from, span.below)).unzip();
            sql.push("SELECT job.* FROM unnest(").push_bind(from).push("::uuid[], ").push_bind(below);
            sql.push(format!(
                "::uuid[]) AS span (first, behind) CROSS JOIN LATERAL (SELECT {columns} FROM jobs \
                 WHERE jobs.id >= span.first AND jobs.id < span.behind"
            ));
            filter_sql::push(sql, filter, now);
            newest(sql, "jobs.id");
            sql.push(") AS job");
            newest(sql, "job.id");
        }
        // The filter is inside, so that the rest reads only the jobs of the page.
        (_, Source::Union(_)) => {
            sql.push("SELECT job.* FROM (SELECT id FROM (");
            list_source::push(sql, source, before, oldest, |sql| filter_sql::push(sql, filter, now));
            sql.push(") AS found");
            newest(sql, "id");
            sql.push(format!(
                ") AS ids CROSS JOIN LATERAL (SELECT {columns} FROM jobs WHERE jobs.id = ids.id OFFSET 0) AS job"
            ));
            newest(sql, "ids.id");
        }
        _ => {
            let condition = if let Source::Ordered((_, condition)) = source { condition } else { "true" };
            sql.push(format!("SELECT {columns} FROM jobs WHERE {condition}"));
            list_source::push_range(sql, before, oldest);
            filter_sql::push(sql, filter, now);
            newest(sql, "jobs.id");
        }
    }
}
