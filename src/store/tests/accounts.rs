//! Connected accounts: who may renew, which write counts, what the schema refuses.

use super::*;
use crate::store::{Leased, Renewal, accounts};

const MINUTE: Duration = Duration::from_secs(60);

fn key(account_id: i64) -> AccountKey {
    AccountKey::new(AccountId(account_id), "Client-1")
}

fn tokens(filler: u8) -> SealedTokens {
    SealedTokens {
        key_id: "0123456789abcdef".into(),
        access: vec![filler; 41],
        refresh: vec![filler; 60],
        obtained_at: START,
        expires_at: START + MINUTE,
    }
}

fn renewed(origin: &str, filler: u8) -> Renewal {
    Renewal::Renewed { origin: origin.into(), tokens: tokens(filler) }
}

async fn only(store: &Store) -> AccountRecord {
    let mut all = store.accounts().await.unwrap();
    assert_eq!(all.len(), 1);
    all.remove(0)
}

#[tokio::test]
async fn a_connected_account_is_found_as_it_was_stored() {
    let home = Home::new();
    let store = home.serve().await;
    assert_eq!(store.connect_account(key(7), ORIGIN.into(), tokens(1)).await.unwrap(), 1);
    let expected = AccountRecord {
        key: key(7),
        origin: Some(ORIGIN.into()),
        previous_origin: None,
        standing: Standing::Active(tokens(1)),
        generation: 1,
        connected_at: Some(START),
    };
    assert_eq!(only(&store).await, expected);
    assert_eq!(store.account_generations().await.unwrap(), [(key(7), 1)]);
    // Again, and elsewhere meanwhile.
    assert_eq!(store.connect_account(key(7), "https://two.kommo.com".into(), tokens(2)).await.unwrap(), 2);
    let record = only(&store).await;
    assert_eq!(record.origin.as_deref(), Some("https://two.kommo.com"));
    assert_eq!(record.previous_origin.as_deref(), Some(ORIGIN));
    assert!(store.remove_account(key(7)).await.unwrap() && !store.remove_account(key(7)).await.unwrap());
    assert!(store.accounts().await.unwrap().is_empty());
}

#[tokio::test]
async fn one_renews_and_only_what_it_has_seen() {
    let home = Home::new();
    let store = home.serve().await;
    store.connect_account(key(7), ORIGIN.into(), tokens(1)).await.unwrap();
    let lease = async |generation| store.lease_renewal(key(7), generation, MINUTE).await.unwrap();
    assert_eq!(lease(2).await, Leased::Changed);
    assert_eq!(lease(1).await, Leased::Granted);
    assert_eq!(lease(1).await, Leased::Busy(START + MINUTE));
    home.clock.advance(MINUTE);
    assert_eq!(lease(1).await, Leased::Granted, "a lease ends");

    let end = async |generation, renewal| store.end_renewal(key(7), generation, renewal).await.unwrap();
    assert_eq!(end(2, renewed(ORIGIN, 9)).await, None);
    assert_eq!(only(&store).await.standing, Standing::Active(tokens(1)));
    assert_eq!(end(1, Renewal::Failed).await, Some(1));
    assert_eq!(lease(1).await, Leased::Granted, "a failure gives the lease back");
    assert_eq!(end(1, renewed("https://two.kommo.com", 2)).await, Some(2));
    let record = only(&store).await;
    assert_eq!((record.standing, record.generation), (Standing::Active(tokens(2)), 2));
    assert_eq!(record.previous_origin.as_deref(), Some(ORIGIN));
    assert_eq!(end(1, renewed(ORIGIN, 9)).await, None, "who comes late changes nothing");

    let dead = Standing::NeedsAuthorization { reason: "dead".into() };
    assert_eq!(end(2, Renewal::Stopped(dead.clone())).await, Some(3));
    assert_eq!((only(&store).await.standing, lease(3).await), (dead, Leased::Changed));
}

#[tokio::test]
async fn the_lease_of_a_dead_owner_ends_with_it_and_a_visitors_does_not() {
    let home = Home::new();
    let store = home.serve().await;
    for account in [7, 8] {
        store.connect_account(key(account), ORIGIN.into(), tokens(1)).await.unwrap();
    }
    let visit = Store::open(&home.url(), Purpose::Visit, home.clock.clock()).await.unwrap();
    assert_eq!(store.lease_renewal(key(7), 1, MINUTE).await.unwrap(), Leased::Granted);
    assert_eq!(visit.lease_renewal(key(8), 1, MINUTE).await.unwrap(), Leased::Granted);
    store.close().await;
    let store = home.serve().await;
    assert_eq!(store.lease_renewal(key(7), 1, MINUTE).await.unwrap(), Leased::Granted);
    assert_eq!(store.lease_renewal(key(8), 1, MINUTE).await.unwrap(), Leased::Busy(START + MINUTE));
}

#[tokio::test]
async fn a_revoked_account_has_no_tokens_and_may_be_one_that_was_never_connected() {
    let home = Home::new();
    let store = home.serve().await;
    store.connect_account(key(7), ORIGIN.into(), tokens(1)).await.unwrap();
    for account in [7, 8] {
        store.revoke_account(key(account), "gone".into()).await.unwrap();
    }
    let all = store.accounts().await.unwrap();
    let revoked = Standing::Revoked { reason: "gone".into() };
    assert!(all.iter().all(|account| account.standing == revoked));
    assert_eq!([&all[0].origin, &all[1].origin], [&Some(ORIGIN.into()), &None]);
    assert_eq!(home.number("SELECT count(*) FROM accounts WHERE access_token IS NOT NULL").await, 0);
}

