//! The waits of deliveries, which the owner stores for the commands beside it.

use model::WaitCause;

use super::*;
use crate::tests::waits::{OLD, wait};

#[tokio::test]
async fn jobs_of_a_moved_account_wait_at_its_new_address() {
    let home = Home::new();
    let store = home.serve().await;
    let moved = format!(
        "INSERT INTO accounts (account_id, client_uuid, origin, previous_origin, state, reason, generation) \
         VALUES (7, 'id', '{ORIGIN}', '{OLD}', 'needs_authorization', 'x', 1)"
    );
    assert_eq!(home.run(&moved).await, 1);
    store.accounts().write_waits(vec![(ORIGIN.into(), Some(wait(WaitCause::Forbidden)))]).await.unwrap();
    for origin in [ORIGIN, OLD] {
        assert_eq!(
            store.accounts().waits_at(origin).await.unwrap().account,
            Some(wait(WaitCause::Forbidden)),
            "{origin}"
        );
    }
    store.accounts().write_waits(vec![(OLD.into(), Some(wait(WaitCause::TooMany)))]).await.unwrap();
    assert_eq!(
        store.accounts().waits_at(OLD).await.unwrap().account,
        Some(wait(WaitCause::TooMany)),
        "its own wait"
    );
}

#[tokio::test]
async fn every_check_of_a_wait_rejects_bad_rows() {
    let home = Home::new();
    let store = home.serve().await;
    store.accounts().write_waits(vec![(ORIGIN.into(), Some(wait(WaitCause::Forbidden)))]).await.unwrap();
    store.accounts().ask_resume(ORIGIN.into()).await.unwrap();
    let mut raw = home.raw().await;
    for sql in [
        "UPDATE account_waits SET cause = 'hunger'",
        "UPDATE account_waits SET origin = ''",
        "UPDATE account_waits SET why = NULL",
        "UPDATE account_waits SET advice = NULL",
        "UPDATE account_waits SET since = NULL",
        "UPDATE account_resumes SET origin = ''",
        "UPDATE account_resumes SET asked_at = NULL",
    ] {
        assert!(sqlx::query(AssertSqlSafe(sql)).execute(&mut raw).await.is_err(), "{sql}");
    }
}
