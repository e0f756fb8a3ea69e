//! The OAuth data apart from the accounts: pairs, codes, used links, pending calls.

use super::*;
use crate::{CodeLimits, Pair};

pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const LIMITS: CodeLimits = CodeLimits { per_origin: 3, total: 5 };

pub(crate) fn key(account_id: i64) -> AccountKey {
    AccountKey::new(AccountId(account_id), "client-1")
}

#[tokio::test]
async fn pairs_are_stored_once_and_found_again() {
    let home = Home::new();
    let store = home.serve().await;
    let pair = |account_id| Pair {
        client_uuid: "client-1".into(),
        origin: ORIGIN.into(),
        account_id: AccountId(account_id),
    };
    store.oauth().add_pairs(vec![pair(7), pair(8)]).await.unwrap();
    store.oauth().add_pairs(vec![pair(7)]).await.unwrap();
    store.close().await;
    let mut pairs = home.serve().await.oauth().pairs().await.unwrap();
    pairs.sort();
    assert_eq!(pairs, [pair(7), pair(8)]);
}

#[tokio::test]
async fn a_call_waits_from_its_arrival_until_it_is_settled() {
    let home = Home::new();
    let store = home.serve().await;
    let note = async |pending| store.oauth().note_revocation(key(7), pending).await.unwrap();
    let waiting = async || {
        let all = store.oauth().pending_revocations().await.unwrap();
        all.first().map(|one| (one.since, one.is_first))
    };
    assert!(note(true).await, "the first call");
    assert_eq!(waiting().await, Some((START, true)));
    home.clock.advance(MINUTE);
    assert!(!note(true).await);
    assert_eq!(waiting().await, Some((START, true)));
    store.oauth().settle_revocation(key(7)).await.unwrap();
    assert!(!note(false).await && waiting().await.is_none());
    note(true).await;
    assert_eq!(waiting().await, Some((START + MINUTE, false)));
    assert!(store.oauth().note_revocation(key(8), false).await.unwrap(), "a call of another account");
    // Removing an account settles its pending call, but the call stays known.
    store.accounts().remove(key(7)).await.unwrap();
    assert!(waiting().await.is_none() && !note(false).await);
}