#[tokio::test]
async fn only_the_unfinished_jobs_of_the_account_are_cancelled() {
    let home = Home::new();
    let store = home.serve().await;
    let dead = home.dead(&store).await;
    let unfinished = [
        home.delivering(&store).await.id,
        home.waiting(&store).await,
        home.running(&store).await.id,
        home.queued(&store).await,
    ];
    let account_id = look(&store, dead).await.request.account_id;
    assert_eq!(store.cancel_account(AccountId(account_id.0 + 1)).await.unwrap(), 0);
    assert_eq!(store.waiting_deliveries().await.unwrap(), [(ORIGIN.to_owned(), 1)]);
    assert_eq!(store.cancel_account(account_id).await.unwrap(), 4);
    for id in unfinished {
        assert_eq!(state(&store, id).await, StateName::Cancelled);
    }
    assert_eq!(state(&store, dead).await, StateName::Dead);
    assert!(store.waiting_deliveries().await.unwrap().is_empty());
    let mut raw = home.raw().await;
    for (sql, expected) in [(accounts::WAITING, 1), (accounts::UNFINISHED, 3)] {
        let plan = format!("EXPLAIN QUERY PLAN {sql}");
        let rows = sqlx::query(AssertSqlSafe(plan)).fetch_all(&mut raw).await.unwrap();
        let steps: Vec<String> = rows.iter().map(|row| sqlx::Row::get(row, "detail")).collect();
        let by_index = steps.iter().filter(|step| step.contains("USING") && step.contains("INDEX jobs_"));
        assert_eq!(by_index.count(), expected, "{steps:#?}");
    }
}

#[tokio::test]
async fn every_check_of_an_account_bites() {
    let home = Home::new();
    let store = home.serve().await;
    store.connect_account(key(7), ORIGIN.into(), tokens(1)).await.unwrap();
    store.connect_account(key(8), ORIGIN.into(), tokens(1)).await.unwrap();
    store.revoke_account(key(8), "gone".into()).await.unwrap();
    let mut raw = home.raw().await;
    for (account, change) in [
        (7, "account_id = 0"),
        (7, "client_uuid = ''"),
        (7, "state = 'asleep'"),
        (7, "reason = 'x'"),
        (7, "origin = NULL"),
        (7, "origin = 'x'"),
        (7, "generation = 0"),
        (7, "key_id = NULL"),
        (7, "key_id = 'short'"),
        (7, "access_token = NULL"),
        (7, "access_token = x'00'"),
        (7, "refresh_token = NULL"),
        (7, "obtained_at = NULL"),
        (7, "expires_at = NULL"),
        (7, "renewing_until = 1"),
        (7, "renewing_until = 1, renewing_by = 'nobody'"),
        (8, "reason = NULL"),
        (8, "state = 'active', reason = NULL"),
        (8, "renewing_until = 1, renewing_by = 'owner'"),
        (8, "state = 'needs_authorization', origin = NULL"),
    ] {
        let sql = format!("UPDATE accounts SET {change} WHERE account_id = {account}");
        let error = sqlx::query(AssertSqlSafe(sql.clone())).execute(&mut raw).await.err();
        assert!(error.is_some_and(|error| error.to_string().contains("CHECK constraint")), "{sql}");
    }
}

#[tokio::test]
async fn a_damaged_account_is_left_out_and_hides_no_other() {
    let home = Home::new();
    let store = home.serve().await;
    store.connect_account(key(7), ORIGIN.into(), tokens(1)).await.unwrap();
    store.connect_account(key(8), ORIGIN.into(), tokens(1)).await.unwrap();
    let mut raw = home.raw().await;
    sqlx::query("PRAGMA ignore_check_constraints = 1").execute(&mut raw).await.unwrap();
    sqlx::query("UPDATE accounts SET state = 'asleep' WHERE account_id = 7").execute(&mut raw).await.unwrap();
    assert_eq!(only(&store).await.key, key(8));
}

#[tokio::test]
async fn a_lease_by_another_clock_ends_like_any_other() {
    let home = Home::new();
    let store = home.serve().await;
    store.connect_account(key(7), ORIGIN.into(), tokens(1)).await.unwrap();
    // Its owner's clock is a day ahead, and it was killed in mid-renewal.
    assert_eq!(store.lease_renewal(key(7), 1, MINUTE * 1_440).await.unwrap(), Leased::Granted);
    assert_eq!(store.lease_renewal(key(7), 1, MINUTE).await.unwrap(), Leased::Busy(START + MINUTE));
    home.clock.advance(MINUTE / 2);
    assert_eq!(store.lease_renewal(key(7), 1, MINUTE).await.unwrap(), Leased::Busy(START + MINUTE));
    home.clock.advance(MINUTE / 2);
    assert_eq!(store.lease_renewal(key(7), 1, MINUTE).await.unwrap(), Leased::Granted);
}

#[tokio::test]
async fn who_left_an_address_is_remembered_there_when_another_comes() {
    let home = Home::new();
    let store = home.serve().await;
    store.connect_account(key(7), ORIGIN.into(), tokens(1)).await.unwrap();
    store.connect_account(key(7), "https://two.kommo.com".into(), tokens(2)).await.unwrap();
    store.connect_account(key(8), ORIGIN.into(), tokens(3)).await.unwrap();
    let all = store.accounts().await.unwrap();
    let addresses: Vec<_> = all
        .iter()
        .map(|one| (one.key.account_id.0, one.origin.as_deref(), one.previous_origin.as_deref()))
        .collect();
    assert_eq!(addresses, [(7, Some("https://two.kommo.com"), Some(ORIGIN)), (8, Some(ORIGIN), None)]);
}
