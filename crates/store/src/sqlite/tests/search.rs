//! The search index: what it finds, and when it is void.

use super::*;
use crate::sqlite::jobs::search::lookup::{self, IdRange};
use crate::sqlite::jobs::search::terms;
use crate::tests::read::filter;

const LEAD: i64 = 777_000;

/// Adds jobs of different handlers, accounts, leads and bots, one each second. Returns them oldest first.
async fn various(home: &Home, store: &Store, number: i64) -> Vec<JobId> {
    let mut ids = Vec::new();
    for number in 0..number {
        home.pass(Duration::from_secs(1));
        ids.push(various_job(home, store, number).await);
    }
    ids
}

async fn various_job(home: &Home, store: &Store, number: i64) -> JobId {
    let mut job = home.request();
    job.handler = handler(if number % 10 == 0 { "rare" } else { "greet" });
    job.request.account_id = AccountId(number % 3);
    let kind = if number % 2 == 0 { EntityKind::Lead } else { EntityKind::Contact };
    job.request.entity = (number % 7 != 0).then_some(Entity { kind, id: LEAD + number / 4 });
    let url = format!("https://a{}.kommo.com/api/v4/salesbot/{}/continue/c{number}", number % 3, number % 5);
    job.request.return_url = url.parse().unwrap();
    accept(store, job).await
}

async fn found(store: &Store, text: &str) -> Vec<JobId> {
    let mut ids = Vec::new();
    let mut asked = JobFilter { filter: wanted(text), ..filter(4) };
    loop {
        let page = store.jobs().list(&asked).await.unwrap();
        assert_eq!(page.stopped, None, "{text}");
        ids.extend(page.jobs.iter().map(|job| job.id));
        match page.next {
            Some(next) => asked.before = Some(next),
            None => break,
        }
    }
    ids.reverse();
    ids
}

/// Checks searches in a store with the first jobs of [`various`].
async fn check(store: &Store, ids: &[JobId]) {
    let those = |is_wanted: &dyn Fn(i64) -> bool| -> Vec<JobId> {
        let numbered = ids.iter().zip(0..).filter(|(_, number)| is_wanted(*number));
        numbered.map(|(id, _)| *id).collect()
    };
    let has_entity = |n: i64| n % 7 != 0;
    let lead = |n: i64, id: i64| has_entity(n) && n % 2 == 0 && n / 4 == id;
    let is_contact = |n: i64| has_entity(n) && n % 2 == 1 && n / 4 == 3;
    let third = || format!("since:{}", ids[2].received_at());
    for (text, expected) in [
        ("handler:rare", those(&|n| n % 10 == 0)),
        ("handler:rare,greet", those(&|_| true)),
        ("account:1", those(&|n| n % 3 == 1)),
        ("account:a2.kommo.com", those(&|n| n % 3 == 2)),
        ("account:1,a2.kommo.com", those(&|n| n % 3 > 0)),
        ("lead:777003", those(&|n| lead(n, 3))),
        ("contact:777003", those(&is_contact)),
        ("lead:777003,777005", those(&|n| lead(n, 3) || lead(n, 5))),
        ("conversation:0:lead:777003", those(&|n| lead(n, 3) && n % 3 == 0)),
        ("bot:4", those(&|n| n % 5 == 4)),
        ("https://a2.kommo.com/api/v4/salesbot/3/continue/c8", those(&|n| n == 8)),
        ("https://a2.kommo.com/leads/detail/777003", those(&|n| lead(n, 3) && n % 3 == 2)),
        ("bot:4 account:1 -handler:rare", those(&|n| n % 5 == 4 && n % 3 == 1 && n % 10 != 0)),
        ("handler:greet -account:1", those(&|n| n % 10 != 0 && n % 3 != 1)),
        ("handler:rare state:queued", those(&|n| n % 10 == 0)),
        ("handler:rare state:dead", those(&|_| false)),
        ("handler:none", those(&|_| false)),
        (&format!("handler:greet {}", third()), those(&|n| n >= 2 && n % 10 != 0)),
        (
            &format!("handler:greet {} until:{}", third(), ids[9].received_at()),
            those(&|n| (2..9).contains(&n) && n % 10 != 0),
        ),
        (&format!("id:{},{}", ids[3], ids[6]), those(&|n| n == 3 || n == 6)),
        (&format!("trace:{}", ids[3].as_uuid().simple()), those(&|n| n == 3)),
    ] {
        assert_eq!(found(store, text).await, expected, "{text}");
    }
}

