//! What is deleted by age is deleted only when it is too old by the calendar and by the service time.

use super::conformance::jumps::{HOUR, THIRTY_DAYS, THREE_HOURS, maintain};
use super::conformance::*;
use crate::maintenance::bodies::WINDOW_JOBS;
use crate::postgres::maintenance::delete::Walks;

#[tokio::test]
async fn setting_the_clock_forward_and_back_creates_no_second_job() {
    let home = Home::new();
    if home.is_without_server() {
        return;
    }
    let mut store = home.serve().await;
    let request = home.request();
    let id = accept(&store, request.clone()).await;
    let again = || home.repeated(&request);
    for round in 0..2 {
        for set in [home.now() + THREE_HOURS, home.now()] {
            home.clock.set(set);
            let accepted = store.jobs().accept(again(), COMMIT_TIMEOUT).await;
            assert_eq!(accepted, Ok(Accepted { id, duplicate: true }), "{round}");
            maintain(&home, &store, THIRTY_DAYS, 65).await;
        }
        store.close().await;
        store = home.serve().await;
    }
    assert_eq!(home.number("SELECT count(*) FROM idempotency_keys").await, 1);
}

#[tokio::test]
async fn jobs_and_bodies_are_deleted_when_both_clocks_consider_them_too_old() {
    let home = Home::new();
    if home.is_without_server() {
        return;
    }
    let store = home.serve().await;
    let deliver = async || {
        let sending = home.delivering(&store).await;
        let id = sending.id;
        store.jobs().sent(sent(sending, AfterDelivery::Delivered)).await.unwrap();
        id
    };
    let has_bodies =
        async |id| store.jobs().get(id).await.unwrap().map(|(record, _)| record.whole().is_some());
    let retention = Retention { jobs: 4 * HOUR, bodies: 2 * HOUR };
    let mut walks = Walks::default();
    // The calendar is set back in between, so it shows that the first job finished three hours after the second one.
    let first = deliver().await;
    home.clock.set(START - THREE_HOURS);
    let second = deliver().await;
    // Enough jobs without bodies to make a walk need more than one scan.
    let others = WINDOW_JOBS + 7;
    home.run(&format!("UPDATE job_counts SET jobs = jobs + {others} WHERE state = 'cancelled'")).await;
    home.run(&format!(
        "INSERT INTO jobs (id, state, handler, account_id, origin, return_url, received_at, waiting_since, answer_by, \
         body_bytes, bodies_dropped, finished_at, finished_service_at) \
         SELECT gen_random_uuid(), 'cancelled', 'greet', 8, '', '', 1, 1, 1, 0, true, 1, 1 FROM generate_series(1, {others})"
    ))
    .await;
    let minute = Duration::from_secs(60);
    for (pass, of_first, of_second) in [
        (2 * HOUR - minute, Some(true), Some(true)),
        (2 * minute, Some(true), Some(false)),
        (2 * HOUR, Some(true), None),
        (HOUR - 2 * minute, Some(true), None),
        (2 * minute, Some(false), None),
        (2 * HOUR, None, None),
    ] {
        home.pass(pass);
        store.postgres().delete(&mut walks, store.postgres().moment(), retention).await.unwrap();
        let found = (has_bodies(first).await, has_bodies(second).await);
        assert_eq!(found, (of_first, of_second), "{}", home.now());
    }
}

#[tokio::test]
async fn the_service_time_survives_restarts_and_kills() {
    let home = Home::new();
    if home.is_without_server() {
        return;
    }
    let store = home.serve().await;
    home.pass(HOUR);
    store.close().await;
    // While no bridge runs, only the calendar advances.
    home.restart(home.now() + THIRTY_DAYS);
    let store = home.serve().await;
    assert_eq!(store.0.moment().service, ServiceTime::from_millis(3_600_000));
    home.pass(HOUR);
    home.dead(&store).await;
    home.pass(HOUR);
    // The process is killed, so it does not store the time at its end.
    store.0.die().await;
    home.restart(home.now());
    let store = home.serve().await;
    assert_eq!(store.0.moment().service, ServiceTime::from_millis(2 * 3_600_000));
    maintain(&home, &store, THIRTY_DAYS, 65).await;
    let stored = home.number("SELECT service_at FROM service").await;
    assert!(stored > 2 * 3_600_000, "the time is stored once a minute");
}
