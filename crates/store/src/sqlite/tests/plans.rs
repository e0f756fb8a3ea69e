//! Each frequent statement finds its rows through the index made for it, so its cost does not grow with the table.

use super::*;
use crate::sqlite::jobs::list_source::Source;
use crate::sqlite::jobs::operator::{cancel, retry};
use crate::sqlite::jobs::{
    accept, callbacks, coalesce, deliveries, delivery_claims, find, keys, lane_reload, list, notes, outcomes,
    read, release, reports, supersede, turns, work_claims,
};
use crate::sqlite::maintenance::{bodies, delete, keys as moved_keys, leases, service_time, unclaimed};
use crate::sqlite::read::named::without_names;

const INDEX_OF_TURNS: &str = "jobs_turns (handler=? AND account_id=? AND entity_type=? AND entity_id=?";

/// Returns the query plan, one line for each step.
async fn plan(raw: &mut SqliteConnection, sql: &str) -> Vec<String> {
    let sql = format!("EXPLAIN QUERY PLAN {}", without_names(sql));
    let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(raw).await.unwrap();
    rows.iter().map(|row| sqlx::Row::get::<String, _>(row, "detail")).collect()
}

#[tokio::test]
async fn hot_statements_never_scan_and_never_sort() {
    let home = Home::new();
    let _store = home.serve().await;
    let mut raw = home.raw().await;
    let table = [
        ("due", work_claims::DUE, "jobs_queued (handler=? AND due_at<?)"),
        ("next due", work_claims::NEXT_DUE, "jobs_queued (handler=?)"),
        ("overdue", work_claims::OVERDUE, "jobs_overdue (answer_by<?)"),
        ("young", delivery_claims::YOUNG_FIRST, "jobs_young (origin=? AND waiting_since>?)"),
        ("not called back", work_claims::NOT_CALLED_BACK, "jobs_awaiting (answer_by<?)"),
        ("next overdue", work_claims::NEXT_OVERDUE, "COVERING INDEX jobs_awaiting"),
        ("find for a callback", callbacks::FIND, "jobs USING PRIMARY KEY (id=?)"),
        ("complete", callbacks::COMPLETE, "jobs USING PRIMARY KEY (id=?)"),
        ("claim awaiting", callbacks::CLAIM, "jobs USING PRIMARY KEY (id=?)"),
        ("last turn", turns::LAST_TURN, INDEX_OF_TURNS),
        ("line", turns::LINE, INDEX_OF_TURNS),
        ("give turn", turns::GIVE_TURN, "jobs USING PRIMARY KEY (id=?)"),
        ("conversation", turns::OF, "jobs USING PRIMARY KEY (id=?)"),
        ("leave", turns::LEAVE, "jobs USING PRIMARY KEY (id=?)"),
        (
            "hold back",
            turns::HOLD_BACK,
            "jobs_turns (handler=? AND account_id=? AND entity_type=? AND entity_id=? AND turn<?)",
        ),
        ("alone", coalesce::ALONE, "jobs USING PRIMARY KEY (id=?)"),
        ("join", coalesce::JOIN, "jobs USING PRIMARY KEY (id=?)"),
        ("newest", coalesce::NEWEST, "jobs USING PRIMARY KEY (id=?)"),
        ("data of a message", coalesce::DATA, "jobs USING PRIMARY KEY (id=?)"),
        ("notes", notes::NOTES, "notes USING PRIMARY KEY (job_id=?)"),
        ("drop notes", bodies::DROP_NOTES, "notes USING PRIMARY KEY (job_id=?)"),
        (
            "young retries",
            delivery_claims::YOUNG_FIRST,
            "jobs_undelivered (origin=? AND delivery_rank=? AND due_at>? AND due_at<?)",
        ),
        ("old", delivery_claims::YOUNG_FIRST, "jobs_undelivered (origin=? AND delivery_rank=? AND due_at<?)"),
        (
            "longest due",
            delivery_claims::LONGEST_DUE,
            "jobs_undelivered (origin=? AND delivery_rank=? AND due_at<?)",
        ),
        ("next delivery", delivery_claims::NEXT_DELIVERY, "jobs_undelivered (origin=? AND delivery_rank=?)"),
        ("waiting of a lane", deliveries::WAITING, "(origin=?)"),
        ("bytes of a job", reports::BYTES, "jobs USING PRIMARY KEY (id=?)"),
        ("handled", reports::HANDLED, "jobs USING PRIMARY KEY (id=?)"),
        ("sent", reports::SENT, "jobs USING PRIMARY KEY (id=?)"),
        ("release", release::RELEASE, "jobs_undelivered (origin=? AND delivery_rank=? AND due_at>?)"),
        ("failed", release::FAILED, "jobs_undelivered (origin=? AND delivery_rank=? AND due_at>?)"),
        ("release one", release::RELEASE_ONE, "jobs USING PRIMARY KEY (id=?)"),
        ("known", keys::KNOWN, "idempotency_keys USING PRIMARY KEY (account_id=? AND key=?)"),
        ("drop moved keys", moved_keys::DROP_MOVED, "recent_keys USING INTEGER PRIMARY KEY (rowid<?)"),
        ("free running", leases::FREE_RUNNING, "jobs_leased (lease_until<?)"),
        ("free delivering", leases::FREE_DELIVERING, "jobs_leased (lease_until<?)"),
        ("oldest finished", delete::OLDEST_FINISHED, "jobs_finished (finished_service_at<?)"),
        ("delete", delete::DELETE_FINISHED, "jobs_finished (finished_service_at<?)"),
        ("window", bodies::WINDOW_END, "COVERING INDEX jobs_finished (finished_service_at>?)"),
        ("droppable", bodies::DROPPABLE, "jobs_finished (finished_service_at>? AND finished_service_at<?)"),
        ("unclaimed lanes", unclaimed::LANES, "(origin>?)"),
        ("unclaimed", unclaimed::OLD, "jobs_young (origin=? AND waiting_since<?)"),
        ("unclaimed among the others", unclaimed::OLD, "jobs_undelivered (origin=? AND delivery_rank>?)"),
        ("give up", unclaimed::GIVE_UP, "jobs USING PRIMARY KEY (id=?)"),
        ("drop bodies", bodies::DROP_BODIES, "jobs USING PRIMARY KEY (id=?)"),
        ("first digits of an id", find::MATCHES, "jobs USING PRIMARY KEY (id>? AND id<?)"),
        ("job before", find::NEIGHBOURS, "jobs USING PRIMARY KEY (id<?)"),
        ("job behind", find::NEIGHBOURS, "jobs USING PRIMARY KEY (id>?)"),
        ("cancel", cancel::CANCEL, "jobs USING PRIMARY KEY (id=?)"),
        ("forget", moved_keys::FORGET_KEYS, "COVERING INDEX idempotency_keys_expired (expires_service_at<?)"),
        ("retry", retry::KEEP, "jobs USING PRIMARY KEY (id=?)"),
        ("retry dead", retry::DEAD, "jobs_dead (id>?)"),
        ("superseded", supersede::UNFINISHED, "jobs_superseded (return_url=?)"),
        ("superseded at its end", supersede::ENDED, "jobs_superseded_ended (return_url=?)"),
        ("mark superseded", supersede::MARK, "jobs USING PRIMARY KEY (id=?)"),
        ("work lanes", lane_reload::WORK, "jobs_queued (handler>?)"),
        ("with deliveries", deliveries::WITH_DELIVERIES, "(origin=?)"),
        ("with deliveries on their way", deliveries::WITH_DELIVERIES, "jobs_leased (lease_until>?)"),
        ("delivery lanes", lane_reload::DELIVERY, "(origin>?)"),
        ("delivery lanes", lane_reload::DELIVERY, "jobs_undelivered (origin=? AND delivery_rank=?)"),
    ];
    for (name, sql, expected) in table {
        let plan = plan(&mut raw, sql).await;
        assert!(plan.iter().any(|step| step.contains(expected)), "{name}: {plan:#?}");
        let scans = |step: &String| step.contains("SCAN jobs") || step.contains("SCAN idempotency_keys");
        assert!(!plan.iter().any(scans), "{name}: {plan:#?}");
        assert!(!plan.iter().any(|step| step.contains("TEMP B-TREE")), "{name}: {plan:#?}");
    }
}

