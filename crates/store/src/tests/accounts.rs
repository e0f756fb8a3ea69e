//! Connected accounts: which process may renew, which writes take effect, and whose jobs are cancelled.

use super::*;
use crate::{Leased, NewConnection, Renewal};

const MINUTE: Duration = Duration::from_secs(60);

pub(crate) fn key(account_id: i64) -> AccountKey {
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

pub(crate) fn connection(account_id: i64, origin: &str, filler: u8) -> NewConnection {
    let (key, tokens) = (key(account_id), tokens(filler));
    NewConnection { key, origin: origin.into(), tokens, moves_from: None, state: None, by: None }
}

/// Connects an account, whatever its previous address.
pub(crate) async fn connect(store: &Store, account_id: i64, origin: &str, filler: u8) -> Option<u64> {
    let all = store.accounts().all().await.unwrap();
    let moves_from = all.into_iter().find(|one| one.key == key(account_id)).and_then(|one| one.origin);
    let new = NewConnection { moves_from, ..connection(account_id, origin, filler) };
    store.accounts().connect(new).await.unwrap()
}

fn renewed(origin: &str, filler: u8) -> Renewal {
    Renewal::Renewed { origin: origin.into(), tokens: tokens(filler) }
}

pub(crate) async fn only(store: &Store) -> AccountRecord {
    let mut all = store.accounts().all().await.unwrap();
    assert_eq!(all.len(), 1);
    all.remove(0)
}

#[tokio::test]
async fn a_connected_account_is_found_as_it_was_stored() {
    let home = Home::new();
    let store = home.serve().await;
    assert_eq!(connect(&store, 7, ORIGIN, 1).await, Some(1));
    let expected = AccountRecord {
        key: key(7),
        origin: Some(ORIGIN.into()),
        previous_origin: None,
        authorization: Authorization::Active(tokens(1)),
        generation: 1,
        connected_at: Some(START),
    };
    assert_eq!(only(&store).await, expected);
    assert_eq!(store.accounts().generations().await.unwrap(), [(key(7), 1)]);
    // Connected again, at another address.
    assert_eq!(connect(&store, 7, "https://two.kommo.com", 2).await, Some(2));
    let record = only(&store).await;
    assert_eq!(record.origin.as_deref(), Some("https://two.kommo.com"));
    assert_eq!(record.previous_origin.as_deref(), Some(ORIGIN));
    assert!(
        store.accounts().remove(key(7)).await.unwrap() && !store.accounts().remove(key(7)).await.unwrap()
    );
    assert!(store.accounts().all().await.unwrap().is_empty());
}

#[tokio::test]
async fn one_process_renews_and_only_the_generation_it_has_seen() {
    let home = Home::new();
    let store = home.serve().await;
    connect(&store, 7, ORIGIN, 1).await;
    let lease = async |generation| store.accounts().lease_renewal(key(7), generation, MINUTE).await.unwrap();
    assert_eq!(lease(2).await, Leased::Changed);
    assert_eq!(lease(1).await, Leased::Granted);
    assert_eq!(lease(1).await, Leased::Busy(START + MINUTE));
    home.clock.advance(MINUTE);
    assert_eq!(lease(1).await, Leased::Granted, "the earlier lease has ended");

    let end =
        async |generation, renewal| store.accounts().end_renewal(key(7), generation, renewal).await.unwrap();
    assert_eq!(end(2, renewed(ORIGIN, 9)).await, None);
    assert_eq!(only(&store).await.authorization, Authorization::Active(tokens(1)));
    assert_eq!(end(1, Renewal::Failed).await, Some(1));
    assert_eq!(lease(1).await, Leased::Granted, "a failed renewal releases the lease");
    assert_eq!(end(1, renewed("https://two.kommo.com", 2)).await, Some(2));
    let record = only(&store).await;
    assert_eq!((record.authorization, record.generation), (Authorization::Active(tokens(2)), 2));
    assert_eq!(record.previous_origin.as_deref(), Some(ORIGIN));
    assert_eq!(end(1, renewed(ORIGIN, 9)).await, None, "a late renewal changes nothing");

    let dead = Authorization::Needed { reason: "dead".into() };
    assert_eq!(end(2, Renewal::Stopped(dead.clone())).await, Some(3));
    assert_eq!((only(&store).await.authorization, lease(3).await), (dead, Leased::Changed));
}

#[tokio::test]
async fn a_start_ends_the_renewal_lease_of_a_dead_owner_but_not_of_an_observer() {
    let home = Home::new();
    let store = home.serve().await;
    for account in [7, 8] {
        connect(&store, account, ORIGIN, 1).await;
    }
    let observer = Store::open(&home.url(), Role::Observer, home.clock.clock()).await.unwrap();
    assert_eq!(store.accounts().lease_renewal(key(7), 1, MINUTE).await.unwrap(), Leased::Granted);
    assert_eq!(observer.accounts().lease_renewal(key(8), 1, MINUTE).await.unwrap(), Leased::Granted);
    store.close().await;
    let store = home.serve().await;
    assert_eq!(store.accounts().lease_renewal(key(7), 1, MINUTE).await.unwrap(), Leased::Granted);
    assert_eq!(
        store.accounts().lease_renewal(key(8), 1, MINUTE).await.unwrap(),
        Leased::Busy(START + MINUTE)
    );
}

#[tokio::test]
async fn an_account_connected_in_the_meantime_is_not_revoked() {
    let home = Home::new();
    let store = home.serve().await;
    connect(&store, 7, ORIGIN, 1).await;
    for seen in [None, Some(2)] {
        assert!(!store.accounts().revoke(key(7), seen, "gone".into()).await.unwrap());
        assert_eq!(only(&store).await.authorization, Authorization::Active(tokens(1)));
    }
}

#[tokio::test]
async fn an_account_moves_only_from_the_address_that_was_checked() {
    let home = Home::new();
    let store = home.serve().await;
    connect(&store, 7, ORIGIN, 1).await;
    for moves_from in [None, Some("https://three.kommo.com".into())] {
        let new = NewConnection { moves_from, ..connection(7, "https://two.kommo.com", 2) };
        assert_eq!(store.accounts().connect(new).await.unwrap(), None);
        assert_eq!(only(&store).await.authorization, Authorization::Active(tokens(1)));
    }
    let new = NewConnection { moves_from: Some(ORIGIN.into()), ..connection(7, "https://two.kommo.com", 2) };
    assert_eq!(store.accounts().connect(new).await.unwrap(), Some(2));
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
    let account_id = stored_job(&store, dead).await.request.account_id;
    assert_eq!(store.jobs().cancel_accounts(&[AccountId(account_id.0 + 1)], "why").await.unwrap(), 0);
    assert_eq!(store.jobs().cancel_accounts(&[], "why").await.unwrap(), 0);
    assert_eq!(store.jobs().waiting_deliveries().await.unwrap(), [(ORIGIN.to_owned(), 1)]);
    assert_eq!(store.jobs().cancel_accounts(&[AccountId(1), account_id], "why").await.unwrap(), 4);
    for id in unfinished {
        let job = stored_job(&store, id).await;
        assert_eq!((job.state.name(), job.last_error.as_deref()), (StateName::Cancelled, Some("why")));
    }
    assert_eq!(state(&store, dead).await, StateName::Dead);
    assert!(store.jobs().waiting_deliveries().await.unwrap().is_empty());
}

#[tokio::test]
async fn the_jobs_of_several_accounts_are_cancelled_in_one_pass_and_in_chunks() {
    let home = Home::new();
    let store = home.serve().await;
    let jobs = (0..300_i64).map(|number| {
        let mut request = home.request();
        request.request.account_id = AccountId(1 + number % 3);
        accept(&store, request)
    });
    let ids = futures_util::future::join_all(jobs).await;
    assert_eq!(
        store.jobs().cancel_accounts(&[AccountId(1), AccountId(3), AccountId(9)], "why").await.unwrap(),
        200
    );
    assert_eq!(count(&store, StateName::Queued).await, 100);
    for id in ids.iter().skip(1).step_by(3) {
        assert_eq!(state(&store, *id).await, StateName::Queued);
    }
}

#[tokio::test]
async fn a_renewal_lease_by_another_clock_ends_like_any_other() {
    let home = Home::new();
    let store = home.serve().await;
    connect(&store, 7, ORIGIN, 1).await;
    // The holder's clock is a day ahead, and the holder was killed during the renewal.
    assert_eq!(store.accounts().lease_renewal(key(7), 1, MINUTE * 1_440).await.unwrap(), Leased::Granted);
    assert_eq!(
        store.accounts().lease_renewal(key(7), 1, MINUTE).await.unwrap(),
        Leased::Busy(START + MINUTE)
    );
    home.clock.advance(MINUTE / 2);
    assert_eq!(
        store.accounts().lease_renewal(key(7), 1, MINUTE).await.unwrap(),
        Leased::Busy(START + MINUTE)
    );
    home.clock.advance(MINUTE / 2);
    assert_eq!(store.accounts().lease_renewal(key(7), 1, MINUTE).await.unwrap(), Leased::Granted);
}

#[tokio::test]
async fn an_address_remembers_the_account_that_left_it_when_another_arrives() {
    let home = Home::new();
    let store = home.serve().await;
    connect(&store, 7, ORIGIN, 1).await;
    connect(&store, 7, "https://two.kommo.com", 2).await;
    connect(&store, 8, ORIGIN, 3).await;
    let all = store.accounts().all().await.unwrap();
    let addresses: Vec<_> = all
        .iter()
        .map(|one| (one.key.account_id.0, one.origin.as_deref(), one.previous_origin.as_deref()))
        .collect();
    assert_eq!(addresses, [(7, Some("https://two.kommo.com"), Some(ORIGIN)), (8, Some(ORIGIN), None)]);
}
