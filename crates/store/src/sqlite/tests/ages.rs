//! What is deleted by age is deleted only when it is too old by the calendar and by the service time.

use super::*;
use crate::maintenance::bodies::{WINDOW_JOBS, Walked};
use crate::tests::jumps::{HOUR, THIRTY_DAYS, THREE_HOURS, maintain};
use crate::{CodeLimits, NewCode, SealedCode, StateUse};

#[tokio::test]
async fn setting_the_clock_forward_and_back_creates_no_second_job() {
    let home = Home::new();
    let mut store = home.serve().await;
    let request = home.request();
    let id = accept(&store, request.clone()).await;
    let again = || NewJob { idempotency_key: request.idempotency_key.clone(), ..home.request() };
    // The key is in memory, then in its table, then loaded after a restart.
    for round in 0..3 {
        home.clock.set(home.now() + THREE_HOURS);
        assert_eq!(
            store.jobs().accept(again(), COMMIT_TIMEOUT).await,
            Ok(Accepted { id, duplicate: true }),
            "{round}"
        );
        maintain(&home, &store, THIRTY_DAYS, 65).await;
        home.clock.set(home.now() - THREE_HOURS);
        assert_eq!(
            store.jobs().accept(again(), COMMIT_TIMEOUT).await,
            Ok(Accepted { id, duplicate: true }),
            "{round}"
        );
        store.close().await;
        store = home.serve().await;
    }
    assert_eq!(home.number("SELECT count(*) FROM idempotency_keys").await, 1);
}

#[tokio::test]
async fn jobs_and_bodies_are_deleted_when_both_clocks_consider_them_too_old() {
    let home = Home::new();
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
    let mut walked = Walked::default();
    // The calendar is set back in between, so it shows that the first job finished three hours after the second one.
    let first = deliver().await;
    home.clock.set(START - THREE_HOURS);
    let second = deliver().await;
    // Enough jobs without bodies to make a walk need more than one scan.
    let others = WINDOW_JOBS + 7;
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
        store.sqlite().delete(&mut walked, store.sqlite().moment(), retention).await.unwrap();
        assert_eq!(
            (has_bodies(first).await, has_bodies(second).await),
            (of_first, of_second),
            "{}",
            home.now()
        );
    }
}

#[tokio::test]
async fn the_service_time_survives_restarts_and_kills() {
    let home = Home::new();
    let store = home.serve().await;
    home.pass(HOUR);
    store.close().await;
    // While no bridge runs, only the calendar advances.
    home.restart(home.now() + THIRTY_DAYS);
    let store = home.serve().await;
    assert_eq!(store.sqlite().moment().service, ServiceTime::from_millis(3_600_000));
    home.pass(HOUR);
    home.dead(&store).await;
    home.pass(HOUR);
    // The process is killed, so it does not store the time at its end.
    store.sqlite().die().await;
    home.restart(home.now());
    let store = home.serve().await;
    assert_eq!(store.sqlite().moment().service, ServiceTime::from_millis(2 * 3_600_000));
    maintain(&home, &store, THIRTY_DAYS, 65).await;
    assert!(
        home.number("SELECT service_at FROM service").await > 2 * 3_600_000,
        "the time is stored once a minute"
    );
}

/// A code or a used link is needed until it has expired by both clocks.
#[tokio::test]
async fn setting_the_clock_forward_and_back_keeps_codes_and_used_links() {
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
    let used =
        async |nonce, code| store.oauth().use_state([nonce; 16], [code; 32], START + HOUR).await.unwrap();
    store.oauth().keep_code(code("https://one.kommo.com"), limits).await.unwrap();
    assert_eq!(used(1, 1).await, StateUse::Granted);
    home.clock.set(START + THIRTY_DAYS);
    store.oauth().keep_code(code("https://two.kommo.com"), limits).await.unwrap();
    assert_eq!(used(2, 1).await, StateUse::Granted);
    assert_eq!(store.oauth().kept_codes().await.unwrap().len(), 2, "Kommo accepts both");
    home.clock.set(START);
    assert_eq!(used(1, 2).await, StateUse::OtherCode);
    home.clock.set(START + THIRTY_DAYS);
    home.pass(2 * HOUR + Duration::from_millis(1));
    store.oauth().keep_code(code("https://three.kommo.com"), limits).await.unwrap();
    assert_eq!(used(3, 1).await, StateUse::Granted);
    let left = "SELECT (SELECT count(*) FROM oauth_codes) * 10 + (SELECT count(*) FROM oauth_states)";
    assert_eq!(home.number(left).await, 11);
}