/// The number of blocks that a search for `text` reads.
async fn blocks(store: &Store, text: &str) -> u32 {
    let filter = wanted(text);
    let range = IdRange { from: None, below: None };
    lookup::find(&store.0.reading, &terms::of_filter(&filter), range).await.unwrap().blocks()
}

#[tokio::test]
async fn a_search_finds_the_same_jobs_with_any_part_of_them_indexed() {
    let home = Home::new();
    let store = home.serve().await;
    let mut ids = various(&home, &store, 13).await;
    check(&store, &ids).await;
    assert_eq!(store.0.index_few().await, 2);
    check(&store, &ids).await;
    for number in 13..23 {
        home.pass(Duration::from_secs(1));
        ids.push(various_job(&home, &store, number).await);
    }
    check(&store, &ids).await;
    assert_eq!(store.0.index_few().await, 2);
    check(&store, &ids).await;
    // Jobs 10 and 20 are in one block each, of two or three; without the index, a search would read all jobs.
    assert_eq!((blocks(&store, "handler:rare").await, blocks(&store, "handler:none").await), (2, 0));

    store.close().await;
    let store = home.serve().await;
    check(&store, &ids).await;
    assert_eq!(store.0.index_few().await, 0, "the index survives a restart");
    let observer = home.open(Role::Observer).await.unwrap();
    check(&observer, &ids).await;
}

#[tokio::test]
async fn jobs_that_arrive_after_the_clock_was_set_back_are_found() {
    let home = Home::new();
    let store = home.serve().await;
    let ids = various(&home, &store, 20).await;
    home.pass(Duration::from_secs(1));
    assert_eq!(store.0.index_few().await, 4);
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
    assert_eq!(store.0.index_few().await, 0);
    assert_eq!(home.number("SELECT count(*) FROM search_runs").await, 2);
    home.clock.set(ids[19].received_at() + Duration::from_secs(60));
    assert_eq!(store.0.index_few().await, 2);
    assert_eq!(found(&store, "handler:rare").await, expected);
    assert_eq!(home.number("SELECT count(DISTINCT run) FROM search_terms").await, 4);
}

#[tokio::test]
async fn a_run_is_removed_with_the_last_of_its_jobs() {
    let home = Home::new();
    let store = home.serve().await;
    let ids = various(&home, &store, 15).await;
    home.pass(Duration::from_secs(1));
    assert_eq!(store.0.index_few().await, 3);
    for id in &ids[..9] {
        store.jobs().cancel(*id).await.unwrap();
    }
    home.pass(Duration::from_secs(100));
    store.0.delete_finished(cutoff(home.now())).await.unwrap();
    store.0.delete_empty_runs().await.unwrap();
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
            .fetch_all(&store.0.reading)
            .await
            .unwrap();
    let (names, id) = (names.join(", "), job.as_uuid().simple());
    let sql = format!(
        "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {copies})
         INSERT INTO jobs (id, {names}) SELECT unhex('00000000' || printf('%024x', n)), {names}
         FROM n, jobs WHERE id = unhex('{id}')"
    );
    store.0.sql(sql).await.unwrap();
}

#[tokio::test]
async fn the_schema_refuses_what_is_not_an_index() {
    let home = Home::new();
    let store = home.serve().await;
    various(&home, &store, 6).await;
    home.pass(Duration::from_secs(1));
    store.0.index_few().await;
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
