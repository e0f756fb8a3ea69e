//! Each statement that is run again and again finds its rows by the index made for it, however many there are.

use super::*;
use crate::store::{
    accounts, bodies, claims, delivery_claims, keys, list, people, read, refresh, release, reports, upkeep,
    waits,
};

/// The plan, one line a step.
async fn plan(raw: &mut SqliteConnection, sql: &str) -> Vec<String> {
    let sql = format!("EXPLAIN QUERY PLAN {sql}");
    let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(raw).await.unwrap();
    rows.iter().map(|row| sqlx::Row::get::<String, _>(row, "detail")).collect()
}

#[tokio::test]
async fn hot_statements_never_scan_and_never_sort() {
    let home = Home::new();
    let _store = home.serve().await;
    let mut raw = home.raw().await;
    let table = [
        ("due", claims::run(claims::DUE), "jobs_queued (handler=? AND due_at<?)"),
        ("next due", claims::NEXT_DUE.into(), "jobs_queued (handler=?)"),
        ("overdue", claims::run(claims::OVERDUE), "jobs_overdue (answer_by<?)"),
        (
            "young",
            delivery_claims::young_first(),
            "jobs_young (origin=? AND delivery_rank=? AND received_at>?)",
        ),
        (
            "old",
            delivery_claims::young_first(),
            "jobs_undelivered (origin=? AND delivery_rank=? AND due_at<?)",
        ),
        (
            "longest due",
            delivery_claims::longest_due(),
            "jobs_undelivered (origin=? AND delivery_rank=? AND due_at<?)",
        ),
        (
            "next delivery",
            delivery_claims::NEXT_DELIVERY.into(),
            "jobs_undelivered (origin=? AND delivery_rank=?)",
        ),
        ("waiting of an account", accounts::UNFINISHED.into(), "jobs_waiting (account_id=?)"),
        ("under way of an account", accounts::UNFINISHED.into(), "jobs_leased (lease_until>?)"),
        ("waiting of a lane", accounts::WAITING.into(), "(origin=?)"),
        ("handled", reports::HANDLED.text(32), "jobs USING PRIMARY KEY (id=?)"),
        ("sent", reports::SENT.text(32), "jobs USING PRIMARY KEY (id=?)"),
        ("release", release::RELEASE.into(), "jobs_undelivered (origin=? AND delivery_rank=? AND due_at>?)"),
        ("known", keys::KNOWN.text(32), "known USING PRIMARY KEY (account_id=? AND key=?)"),
        ("drop moved keys", keys::DROP_MOVED.into(), "recent_keys USING INTEGER PRIMARY KEY (rowid<?)"),
        ("free running", upkeep::FREE_RUNNING.into(), "jobs_leased (lease_until<?)"),
        ("free delivering", upkeep::FREE_DELIVERING.into(), "jobs_leased (lease_until<?)"),
        ("oldest finished", upkeep::OLDEST_FINISHED.into(), "jobs_finished (finished_at<?)"),
        ("delete", upkeep::DELETE_FINISHED.into(), "jobs_finished (finished_at<?)"),
        ("window", bodies::WINDOW_END.into(), "jobs_finished (finished_at>?)"),
        ("droppable", bodies::DROPPABLE.into(), "jobs_finished (finished_at>? AND finished_at<?)"),
        ("drop bodies", bodies::DROP_BODIES.text(32), "jobs USING PRIMARY KEY (id=?)"),
        ("cancel", people::CANCEL.into(), "jobs USING PRIMARY KEY (id=?)"),
        ("forget", upkeep::FORGET_KEYS.into(), "idempotency_keys_expired (expires_at<?)"),
        ("retry", people::retry("id = ?2"), "jobs USING PRIMARY KEY (id=?)"),
        ("retry dead", people::retry(people::DEAD), "jobs_dead (id>?)"),
        ("work lanes", refresh::WORK.into(), "jobs_queued (handler>?)"),
        ("with deliveries", waits::WITH_DELIVERIES.into(), "(origin=?)"),
        ("with deliveries on their way", waits::WITH_DELIVERIES.into(), "jobs_leased (lease_until>?)"),
        ("delivery lanes", refresh::DELIVERY.into(), "(origin>?)"),
        ("delivery lanes", refresh::DELIVERY.into(), "jobs_undelivered (origin=? AND delivery_rank=?)"),
    ];
    for (name, sql, expected) in table {
        let plan = plan(&mut raw, &sql).await;
        assert!(plan.iter().any(|step| step.contains(expected)), "{name}: {plan:#?}");
        let scans = |step: &String| step.contains("SCAN jobs") || step.contains("SCAN idempotency_keys");
        assert!(!plan.iter().any(scans), "{name}: {plan:#?}");
        assert!(!plan.iter().any(|step| step.contains("TEMP B-TREE")), "{name}: {plan:#?}");
    }
}

#[tokio::test]
async fn lists_are_read_in_their_own_order() {
    let home = Home::new();
    let _store = home.serve().await;
    let mut raw = home.raw().await;
    let id = JobId::new(START, 1);
    for state in StateName::ALL.map(Some).into_iter().chain([None]) {
        for named in [None, Some(handler("greet"))] {
            for before in [None, Some(id)] {
                let filter = JobFilter { state, handler: named.clone(), before, ..JobFilter::default() };
                let mut select = list::select(&filter, 9, before);
                let plan = plan(&mut raw, select.build().sql().as_str()).await;
                assert!(!plan.iter().any(|step| step.contains("TEMP B-TREE")), "{filter:?} {plan:#?}");
                let by_index = plan.iter().any(|step| step.contains("jobs_dead"));
                assert!(by_index || state != Some(StateName::Dead), "{plan:#?}");
            }
        }
    }
}

#[tokio::test]
async fn what_walks_an_index_stops_early() {
    let home = Home::new();
    let _store = home.serve().await;
    let mut raw = home.raw().await;
    for sql in [claims::NEXT_OVERDUE, read::OLDEST_QUEUED] {
        let plan = plan(&mut raw, sql).await;
        assert!(plan.iter().any(|step| step.contains("jobs_overdue")), "{plan:#?}");
        assert!(!plan.iter().any(|step| step.contains("TEMP B-TREE")), "{plan:#?}");
    }
}
