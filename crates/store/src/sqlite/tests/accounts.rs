//! Connected accounts: revocation, damaged rows, and the rows that the schema refuses.

use super::*;
use crate::tests::accounts::{connect, key, only};

#[tokio::test]
async fn revoking_deletes_tokens_and_works_for_accounts_that_were_never_connected() {
    let home = Home::new();
    let store = home.serve().await;
    connect(&store, 7, ORIGIN, 1).await;
    for (account, seen) in [(7, Some(1)), (8, None)] {
        assert!(store.accounts().revoke(key(account), seen, "gone".into()).await.unwrap());
    }
    let all = store.accounts().all().await.unwrap();
    let revoked = Authorization::Revoked { reason: "gone".into() };
    assert!(all.iter().all(|account| account.authorization == revoked));
    assert_eq!([&all[0].origin, &all[1].origin], [&Some(ORIGIN.into()), &None]);
    assert_eq!(home.number("SELECT count(*) FROM accounts WHERE access_token IS NOT NULL").await, 0);
}

#[tokio::test]
async fn every_check_of_an_account_rejects_bad_rows() {
    let home = Home::new();
    let store = home.serve().await;
    connect(&store, 7, ORIGIN, 1).await;
    connect(&store, 8, ORIGIN, 1).await;
    store.accounts().revoke(key(8), Some(1), "gone".into()).await.unwrap();
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
        (7, "renewing_until = 1, renewing_by = 'unknown'"),
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
async fn a_damaged_account_is_left_out_and_the_others_are_listed() {
    let home = Home::new();
    let store = home.serve().await;
    connect(&store, 7, ORIGIN, 1).await;
    connect(&store, 8, ORIGIN, 1).await;
    let mut raw = home.raw().await;
    sqlx::query("PRAGMA ignore_check_constraints = 1").execute(&mut raw).await.unwrap();
    sqlx::query("UPDATE accounts SET state = 'asleep' WHERE account_id = 7").execute(&mut raw).await.unwrap();
    assert_eq!(only(&store).await.key, key(8));
}
