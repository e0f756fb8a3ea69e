//! Where a list gets its ids from in SQLite: the partial indexes that the queue and the sender need anyway, and those for
//! people.

use sqlx::{QueryBuilder, Sqlite};

use model::{JobId, StateName};

use crate::jobs::listing::source::{Indexes, Part, Source};

/// The partial indexes.
pub(crate) const INDEXES: Indexes =
    Indexes { of_state: parts, is_ordered, fallbacks: ("jobs_fallback", "outcome = 'fallback'") };

/// Adds a SELECT of the ids before `before` and from `oldest` on. `restrict` adds further conditions.
pub(crate) fn push(
    sql: &mut QueryBuilder<Sqlite>,
    source: &Source,
    before: Option<JobId>,
    oldest: Option<JobId>,
    restrict: impl Fn(&mut QueryBuilder<Sqlite>),
) {
    let parts = match source {
        Source::Ordered(part) => std::slice::from_ref(part),
        Source::Union(parts) => parts,
        Source::All | Source::Nothing | Source::Search => &[("", "true")],
    };
    for (place, (index, condition)) in parts.iter().enumerate() {
        let union = if place == 0 { "" } else { " UNION ALL " };
        sql.push(format!("{union}SELECT id FROM jobs {} WHERE {condition}", by(index)));
        push_range(sql, before, oldest);
        restrict(sql);
    }
}

/// Names the index for SQLite. Without a name it uses the ids, because no other condition allows it an index.
pub(crate) fn by(index: &str) -> String {
    if index.is_empty() { String::new() } else { format!("INDEXED BY {index}") }
}

/// Adds a condition on the id.
pub(crate) fn push_range(sql: &mut QueryBuilder<Sqlite>, before: Option<JobId>, oldest: Option<JobId>) {
    if let Some(before) = before {
        sql.push(" AND id < ").push_bind(before.as_uuid());
    }
    if let Some(oldest) = oldest {
        sql.push(" AND id >= ").push_bind(oldest.as_uuid());
    }
}

/// The indexes that contain all jobs of a state; none for delivered jobs.
const fn parts(state: StateName) -> &'static [Part] {
    match state {
        StateName::Queued => &[("jobs_queued", "state = 'queued'")],
        StateName::Running => &[("jobs_leased", "lease_until IS NOT NULL AND state = 'running'")],
        StateName::AwaitingCallback => &[("jobs_awaiting", "state = 'awaiting_callback'")],
        StateName::Delivering => &[
            ("jobs_undelivered", "state = 'delivering' AND lease_until IS NULL"),
            ("jobs_leased", "lease_until IS NOT NULL AND state = 'delivering'"),
        ],
        StateName::Dead => &[("jobs_dead", "state = 'dead'")],
        StateName::Gone => &[("jobs_ended", "state = 'gone'")],
        StateName::Cancelled => &[("jobs_ended", "state = 'cancelled'")],
        StateName::Delivered => &[],
    }
}

/// Whether the index is in the order of ids.
fn is_ordered((index, _): Part) -> bool {
    index == "jobs_dead" || index == "jobs_ended"
}

#[cfg(test)]
mod tests;