/// SQLite would build one for `IN` with more than two values in a CHECK, for RETURNING, and for an UPDATE that may change
/// several rows. Each costs as much as the rest of the statement.
#[tokio::test]
async fn the_statements_of_each_job_build_no_temporary_tables() {
    let home = Home::new();
    let _store = home.serve().await;
    let mut raw = home.raw().await;
    for sql in [
        keys::KNOWN,
        keys::APPEND,
        supersede::UNFINISHED,
        supersede::ENDED,
        accept::INSERT,
        reports::HANDLED,
        reports::SENT,
        reports::BYTES,
        reports::ATTEMPT,
    ] {
        let explained = AssertSqlSafe(format!("EXPLAIN {}", without_names(sql)));
        let steps = sqlx::query(explained).fetch_all(&mut raw).await.unwrap();
        let steps: Vec<String> = steps.iter().map(|row| sqlx::Row::get(row, "opcode")).collect();
        assert!(steps.len() > 5, "{sql}: {steps:?}");
        assert!(
            !steps.iter().any(|step| step == "OpenEphemeral" || step == "OpenAutoindex"),
            "{sql}: {steps:?}"
        );
    }
}

#[tokio::test]
async fn the_attempts_of_a_job_are_found_by_its_id() {
    let home = Home::new();
    let _store = home.serve().await;
    let plan = plan(&mut home.raw().await, read::ATTEMPTS).await;
    for step in ["other_attempts USING PRIMARY KEY (job_id=?)", "jobs USING PRIMARY KEY (id=?)"] {
        assert!(plan.iter().any(|line| line.contains(step)), "{step}: {plan:#?}");
    }
    // The view itself is scanned: the few rows that its parts have found.
    let scans = |line: &String| line.starts_with("SCAN") && line != "SCAN attempts";
    assert!(!plan.iter().any(scans), "{plan:#?}");
}

