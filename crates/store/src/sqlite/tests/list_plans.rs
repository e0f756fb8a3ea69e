//! Each key of a filter is found through an index, or the search stops after a bounded number of jobs.

use model::filter::FilterKey;
use uuid::Uuid;

use super::plans::plan;
use super::*;
use crate::jobs::listing::source::{Candidates, Source, States};
use crate::jobs::listing::walk::{Parts, Selected, Stretch};
use crate::jobs::search::run::Span;
use crate::jobs::terms;
use crate::sqlite::jobs::list;
use crate::sqlite::jobs::list_source::INDEXES;
use crate::sqlite::jobs::search::{index, lookup};

/// How the jobs of a filter are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    /// A range of the primary key.
    Ids,
    /// These partial indexes alone.
    Indexes(&'static [&'static str]),
    /// The search index, and then ranges of the primary key.
    Search,
    /// Reading jobs until the bound is reached.
    Reading,
}

/// Chooses the source of a filter as if each state had a job.
fn source(filter: &Filter) -> Source {
    let counts = StateName::ALL.map(|state| (state, 1));
    let is_fallback = filter.to_string().contains("outcome:fallback");
    let searched = (!terms::of_filter(filter).is_empty()).then_some(0);
    let candidates = Candidates { states: States::of_filter(filter), counts: &counts, is_fallback, searched };
    Source::choose(&candidates, &INDEXES)
}

const fn selected<'a>(source: &'a Source, filter: &'a Filter, stretch: &'a Stretch) -> Selected<'a> {
    Selected { source, filter, now: START, limit: 9, stretch }
}

