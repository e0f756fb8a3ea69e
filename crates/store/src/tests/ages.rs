//! What is deleted by its age goes when the calendar and the service time both call it too old.

use super::jumps::{DAYS, HOUR, HOURS, keep};
use super::*;
use crate::sqlite::maintenance::bodies::{WINDOW, Walked};
use crate::sqlite::maintenance::schedule::Retention;
use crate::{CodeLimits, NewCode, SealedCode, StateUse};

#[tokio::test]
async fn a_valid_token_makes_no_second_job_though_the_clock_is_set_forward_and_back() {
    let home = Home::new();
    let mut store = home.serve().await;
    let request = home.request();
    let id = accept(&store, request.clone()).await;
    let again = || NewJob { idempotency_key: request.idempotency_key.clone(), ..home.request() };
    // In memory, then in its table, then after a restart.
    for round in 0..3 {
        home.clock.set(home.now() + HOURS);
        assert_eq!(store.accept(again(), PATIENCE).await, Ok(Accepted { id, duplicate: true }), "{round}");
        keep(&home, &store, DAYS, 65).await;
        home.clock.set(home.now() - HOURS);
        assert_eq!(store.accept(again(), PATIENCE).await, Ok(Accepted { id, duplicate: true }), "{round}");
        store.close().await;
        store = home.serve().await;
    }
    assert_eq!(home.number("SELECT count(*) FROM idempotency_keys").await, 1);
}

#[tokio::test]
async fn a_token_that_the_calendar_calls_valid_again_is_known_however_long_ago_it_came() {
    let home = Home::new();
    let store = home.serve().await;
    let request = home.request();
    let id = accept(&store, request.clone()).await;
    home.clock.set(START - HOURS);
    home.pass(HOUR);
    keep(&home, &store, DAYS, 65).await;
    let again = NewJob { idempotency_key: request.idempotency_key.clone(), ..home.request() };
    assert_eq!(store.accept(again, PATIENCE).await, Ok(Accepted { id, duplicate: true }));
}

#[tokio::test]
async fn a_start_with_a_clock_that_is_ahead_deletes_nothing() {
    let home = Home::new();
    let store = home.serve().await;
    let dead = home.dead(&store).await;
    let sending = home.delivering(&store).await;
    let delivered = sending.id;
    store.sent(sent(sending, AfterDelivery::Delivered)).await.unwrap();
    store.close().await;
    home.restart(START + DAYS);
    let store = home.serve().await;
    keep(&home, &store, Retention { jobs: 2 * HOUR, bodies: HOUR }, 70).await;
    assert_eq!(state(&store, dead).await, StateName::Dead);
    assert_eq!(state(&store, delivered).await, StateName::Delivered, "with its bodies");
}

#[tokio::test]
async fn jobs_and_bodies_go_when_both_clocks_call_them_too_old() {
    let home = Home::new();
    let store = home.serve().await;
    let deliver = async || {
        let sending = home.delivering(&store).await;
        let id = sending.id;
        store.sent(sent(sending, AfterDelivery::Delivered)).await.unwrap();
        id
    };
    let has_bodies = async |id| store.job(id).await.unwrap().map(|(record, _)| record.whole().is_some());
    let retention = Retention { jobs: 4 * HOUR, bodies: 2 * HOUR };
    let mut walked = Walked::default();
    // By the calendar that is set back then, the first one finishes three hours after the second one.
    let first = deliver().await;
    home.clock.set(START - HOURS);
    let second = deliver().await;
    // So many without bodies that a walk needs more than one look.
    let others = WINDOW + 7;
    home.run(&format!(
        "UPDATE job_counts SET jobs = jobs + {others} WHERE state = 'cancelled'; \
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {others}) \
         INSERT INTO jobs (id, state, handler, account_id, origin, return_url, received_at, waiting_since, answer_by, \
         finished_at, finished_service_at) \
         SELECT randomblob(16), 'cancelled', 'greet', 8, '', '', 1, 1, 1, 1, 1 FROM n"
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
        store.delete(&mut walked, store.moment(), retention).await.unwrap();
        assert_eq!(
            (has_bodies(first).await, has_bodies(second).await),
            (of_first, of_second),
            "{}",
            home.now()
        );
    }
}

#[tokio::test]
async fn the_time_of_service_goes_on_over_restarts_and_loses_no_finished_job_to_a_kill() {
    let home = Home::new();
    let store = home.serve().await;
    home.pass(HOUR);
    store.close().await;
    // While no bridge runs, the calendar goes on alone.
    home.restart(home.now() + DAYS);
    let store = home.serve().await;
    assert_eq!(store.moment().service, ServiceTime::from_millis(3_600_000));
    home.pass(HOUR);
    home.dead(&store).await;
    home.pass(HOUR);
    // Killed: it is not written down when.
    lock(&store.0.operations).take();
    let writer = lock(&store.0.writer).take().unwrap();
    writer.await.unwrap();
    home.restart(home.now());
    let store = home.serve().await;
    assert_eq!(store.moment().service, ServiceTime::from_millis(2 * 3_600_000));
    keep(&home, &store, DAYS, 65).await;
    assert!(
        home.number("SELECT service_at FROM service").await > 2 * 3_600_000,
        "it is written once a minute"
    );
}

/// Codes and used links are few; each is needed until both clocks call it over.
#[tokio::test]
async fn a_code_and_a_used_link_are_kept_though_the_clock_is_set_forward_and_back() {
    let home = Home::new();
    let store = home.serve().await;
    let code = |origin: &str| NewCode {
        client_uuid: "client-1".into(),
        origin: origin.into(),
        sealed: SealedCode { key_id: "0123456789abcdef".into(), code: vec![1; 41] },
        received_at: home.now(),
        expires_at: home.now() + HOUR,
    };
    let limits = CodeLimits { per_origin: 3, total: 9 };
    let used = async |nonce, code| store.use_state([nonce; 16], [code; 32], START + HOUR).await.unwrap();
    store.keep_code(code("https://one.kommo.com"), limits).await.unwrap();
    assert_eq!(used(1, 1).await, StateUse::Granted);
    home.clock.set(START + DAYS);
    store.keep_code(code("https://two.kommo.com"), limits).await.unwrap();
    assert_eq!(used(2, 1).await, StateUse::Granted);
    assert_eq!(store.kept_codes().await.unwrap().len(), 2, "Kommo takes both");
    home.clock.set(START);
    assert_eq!(used(1, 2).await, StateUse::OtherCode);
    home.clock.set(START + DAYS);
    home.pass(2 * HOUR + Duration::from_millis(1));
    store.keep_code(code("https://three.kommo.com"), limits).await.unwrap();
    assert_eq!(used(3, 1).await, StateUse::Granted);
    let left = "SELECT (SELECT count(*) FROM oauth_codes) * 10 + (SELECT count(*) FROM oauth_states)";
    assert_eq!(home.number(left).await, 11);
}