#[tokio::test]
async fn a_start_reads_no_finished_jobs() {
    let home = Home::new();
    let _store = home.serve().await;
    let mut raw = home.raw().await;
    for sql in [
        service_time::SHIFT_QUEUED,
        service_time::SHIFT_AWAITING,
        service_time::SHIFT_WAITING,
        service_time::SHIFT_LEASED,
        service_time::SHIFT_DEAD,
        service_time::SHIFT_FAILING,
        service_time::SHIFT_FAILING_LEASED,
    ] {
        let plan = plan(&mut raw, sql).await;
        assert!(plan.iter().any(|step| step.contains("jobs USING INDEX jobs_")), "{sql}: {plan:#?}");
    }
    let plan = plan(&mut raw, service_time::FINISHED_LAST).await;
    assert!(
        plan.iter().any(|step| step.contains("SEARCH jobs USING COVERING INDEX jobs_finished")),
        "{plan:#?}"
    );
}

#[tokio::test]
async fn lists_need_no_sorting() {
    let home = Home::new();
    let _store = home.serve().await;
    let mut raw = home.raw().await;
    let id = JobId::new(START, 1);
    for state in StateName::ALL.map(Some).into_iter().chain([None]) {
        for named in [None, Some(handler("greet"))] {
            for before in [None, Some(id)] {
                let filter = JobFilter { state, handler: named.clone(), before, ..JobFilter::default() };
                let source = state.map_or(Source::All, |state| Source::choose(state, 1));
                let mut select = list::select(source, &filter, 9, before);
                let plan = plan(&mut raw, select.build().sql().as_str()).await;
                assert!(!plan.iter().any(|step| step.contains("TEMP B-TREE")), "{filter:?} {plan:#?}");
                let by_index = plan.iter().any(|step| step.contains("jobs_dead"));
                assert!(by_index || state != Some(StateName::Dead), "{plan:#?}");
            }
        }
    }
}

