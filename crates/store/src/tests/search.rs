//! Searches find the same jobs with and without the search index.

use super::read::filter;
use super::*;

const LEAD: i64 = 777_000;

/// Adds jobs of different handlers, accounts, leads and bots, one each second. Returns them oldest first.
pub(crate) async fn various(home: &Home, store: &Store, number: i64) -> Vec<JobId> {
    let mut ids = Vec::new();
    for number in 0..number {
        home.pass(Duration::from_secs(1));
        ids.push(various_job(home, store, number).await);
    }
    ids
}

pub(crate) async fn various_job(home: &Home, store: &Store, number: i64) -> JobId {
    let mut job = home.request();
    job.handler = handler(if number % 10 == 0 { "rare" } else { "greet" });
    job.request.account_id = AccountId(number % 3);
    let kind = if number % 2 == 0 { EntityKind::Lead } else { EntityKind::Contact };
    job.request.entity = (number % 7 != 0).then_some(Entity { kind, id: LEAD + number / 4 });
    let url = format!("https://a{}.kommo.com/api/v4/salesbot/{}/continue/c{number}", number % 3, number % 5);
    job.request.return_url = url.parse().unwrap();
    accept(store, job).await
}

pub(crate) async fn found(store: &Store, text: &str) -> Vec<JobId> {
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
    home.clock.set(ids[19].received_at() + Duration::from_secs(60));
    assert_eq!(store.0.index_few().await, 2);
    assert_eq!(found(&store, "handler:rare").await, expected);
}

#[tokio::test]
async fn the_other_jobs_are_found_after_runs_are_removed() {
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
    assert_eq!(found(&store, "handler:greet").await, [&ids[9..10], &ids[11..]].concat());
}
