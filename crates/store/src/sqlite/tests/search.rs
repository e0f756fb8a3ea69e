//! The search index: what it finds, and when it is void.

use super::*;
use crate::jobs::search::lookup::IdRange;
use crate::jobs::terms;
use crate::sqlite::jobs::search::lookup;
use crate::tests::search::{found, various};

/// The number of blocks that a search for `text` reads.
async fn blocks(store: &Store, text: &str) -> u32 {
    let filter = wanted(text);
    let range = IdRange { from: None, below: None };
    lookup::find(&store.sqlite().reading, &terms::of_filter(&filter), range).await.unwrap().blocks()
}

#[tokio::test]
async fn a_search_reads_few_blocks() {
    let home = Home::new();
    let store = home.serve().await;
    various(&home, &store, 23).await;
    home.pass(Duration::from_secs(1));
    assert_eq!(store.sqlite().index_few().await, 4);
    // Jobs 10 and 20 are in one block each, of two or three; without the index, a search would read all jobs.
    assert_eq!((blocks(&store, "handler:rare").await, blocks(&store, "handler:none").await), (2, 0));
}

#[tokio::test]
async fn jobs_that_arrive_after_the_clock_was_set_back_are_found() {
    let home = Home::new();
    let store = home.serve().await;
    let ids = various(&home, &store, 20).await;
    home.pass(Duration::from_secs(1));
    assert_eq!(store.sqlite().index_few().await, 4);
    home.clock.set(ids[12].received_at() + Duration::from_millis(500));
    let mut late = home.request();
    late.handler = handler("rare");
    let late = accept(&store, late).await;
    assert!(ids[12] < late && late < ids[13]);
    let expected = [ids[0], ids[10], late];
    assert_eq!(found(&store, "handler:rare").await, expected);
    store.close().await;
    let store = home.serve().await;
    assert_eq!(found(&store, "handler:rare").await, expected, "the run is void after a restart too");

    // Jobs from the future are not indexed.
    assert_eq!(store.sqlite().index_few().await, 0);
    assert_eq!(home.number("SELECT count(*) FROM search_runs").await, 2);
    home.clock.set(ids[19].received_at() + Duration::from_secs(60));
    assert_eq!(store.sqlite().index_few().await, 2);
    assert_eq!(found(&store, "handler:rare").await, expected);
    assert_eq!(home.number("SELECT count(DISTINCT run) FROM search_terms").await, 4);
}

#[tokio::test]
async fn a_run_is_removed_with_the_last_of_its_jobs() {
    let home = Home::new();
    let store = home.serve().await;
    let ids = various(&home, &store, 15).await;
    home.pass(Duration::from_secs(1));
    assert_eq!(store.sqlite().index_few().await, 3);
    for id in &ids[..9] {
        store.jobs().cancel(*id).await.unwrap();
    }
    home.pass(Duration::from_secs(100));
    store.sqlite().delete_finished(cutoff(home.now())).await.unwrap();
    store.sqlite().delete_empty_runs().await.unwrap();
    assert_eq!(home.number("SELECT min(run) FROM search_runs").await, 2, "one job of the second run is left");
    assert_eq!(home.number("SELECT min(run) FROM search_terms").await, 2);
    assert_eq!(found(&store, "handler:greet").await, [&ids[9..10], &ids[11..]].concat());
}

#[tokio::test]
async fn maintenance_indexes_jobs_a_thousand_at_a_time() {
    let home = Home::new();
    let store = home.serve().await;
    let mut ticks = store.ticks(Duration::from_secs(1_000));
    ticks.tick().await;
    let ids = various(&home, &store, 12).await;
    many_before(&store, ids[0], 1_020).await;
    home.pass(Duration::from_secs(5));
    ticks.tick().await;
    assert_eq!(
        home.number("SELECT count(*) FROM search_runs").await,
        0,
        "twelve jobs are too few to look for more"
    );
    store.close().await;
    let store = home.serve().await;
    let mut ticks = store.ticks(Duration::from_secs(1_000));
    ticks.tick().await;
    assert_eq!(home.number("SELECT count(*) FROM search_runs").await, 1);
    assert_eq!(home.number("SELECT length(blocks) / 16 FROM search_runs").await, 16);
    assert_eq!(found(&store, "lead:777001").await, [ids[4], ids[6]]);
}

/// Adds copies of `job`, received before it.
async fn many_before(store: &Store, job: JobId, copies: u32) {
    let names: Vec<String> =
        sqlx::query_scalar("SELECT name FROM pragma_table_info('jobs') WHERE name <> 'id'")
            .fetch_all(&store.sqlite().reading)
            .await
            .unwrap();
    let (names, id) = (names.join(", "), job.as_uuid().simple());
    let sql = format!(
        "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {copies})
         INSERT INTO jobs (id, {names}) SELECT unhex('00000000' || printf('%024x', n)), {names}
         FROM n, jobs WHERE id = unhex('{id}')"
    );
    store.sqlite().sql(sql).await.unwrap();
}

#[tokio::test]
async fn the_schema_refuses_what_is_not_an_index() {
    let home = Home::new();
    let store = home.serve().await;
    various(&home, &store, 6).await;
    home.pass(Duration::from_secs(1));
    store.sqlite().index_few().await;
    let mut raw = home.raw().await;
    for change in [
        "search_runs SET first_id = x'00'",
        "search_runs SET last_id = x'00'",
        "search_runs SET blocks = x''",
        "search_runs SET blocks = zeroblob(17)",
        "search_runs SET blocks = zeroblob(272)",
        "search_runs SET first_id = unhex(replace(hex(zeroblob(16)), '00', 'ff'))",
        "search_terms SET bucket = 64",
        "search_terms SET entries = x''",
        "search_terms SET entries = x'00'",
        "search_progress SET id = 2",
        "search_progress SET indexed_until = x'00'",
    ] {
        let sql = format!("UPDATE {change}");
        let error = sqlx::query(AssertSqlSafe(sql)).execute(&mut raw).await.unwrap_err().to_string();
        assert!(error.contains("CHECK constraint failed"), "{change}: {error}");
    }
}
