//! The background work does not spin, records waits, and ends them.

use futures_util::FutureExt;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, SqliteConnection};

use super::waiting::wait;
use super::*;
use kommo::pace::{CallKind, Cause, Pause, Source};

#[tokio::test]
async fn an_unreadable_row_does_not_keep_the_watch_awake() {
    let home = Home::new().await;
    let (store, accounts) = home.connected().await;
    let file = SqliteConnectOptions::new().filename(home.folder.path().join("bridge.db"));
    let mut raw = SqliteConnection::connect_with(&file).await.unwrap();
    for sql in [
        "PRAGMA ignore_check_constraints = ON",
        "INSERT INTO accounts (account_id, client_uuid, state, generation) VALUES (9, 'x', 'asleep', 1)",
    ] {
        sqlx::query(sql).execute(&mut raw).await.unwrap();
    }
    accounts.step(&store).await;
    let _woken_by_that_step = accounts.0.changed.notified().now_or_never();
    accounts.step(&store).await;
    assert!(accounts.0.changed.notified().now_or_never().is_none(), "nothing has changed since");
    assert!(accounts.bearer(home.origin()).await.is_ok());
}

#[tokio::test]
async fn an_unwritable_store_is_not_retried_without_a_pause() {
    let home = Home::new().await;
    let (store, accounts) = home.connected().await;
    home.clock.advance(DAY);
    store.close().await;
    assert!(accounts.step(&store).await >= Duration::from_secs(1));
    assert_eq!(home.refreshes(), 0);
}

#[tokio::test]
async fn a_wait_follows_another_process_that_gives_up_or_removes_the_account() {
    let home = Home::new().await;
    let (store, accounts) = home.connected().await;
    let observer = home.store(Role::Observer).await;
    let other = home.accounts(&observer).await;
    let stale = other.bearer(home.origin()).await.unwrap();
    home.simulator.revoke_tokens();
    assert!(other.renewed(home.origin(), &stale).await.is_err());
    accounts.step(&store).await;
    let waiting = accounts.0.parts.health.waiting();
    assert_eq!(waiting.len(), 1);
    assert!(waiting[0].account == host(home.origin()) && waiting[0].why.contains("revoked"), "{waiting:?}");

    let key = other.list().await.unwrap()[0].key.clone().unwrap();
    assert!(other.remove(&key, operator()).await.unwrap());
    accounts.step(&store).await;
    assert!(accounts.0.parts.health.waiting().is_empty(), "a removed account does not need an authorization");
}

#[tokio::test]
async fn a_renewal_ends_only_the_pause_that_waited_for_it() {
    let home = Home::new().await;
    let (store, accounts) = home.connected().await;
    let pause = async |cause| {
        let patience = Duration::from_secs(3_600);
        let mut permit =
            accounts.0.parts.limiter.acquire(home.origin(), CallKind::Token, patience).await.unwrap();
        permit.start().unwrap();
        permit.pause(Pause { cause, hint: None, source: Source::Call }).unwrap();
    };
    pause(Cause::NotRenewed).await;
    accounts.0.parts.health.account_waits(home.origin(), wait(Cause::NotRenewed));
    home.clock.advance(Duration::from_secs(20 * 3_600));
    pause(Cause::NotRenewed).await;
    accounts.step(&store).await;
    assert_eq!(home.refreshes(), 1);
    assert_eq!(accounts.0.parts.limiter.wait(home.origin()), Some(Duration::ZERO));
    assert!(accounts.0.parts.health.waiting().is_empty());

    // If Kommo refuses for another reason, a new token of the same user does not help.
    pause(Cause::Unauthorized).await;
    let bearer = accounts.bearer(home.origin()).await.unwrap();
    accounts.renewed(home.origin(), &bearer).await.unwrap();
    assert_eq!(accounts.0.parts.limiter.wait(home.origin()), Some(Duration::from_secs(30)));
}

#[tokio::test]
async fn a_disconnection_ends_a_wait_under_the_accounts_old_address() {
    let mut home = Home::new().await;
    let elsewhere = Simulator::start(options(&home.clock)).await.unwrap();
    home.allowed.push(host(elsewhere.base_url()).to_owned());
    let (_store, accounts) = home.connected().await;
    let stale = accounts.bearer(home.origin()).await.unwrap();
    home.simulator.move_to(&elsewhere, MovedAnswer::NotFound);
    accounts.renewed(home.origin(), &stale).await.unwrap();
    let health = &accounts.0.parts.health;
    let record_waits = || {
        [home.origin(), elsewhere.base_url()]
            .map(|origin| health.account_waits(origin, wait(Cause::NotRenewed)))
    };
    record_waits();
    let key = accounts.list().await.unwrap()[0].key.clone().unwrap();
    let record = accounts.entry_of(&key).unwrap().record.clone();
    assert_eq!(record.previous_origin.as_deref(), Some(home.origin()));
    elsewhere.revoke_tokens();
    accounts.revoke(keeping::hook(&home)).await.unwrap();
    assert_eq!(health.waiting(), []);
}