#[tokio::test]
async fn each_key_has_a_plan() {
    let home = Home::new();
    let _store = home.serve().await;
    let mut raw = home.raw().await;
    let id = JobId::new(START, 1);
    let unfinished = &["jobs_queued", "jobs_leased", "jobs_awaiting", "jobs_undelivered"][..];
    let table = [
        (FilterKey::State, "state:dead", By::Indexes(&["jobs_dead"])),
        (FilterKey::State, "state:gone", By::Indexes(&["jobs_ended (state=?"])),
        (FilterKey::State, "state:cancelled,dead", By::Indexes(&["jobs_ended (state=?", "jobs_dead"])),
        (FilterKey::State, "state:queued", By::Indexes(&["jobs_queued"])),
        (FilterKey::State, "state:running", By::Indexes(&["jobs_leased"])),
        (FilterKey::State, "state:awaiting_callback", By::Indexes(&["jobs_awaiting"])),
        (FilterKey::State, "state:delivering", By::Indexes(&["jobs_undelivered", "jobs_leased"])),
        (FilterKey::State, "state:delivering error:x", By::Indexes(&["jobs_undelivered", "jobs_leased"])),
        (FilterKey::Handler, "handler:greet", By::Search),
        (FilterKey::Account, "account:7", By::Search),
        (FilterKey::Account, "account:a.kommo.com", By::Search),
        (FilterKey::Lead, "lead:5", By::Search),
        (FilterKey::Contact, "contact:5", By::Search),
        (FilterKey::Customer, "customer:5", By::Search),
        (FilterKey::Bot, "bot:5", By::Search),
        (FilterKey::Conversation, "conversation:7:lead:5", By::Search),
        (FilterKey::Id, "id:018b", By::Ids),
        (FilterKey::Trace, "trace:018bcfe5687b700080000000000000ab", By::Ids),
        (FilterKey::ReturnUrl, "return_url:https://a.kommo.com/api/v4/salesbot/1/continue/2", By::Search),
        (FilterKey::Since, "since:1h", By::Ids),
        (FilterKey::Until, "until:1h", By::Ids),
        (FilterKey::Error, "error:x", By::Reading),
        (FilterKey::Status, "status:429", By::Reading),
        (FilterKey::Attempts, "attempts:>2", By::Reading),
        (FilterKey::Outcome, "outcome:fallback", By::Indexes(&["jobs_fallback"])),
        (FilterKey::Outcome, "outcome:fallback state:dead", By::Indexes(&["jobs_dead"])),
        (FilterKey::Outcome, "outcome:handler", By::Reading),
        (FilterKey::Waiting, "waiting:account", By::Indexes(&["jobs_undelivered", "jobs_leased"])),
        (FilterKey::Waiting, "waiting:worker", By::Indexes(&["jobs_queued"])),
        (FilterKey::Is, "is:late", By::Indexes(unfinished)),
        (FilterKey::Is, "is:unfinished", By::Indexes(unfinished)),
        (FilterKey::Is, "is:superseded", By::Reading),
    ];
    for key in FilterKey::ALL {
        assert!(table.iter().any(|(tested, _, _)| *tested == key), "{key} has no plan here");
    }
    for (_, text, by) in table {
        let filter = wanted(text);
        let source = source(&filter);
        let is_search = source == Source::Search;
        assert_eq!(is_search, by == By::Search, "{text}: {source:?}");
        for before in [None, Some(id)] {
            // A list without a limit of ids only ever reads one page of an exact source.
            let oldest = if source.is_exact(&filter, &INDEXES) { None } else { Some(id) };
            let stretch = Stretch { before, oldest, parts: Parts::All, jobs: 9, is_last: false };
            let mut statements = vec![list::select(selected(&source, &filter, &stretch))];
            if !is_search && !matches!(source, Source::Union(_)) {
                statements.push(list::window(&source, before, None, 9));
            }
            for mut sql in statements {
                let plan = plan(&mut raw, sql.build().sql().as_str()).await;
                // Only the ids of a page from several indexes are sorted.
                let sorts = plan.iter().any(|step| step.contains("TEMP B-TREE FOR"));
                assert!(!sorts || matches!(source, Source::Union(_)), "{text}: {plan:#?}");
                if let By::Indexes(indexes) = by {
                    for index in indexes {
                        assert!(plan.iter().any(|step| step.contains(index)), "{text}: {plan:#?}");
                    }
                    let reads_others =
                        |step: &String| step == "SCAN jobs" || step.contains("PRIMARY KEY (id<?");
                    assert!(!plan.iter().any(reads_others), "{text}: {plan:#?}");
                } else if oldest.is_some() {
                    let by_id = |step: &String| step.contains("jobs USING PRIMARY KEY (id");
                    assert!(plan.iter().any(by_id) || plan == ["SCAN jobs"], "{text}: {plan:#?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn lists_of_any_state_sort_ids_only() {
    let home = Home::new();
    let _store = home.serve().await;
    let mut raw = home.raw().await;
    let id = JobId::new(START, 1);
    for set in 1..=u8::MAX {
        let states: Vec<&str> = StateName::ALL
            .into_iter()
            .filter(|state| set >> *state as u8 & 1 == 1)
            .map(StateName::as_str)
            .collect();
        let filter = wanted(&format!("state:{}", states.join(",")));
        let source = source(&filter);
        for before in [None, Some(id)] {
            let stretch = Stretch { before, oldest: before, parts: Parts::All, jobs: 9, is_last: false };
            let plan =
                plan(&mut raw, list::select(selected(&source, &filter, &stretch)).build().sql().as_str())
                    .await;
            let sorts = plan.iter().any(|step| step.contains("TEMP B-TREE FOR"));
            assert!(
                !sorts || matches!(source, Source::Union(_)),
                "{states:?} {plan:#?} {}",
                list::select(selected(&source, &filter, &stretch)).sql().as_str()
            );
        }
    }
}

/// One statement reads blocks of the search index that are far apart, for a list and for a count.
#[tokio::test]
async fn parts_of_a_stretch_are_ranges_of_ids() {
    let home = Home::new();
    let _store = home.serve().await;
    let mut raw = home.raw().await;
    let part =
        |number: u128| Span { from: Uuid::from_u128(number), below: Uuid::from_u128(number + 9), jobs: 9 };
    let parts = Parts::Spans(vec![part(70), part(50)]);
    let stretch = Stretch { before: None, oldest: None, parts, jobs: 18, is_last: false };
    let filter = wanted("lead:5 status:429");
    let list = list::select(selected(&Source::Search, &filter, &stretch));
    let count = list::count(selected(&Source::Search, &filter, &stretch), true);
    for mut sql in [list, count] {
        let plan = plan(&mut raw, sql.build().sql().as_str()).await;
        assert!(plan.iter().any(|step| step.contains("jobs USING PRIMARY KEY (id>? AND id<?)")), "{plan:#?}");
        assert!(!plan.iter().any(|step| step == "SCAN jobs"), "{plan:#?}");
    }
}

/// If each entry of the indexes needs its row, the list reads the ids first, and the rows in the order of their ids.
#[tokio::test]
async fn ids_come_from_the_indexes_alone_and_lead_to_their_rows() {
    let home = Home::new();
    let _store = home.serve().await;
    let mut raw = home.raw().await;
    let filter = wanted("state:delivering error:x");
    let source = source(&filter);
    let ids = plan(&mut raw, list::all_ids(&source, None, None).build().sql().as_str()).await;
    assert!(ids.iter().any(|step| step.contains("COVERING INDEX jobs_undelivered")), "{ids:#?}");
    assert!(!ids.iter().any(|step| step.contains("TEMP B-TREE")), "{ids:#?}");
    let parts = Parts::Ids(vec![Uuid::from_u128(7), Uuid::from_u128(9)]);
    let stretch = Stretch { before: None, oldest: None, parts, jobs: 2, is_last: false };
    let rows =
        plan(&mut raw, list::select(selected(&source, &filter, &stretch)).build().sql().as_str()).await;
    assert!(rows.iter().any(|step| step.contains("jobs USING PRIMARY KEY (id=?)")), "{rows:#?}");
    assert!(!rows.iter().any(|step| step.contains("TEMP B-TREE")), "{rows:#?}");
}

#[tokio::test]
async fn the_search_index_is_read_through_its_keys() {
    let home = Home::new();
    let _store = home.serve().await;
    let mut raw = home.raw().await;
    for (name, sql, expected) in [
        ("terms", lookup::OCCURRENCES, "search_terms USING PRIMARY KEY (bucket=? AND run>? AND run<?)"),
        ("run of an id", lookup::RUN_OF, "search_runs USING COVERING INDEX"),
        ("begin of a run", lookup::RUN_BEFORE, "search_runs USING COVERING INDEX"),
        ("behind", lookup::BEHIND, "jobs USING PRIMARY KEY (id>? AND id<?)"),
        ("blocks", lookup::BLOCKS, "search_runs USING INTEGER PRIMARY KEY (rowid=?)"),
        ("delete a run", index::DELETE_RUN, "search_runs USING INTEGER PRIMARY KEY (rowid=?)"),
        ("delete its terms", index::DELETE_TERMS, "search_terms USING PRIMARY KEY (bucket=? AND run=?)"),
        ("void", index::VOID, "search_runs USING INTEGER PRIMARY KEY (rowid=?)"),
        ("next to index", index::NEXT, "jobs USING PRIMARY KEY (id>? AND id<?)"),
        ("empty runs", index::EMPTY, "jobs USING PRIMARY KEY (id>? AND id<?)"),
    ] {
        let plan = plan(&mut raw, sql).await;
        assert!(plan.iter().any(|step| step.contains(expected)), "{name}: {plan:#?}");
        assert!(!plan.iter().any(|step| step.contains("TEMP B-TREE")), "{name}: {plan:#?}");
    }
}
