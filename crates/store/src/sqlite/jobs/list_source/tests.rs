//! The table of choices.

use model::Filter;

use super::*;
use crate::jobs::listing::source::{Candidates, States, UNFINISHED};

fn parsed(text: &str) -> Filter {
    let context = model::filter::FilterContext { now: model::Timestamp::from_millis(0), account: &|_| None };
    Filter::parse(text, &context).unwrap()
}

fn of_state(state: StateName) -> Source {
    Source::of_states(States::of(&[state]), &INDEXES)
}

const fn fallbacks() -> Source {
    Source::Ordered(INDEXES.fallbacks)
}

#[test]
fn the_states_of_a_filter_are_those_in_which_a_job_can_match() {
    use StateName::{AwaitingCallback, Cancelled, Dead, Delivered, Delivering, Gone, Queued, Running};
    for (filter, expected) in [
        ("", &StateName::ALL[..]),
        ("lead:5", &StateName::ALL),
        ("state:dead,delivering", &[Delivering, Dead]),
        ("-state:delivered", &[Queued, Running, AwaitingCallback, Delivering, Gone, Dead, Cancelled]),
        ("is:unfinished", &UNFINISHED),
        ("is:late", &UNFINISHED),
        ("-is:late", &StateName::ALL),
        ("is:finished state:dead,queued", &[Dead]),
        ("is:finished,late", &StateName::ALL),
        ("-is:finished", &UNFINISHED),
        ("is:late state:dead", &[]),
        ("is:superseded,late", &StateName::ALL),
        ("waiting:account", &[Delivering]),
        ("waiting:too_many,worker", &[Queued, Delivering]),
        ("waiting:retry", &[Queued, Delivering]),
        ("waiting:callback", &[AwaitingCallback]),
        ("waiting:handler", &[Running]),
        ("-waiting:handler", &[Queued, AwaitingCallback, Delivering, Delivered, Gone, Dead, Cancelled]),
        ("-waiting:worker", &StateName::ALL),
    ] {
        assert_eq!(States::of_filter(&parsed(filter)), States::of(expected), "{filter}");
    }
}

#[test]
fn the_source_with_the_fewest_jobs_is_chosen() {
    let counts = [
        (StateName::Queued, 10),
        (StateName::Delivering, 2_000_000),
        (StateName::Dead, 1_000),
        (StateName::Gone, 0),
        (StateName::Delivered, 5_000_000),
    ];
    let dead = ("jobs_dead", "state = 'dead'");
    let queued = ("jobs_queued", "state = 'queued'");
    for (filter, searched, expected) in [
        ("", None, Source::All),
        ("error:x", None, Source::All),
        ("state:gone", None, Source::Nothing),
        ("state:gone is:unfinished", None, Source::Nothing),
        ("state:delivered", None, Source::All),
        ("state:dead", None, Source::Ordered(dead)),
        ("state:dead outcome:fallback", None, Source::Ordered(dead)),
        ("state:dead,queued", None, Source::Union(vec![queued, dead])),
        ("state:queued", None, Source::Union(vec![queued])),
        // Too many entries.
        ("state:delivering", None, Source::All),
        ("outcome:fallback", None, fallbacks()),
        ("outcome:fallback state:delivering", None, fallbacks()),
        ("outcome:handler", None, Source::All),
        ("lead:5", Some(64), Source::Search),
        ("lead:5 state:dead", Some(64), Source::Search),
        ("handler:greet", Some(5_000_000), Source::Search),
        ("handler:greet state:dead", Some(5_000_000), Source::Ordered(dead)),
        ("handler:greet state:dead", Some(3_999), Source::Search),
        ("handler:greet outcome:fallback", Some(5_000_000), fallbacks()),
        ("lead:5 outcome:fallback", Some(64), Source::Search),
        ("handler:greet state:delivering", Some(5_000_000), Source::Search),
    ] {
        let filter_ = parsed(filter);
        let candidates = Candidates {
            states: States::of_filter(&filter_),
            counts: &counts,
            is_fallback: filter.contains("fallback"),
            searched,
        };
        assert_eq!(Source::choose(&candidates, &INDEXES), expected, "{filter} {searched:?}");
    }
}

#[test]
fn a_list_looks_among_the_newest_jobs_before_it_reads_many_entries() {
    let counts = [
        (StateName::Queued, 30_000),
        (StateName::AwaitingCallback, 10_000),
        (StateName::Dead, 30_000),
        (StateName::Delivering, 300_000),
    ];
    for (filter, source, expected) in [
        ("state:queued", of_state(StateName::Queued), true),
        ("state:awaiting_callback", of_state(StateName::AwaitingCallback), false),
        ("state:dead", of_state(StateName::Dead), false),
        ("state:delivering", Source::All, false),
    ] {
        let states = States::of_filter(&parsed(filter));
        let candidates = Candidates { states, counts: &counts, is_fallback: false, searched: None };
        assert_eq!(Source::choose(&candidates, &INDEXES), source, "{filter}");
        assert_eq!(source.begins_with_newest(&candidates, &INDEXES), expected, "{filter}");
    }
}

#[test]
fn a_source_is_exact_if_no_job_in_it_is_skipped() {
    let (dead, fallbacks) = (of_state(StateName::Dead), fallbacks());
    for (source, filter, expected) in [
        (&Source::All, "", true),
        (&Source::All, "since:1h until:5m", true),
        (&Source::All, "error:x", false),
        (&dead, "state:dead", true),
        (&dead, "state:dead since:1h", true),
        (&dead, "state:dead,dead", false),
        (&dead, "state:dead error:x", false),
        (&dead, "-state:dead", false),
        (&fallbacks, "outcome:fallback", true),
        (&fallbacks, "outcome:handler", false),
        (&fallbacks, "state:dead", false),
    ] {
        assert_eq!(source.is_exact(&parsed(filter), &INDEXES), expected, "{source:?} {filter}");
    }
}
