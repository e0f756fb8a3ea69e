//! Each frequent statement finds its rows through the index made for it, so its cost does not grow with the table.

use super::*;
use crate::sqlite::actions;
use crate::sqlite::jobs::operator::{cancel, retry};
use crate::sqlite::jobs::{
    accept, bulk, callbacks, coalesce, deliveries, delivery_claims, erase, error_groups, find, handler_stats,
    keys, lane_reload, notes, outcomes, read, release, reports, supersede, surroundings, turns, unfinished,
    work_claims,
};
use crate::sqlite::maintenance::{
    bodies, delete, history, keys as moved_keys, leases, service_time, unclaimed,
};
use crate::sqlite::read::named::without_names;
use crate::sqlite::write::error_groups as written_groups;

const INDEX_OF_TURNS: &str = "jobs_turns (handler=? AND account_id=? AND entity_type=? AND entity_id=?";

/// Returns the query plan, one line for each step.
pub(super) async fn plan(raw: &mut SqliteConnection, sql: &str) -> Vec<String> {
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
        ("find for an erasure", erase::FIND, "jobs USING PRIMARY KEY (id=?)"),
        ("erase", erase::ERASE, "jobs USING PRIMARY KEY (id=?)"),
        ("errors to erase", erase::ERRORS, "jobs USING PRIMARY KEY (id=?)"),
        ("groups to erase", erase::DROP_GROUPS, "error_groups_texts (text=?)"),
        ("erase errors", erase::ERASE_ERRORS, "other_attempts USING PRIMARY KEY (job_id=?)"),
        ("window of an erasure", bulk::find::WINDOW_END, "jobs USING PRIMARY KEY (id<?)"),
        ("jobs of an erasure", bulk::find::OF, "jobs USING PRIMARY KEY (id>? AND id<?)"),
        ("a bulk change", bulk::rows::ONE, "bulk_changes USING INTEGER PRIMARY KEY (rowid=?)"),
        ("bulk changes", bulk::rows::RUNNING, "INDEX bulk_changes_running"),
        ("actions", actions::PAGE, "actions USING INTEGER PRIMARY KEY (rowid<?)"),
        ("notes", notes::NOTES, "notes USING PRIMARY KEY (job_id=?)"),
        ("drop notes", notes::DROP, "notes USING PRIMARY KEY (job_id=?)"),
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
        ("last run", delivery_claims::LAST_RUN, "other_attempts USING PRIMARY KEY (job_id=? AND stage=?)"),
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
        ("around a job", surroundings::JOB, "jobs USING PRIMARY KEY (id=?)"),
        (
            "ahead in a line",
            surroundings::AHEAD,
            "jobs_turns (handler=? AND account_id=? AND entity_type=? AND entity_id=? AND turn>? AND turn<?)",
        ),
        ("waiting of an account", surroundings::WAITING, "(origin=?)"),
        ("recent jobs of handlers", handler_stats::RECENT, "jobs USING PRIMARY KEY (id>?)"),
        ("find a group", written_groups::FIND, "error_groups_texts (text=? AND stage=? AND handler=?)"),
        ("drop hours", written_groups::DROP_HOURS, "error_hours USING PRIMARY KEY (group_id=?"),
        ("mark with a group", written_groups::MARK, "jobs USING PRIMARY KEY (id=?)"),
        ("one group", error_groups::GROUP, "error_groups USING INTEGER PRIMARY KEY (rowid=?)"),
        (
            "hours of groups",
            error_groups::HOURS_OF,
            "error_hours USING PRIMARY KEY (group_id=? AND hour>? AND hour<?)",
        ),
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
        ("delete history", history::DELETE, "history USING PRIMARY KEY (step_seconds=?)"),
        ("oldest first try", deliveries::OLDEST, "jobs_young (origin=?)"),
        ("oldest retry", deliveries::OLDEST, "jobs_undelivered (origin=? AND delivery_rank>?)"),
        ("oldest under way", deliveries::OLDEST, "jobs_leased (lease_until>?)"),
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

/// The oldest unfinished jobs come from the first entries of these indexes: a limit ends each statement, and only the
/// result of the limit is sorted.
#[tokio::test]
async fn the_oldest_unfinished_jobs_are_among_the_first_entries_of_indexes() {
    let home = Home::new();
    let _store = home.serve().await;
    let mut raw = home.raw().await;
    let indexes = ["jobs_overdue", "jobs_awaiting", "jobs_leased", "jobs_undelivered"];
    for (sql, index) in unfinished::INDEXES.into_iter().zip(indexes) {
        let plan = plan(&mut raw, sql).await;
        let reads: Vec<usize> = (0..plan.len()).filter(|step| plan[*step].contains(" jobs ")).collect();
        assert!(matches!(reads[..], [read] if plan[read].contains(index)), "{index}: {plan:#?}");
        let sorts: Vec<usize> = (0..plan.len()).filter(|step| plan[*step].contains("TEMP B-TREE")).collect();
        assert!(matches!(sorts[..], [sort] if sort > reads[0]), "{index}: {plan:#?}");
    }
    let plan = plan(&mut raw, unfinished::FIRST_TRIES).await;
    assert!(plan.iter().any(|step| step.contains("jobs_young (origin=?)")), "{plan:#?}");
    assert!(!plan.iter().any(|step| step == "SCAN jobs" || step.contains("TEMP B-TREE")), "{plan:#?}");
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
