//! Where a list gets its ids from in PostgreSQL: the partial indexes that contain few of the jobs.
//!
//! No index has the unfinished jobs by state. A list reads all of them, and the filter leaves those of its states.

use sqlx::{Postgres, QueryBuilder};

use model::{JobId, StateName};

use crate::jobs::listing::source::{Indexes, Part, Source};

/// The index of the unfinished jobs, in the order of a hash.
const UNFINISHED: Part = ("jobs_unfinished", "ended IS NULL");

/// The partial indexes.
pub(crate) const INDEXES: Indexes =
    Indexes { of_state: parts, is_ordered, fallbacks: ("jobs_fallback", "fell_back") };

/// The indexes that contain all jobs of a state; none for delivered jobs.
const fn parts(state: StateName) -> &'static [Part] {
    match state {
        StateName::Queued | StateName::Running | StateName::AwaitingCallback | StateName::Delivering => {
            &[UNFINISHED]
        }
        StateName::Dead => &[("jobs_ended", "ended = 'dead'")],
        StateName::Gone => &[("jobs_ended", "ended = 'gone'")],
        StateName::Cancelled => &[("jobs_ended", "ended = 'cancelled'")],
        StateName::Delivered => &[],
    }
}

/// Whether the index is in the order of ids.
fn is_ordered((index, _): Part) -> bool {
    index == "jobs_ended"
}

/// Adds a SELECT of the ids before `before` and from `oldest` on. `restrict` adds further conditions.
pub(crate) fn push(
    sql: &mut QueryBuilder<Postgres>,
    source: &Source,
    before: Option<JobId>,
    oldest: Option<JobId>,
    restrict: impl Fn(&mut QueryBuilder<Postgres>),
) {
    let parts = match source {
        Source::Ordered(part) => std::slice::from_ref(part),
        Source::Union(parts) => parts,
        Source::All | Source::Nothing | Source::Search => &[("", "true")],
    };
    for (place, part) in parts.iter().enumerate() {
        sql.push(if place == 0 { "(" } else { " UNION ALL (" });
        sql.push(format!("SELECT id FROM jobs WHERE {}", part.1));
        push_range(sql, before, oldest);
        restrict(sql);
        sql.push(order(*part)).push(")");
    }
}

/// Makes PostgreSQL use the index, whatever it knows about the table: no other one has this order. OFFSET keeps it from
/// dropping the order.
fn order(part: Part) -> &'static str {
    if part == UNFINISHED { " ORDER BY hashtextextended(return_url, 0) OFFSET 0" } else { "" }
}

/// Adds a condition on the id.
pub(crate) fn push_range(sql: &mut QueryBuilder<Postgres>, before: Option<JobId>, oldest: Option<JobId>) {
    if let Some(before) = before {
        sql.push(" AND id < ").push_bind(before.as_uuid());
    }
    if let Some(oldest) = oldest {
        sql.push(" AND id >= ").push_bind(oldest.as_uuid());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::listing::source::{Candidates, States};

    #[test]
    fn a_list_of_one_unfinished_state_counts_all_unfinished_jobs() {
        use StateName::{Cancelled, Dead, Delivered, Delivering, Queued};
        let (dead, cancelled) = (("jobs_ended", "ended = 'dead'"), ("jobs_ended", "ended = 'cancelled'"));
        for (states, delivering, expected) in [
            (&[Queued][..], 10, Source::Union(vec![UNFINISHED])),
            (&[Queued, Delivering], 10, Source::Union(vec![UNFINISHED])),
            (&[Queued], 1_000_000, Source::All),
            (&[Dead], 1_000_000, Source::Ordered(dead)),
            (&[Dead, Cancelled], 10, Source::Union(vec![dead, cancelled])),
            (&[Queued, Dead], 10, Source::Union(vec![UNFINISHED, dead])),
            (&[Cancelled], 10, Source::Nothing),
            (&[Dead, Delivered], 10, Source::All),
        ] {
            let cancelled = if states == [Cancelled] { 0 } else { 5 };
            let counts =
                [(Queued, 1), (Delivering, delivering), (Dead, 5), (Cancelled, cancelled), (Delivered, 100)];
            let states = States::of(states);
            let candidates = Candidates { states, counts: &counts, is_fallback: false, searched: None };
            assert_eq!(Source::choose(&candidates, &INDEXES), expected, "{states:?} {delivering}");
        }
    }
}
