//! The ranges of ids that a filter names.

use model::filter::Condition;
use model::{Filter, JobId};

use crate::jobs::search::run::{self, Span};

/// All conditions of a filter, negated or not.
pub(super) fn conditions(filter: &Filter) -> impl Iterator<Item = &Condition> {
    filter.clauses().iter().flat_map(|clause| &clause.any_of)
}

/// The smallest id that the filter allows, and the first one that it does not: ids begin with the time of receipt.
pub(super) fn received(filter: &Filter) -> (Option<JobId>, Option<JobId>) {
    let since = conditions(filter).filter_map(|condition| match condition {
        Condition::Since(moment) => Some(JobId::first_at(*moment)),
        _ => None,
    });
    let until = conditions(filter).filter_map(|condition| match condition {
        Condition::Until(moment) => Some(JobId::first_at(*moment)),
        _ => None,
    });
    (since.max(), until.min())
}

/// The ranges of ids that the filter names, newest first; `None` if it names none.
pub(super) fn ids(filter: &Filter) -> Option<Vec<Span>> {
    let mut clauses = filter.clauses().iter().filter(|clause| !clause.negated);
    let prefixes = clauses.find(|clause| matches!(clause.any_of[..], [Condition::Id(_), ..]))?;
    let span = |condition: &Condition| {
        let Condition::Id(prefix) = condition else { return None };
        let (first, last) = prefix.range();
        Some(Span { from: first.as_uuid(), below: run::after(last.as_uuid()), jobs: 1 })
    };
    let mut spans: Vec<Span> = prefixes.any_of.iter().filter_map(span).collect();
    spans.sort_by_key(|span| std::cmp::Reverse(span.below));
    // Prefixes of the same id overlap.
    let mut newest_first: Vec<Span> = Vec::new();
    for span in spans {
        match newest_first.last_mut() {
            Some(newer) if span.below > newer.from => newer.from = newer.from.min(span.from),
            _ => newest_first.push(span),
        }
    }
    Some(newest_first)
}

#[cfg(test)]
mod tests {
    use model::Timestamp;

    use super::*;

    #[test]
    fn the_ids_of_a_filter_are_ranges_without_overlaps_newest_first() {
        let context = model::filter::FilterContext { now: Timestamp::from_millis(0), account: &|_| None };
        let filter = Filter::parse("id:018b,018c,018bcfe5,01aa state:dead", &context).unwrap();
        let spans = ids(&filter).unwrap();
        let digits: Vec<String> =
            spans.iter().map(|span| span.from.simple().to_string()[..4].to_owned()).collect();
        // A range ends where the next id begins.
        assert_eq!(digits, ["01aa", "018c", "018b"]);
        assert!(spans.windows(2).all(|pair| pair[0].from >= pair[1].below));
        assert_eq!(ids(&Filter::default()), None);
    }

    #[test]
    fn times_of_receipt_are_ranges_of_ids() {
        let at = Timestamp::from_millis;
        let filter = Filter::from(Condition::Since(at(5_000)))
            .and(Condition::Since(at(7_000)))
            .and(Condition::Until(at(9_000)));
        let (floor, below) = received(&filter);
        let inside = |ms| {
            let id = JobId::new(at(ms), 0);
            floor.unwrap() <= id && id < below.unwrap()
        };
        assert_eq!([6_999, 7_000, 8_999, 9_000].map(inside), [false, true, true, false]);
    }
}