#[tokio::test]
async fn a_list_of_fallbacks_reads_no_other_jobs() {
    let home = Home::new();
    let _store = home.serve().await;
    let mut raw = home.raw().await;
    for before in [None, Some(JobId::new(START, 1))] {
        let filter = JobFilter { outcome: Some(OutcomeName::Fallback), before, ..JobFilter::default() };
        let plan = plan(&mut raw, list::select(Source::All, &filter, 9, None).build().sql().as_str()).await;
        assert!(plan.iter().all(|step| step.contains("jobs_fallback")), "{plan:#?}");
    }
}

#[tokio::test]
async fn a_list_of_unfinished_jobs_reads_no_finished_ones() {
    let home = Home::new();
    let _store = home.serve().await;
    let mut raw = home.raw().await;
    let id = JobId::new(START, 1);
    for (state, indexes) in [
        (StateName::Queued, &["jobs_queued"][..]),
        (StateName::Running, &["jobs_leased"]),
        (StateName::AwaitingCallback, &["jobs_awaiting"]),
        (StateName::Delivering, &["jobs_undelivered", "jobs_leased"]),
        (StateName::Dead, &["jobs_dead"]),
    ] {
        let source = Source::choose(state, 1);
        let filter = JobFilter { state: Some(state), before: Some(id), ..JobFilter::default() };
        for mut sql in [list::window(source, Some(id), 9), list::select(source, &filter, 9, Some(id))] {
            let plan = plan(&mut raw, sql.build().sql().as_str()).await;
            for index in indexes {
                assert!(plan.iter().any(|step| step.contains(index)), "{state}: {plan:#?}");
            }
            assert!(
                !plan.iter().any(|step| step == "SCAN jobs" || step.contains("PRIMARY KEY (id<?")),
                "{state}: {plan:#?}"
            );
        }
    }
}

#[tokio::test]
async fn recent_outcomes_read_only_the_newest_jobs() {
    let home = Home::new();
    let _store = home.serve().await;
    let plan = plan(&mut home.raw().await, outcomes::RECENT).await;
    assert!(plan.iter().any(|step| step.contains("jobs USING PRIMARY KEY (id>?)")), "{plan:#?}");
}

#[tokio::test]
async fn walks_along_an_index_stop_early() {
    let home = Home::new();
    let _store = home.serve().await;
    let mut raw = home.raw().await;
    let plan = plan(&mut raw, work_claims::NEXT_OVERDUE).await;
    assert!(plan.iter().any(|step| step.contains("jobs_overdue")), "{plan:#?}");
    assert!(!plan.iter().any(|step| step.contains("TEMP B-TREE")), "{plan:#?}");
}

/// Rare statements read all unfinished jobs, however many have finished.
#[tokio::test]
async fn rare_statements_read_unfinished_jobs_only() {
    let home = Home::new();
    let _store = home.serve().await;
    let mut raw = home.raw().await;
    for (sql, indexes) in [
        (read::OLDEST_QUEUED, &["COVERING INDEX jobs_overdue"][..]),
        (cancel::UNFINISHED, &["jobs_overdue", "jobs_awaiting", "jobs_undelivered", "jobs_leased"]),
    ] {
        let plan = plan(&mut raw, sql).await;
        for index in indexes {
            assert!(plan.iter().any(|step| step.contains(index)), "{index}: {plan:#?}");
        }
        assert!(!plan.iter().any(|step| step == "SCAN jobs" || step.contains("PRIMARY KEY")), "{plan:#?}");
    }
}
