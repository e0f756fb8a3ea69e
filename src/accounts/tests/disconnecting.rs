//! A call that reports a disconnection is believed only if the account does not contradict it.

use super::keeping::{hook, unfinished};
use super::*;
use model::StateName;
use tokio::task::yield_now;
use tokio_util::sync::CancellationToken;

async fn state(accounts: &Accounts) -> AccountState {
    accounts.list().await.unwrap()[0].state
}

/// Less than the time that Kommo may take to respond.
const SOON: Duration = Duration::from_secs(10);

async fn key(accounts: &Accounts) -> AccountKey {
    accounts.list().await.unwrap()[0].key.clone().unwrap()
}

/// An account that was disconnected and connected again, so that others may know the signed URL.
async fn reconnected(home: &Home) -> (Store, Accounts) {
    let (store, accounts) = home.connected().await;
    home.simulator.revoke_tokens();
    assert_eq!(accounts.revoke(hook(home)).await, Ok(Revoked::Done(0)));
    accounts.connect(home.callback(&accounts)).await.unwrap();
    (store, accounts)
}

#[tokio::test]
async fn a_repeated_call_after_a_reconnection_disconnects_nothing() {
    let home = Home::new().await;
    let (store, accounts) = reconnected(&home).await;
    let job = unfinished(&home, &store, home.account_id().0).await;
    for _ in 0..3 {
        assert_eq!(accounts.revoke(hook(&home)).await, Err(RevocationError::StillConnected));
    }
    assert_eq!(
        home.simulator.api_calls().len() + home.refreshes(),
        3,
        "not every repeated call causes a check"
    );
    for _ in 0..20 {
        home.clock.advance(Duration::from_secs(20));
        accounts.step(&store).await;
    }
    assert_eq!(state(&accounts).await, AccountState::Active);
    assert!(store.oauth().pending_revocations().await.unwrap().is_empty());
    assert_eq!(store.jobs().get(job).await.unwrap().unwrap().0.summary().state, StateName::Queued);
    assert!(accounts.bearer(home.origin()).await.is_ok());
    // A real second disconnection is believed immediately.
    home.simulator.revoke_tokens();
    home.clock.advance(Duration::from_secs(20));
    assert_eq!(accounts.revoke(hook(&home)).await, Ok(Revoked::Done(1)));
}

#[tokio::test]
async fn a_call_during_an_outage_waits_until_the_account_can_be_checked() {
    for is_disconnected in [false, true] {
        let home = Home::new().await;
        let (_, accounts) = reconnected(&home).await;
        let outage = |fault: Option<Fault>| {
            home.simulator.set_outage(fault.clone());
            home.simulator.set_oauth_outage(fault);
        };
        outage(Some(Fault::Status(503)));
        home.clock.advance(Duration::from_secs(20));
        assert_eq!(accounts.revoke(hook(&home)).await, Ok(Revoked::Pending));
        assert_eq!(state(&accounts).await, AccountState::Active);
        drop(accounts);
        // The pending call survives a restart.
        let store = home.store(Role::Observer).await;
        let accounts = home.accounts(&store).await;
        accounts.step(&store).await;
        assert_eq!(state(&accounts).await, AccountState::Active);
        outage(None);
        if is_disconnected {
            home.simulator.revoke_tokens();
        }
        for _ in 0..20 {
            home.clock.advance(Duration::from_secs(20));
            accounts.step(&store).await;
        }
        let expected = if is_disconnected { AccountState::Revoked } else { AccountState::Active };
        assert_eq!(state(&accounts).await, expected);
        assert!(store.oauth().pending_revocations().await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_refusal_during_an_oauth_outage_disconnects_nothing() {
    let home = Home::new().await;
    let (store, accounts) = reconnected(&home).await;
    home.simulator.set_outage(Some(Fault::Unauthorized));
    home.simulator.set_oauth_outage(Some(Fault::Status(503)));
    home.clock.advance(Duration::from_secs(20));
    assert_eq!(accounts.revoke(hook(&home)).await, Ok(Revoked::Pending));
    for _ in 0..20 {
        home.clock.advance(Duration::from_secs(20));
        accounts.step(&store).await;
    }
    assert_eq!(state(&accounts).await, AccountState::Active);
    // Both the API and OAuth refuse repeatedly without giving a reason: this is not an outage.
    home.simulator.set_oauth_outage(Some(Fault::Unauthorized));
    for _ in 0..200 {
        home.clock.advance(Duration::from_secs(20));
        accounts.step(&store).await;
    }
    assert_eq!(state(&accounts).await, AccountState::Revoked);
}

#[tokio::test]
async fn a_call_before_the_token_ends_is_believed_once_it_ends() {
    for (is_first, ends) in [(true, true), (true, false), (false, true), (false, false)] {
        let home = Home::new().await;
        let (store, accounts) = if is_first { home.connected().await } else { reconnected(&home).await };
        assert_eq!(accounts.revoke(hook(&home)).await, Err(RevocationError::StillConnected));
        for check in 0..20 {
            if ends && check == 5 {
                home.simulator.revoke_tokens();
            }
            home.clock.advance(Duration::from_secs(20));
            accounts.step(&store).await;
        }
        let expected = if ends { AccountState::Revoked } else { AccountState::Active };
        assert_eq!(state(&accounts).await, expected, "{is_first} {ends}");
        assert!(store.oauth().pending_revocations().await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn an_account_that_loses_its_token_after_a_reconnection_keeps_its_jobs() {
    let home = Home::new().await;
    let (store, accounts) = reconnected(&home).await;
    let bearer = accounts.bearer(home.origin()).await.unwrap();
    home.simulator.revoke_tokens();
    assert!(accounts.renewed(home.origin(), &bearer).await.is_err());
    assert_eq!(state(&accounts).await, AccountState::NeedsAuthorization);
    let job = unfinished(&home, &store, home.account_id().0).await;
    accounts.step(&store).await;
    assert_eq!(store.jobs().get(job).await.unwrap().unwrap().0.summary().state, StateName::Queued);
}

#[tokio::test]
async fn an_account_without_a_token_is_not_disconnected_by_a_repeated_call() {
    let home = Home::new().await;
    let (store, accounts) = reconnected(&home).await;
    let bearer = accounts.bearer(home.origin()).await.unwrap();
    home.simulator.revoke_tokens();
    assert!(accounts.renewed(home.origin(), &bearer).await.is_err());
    assert_eq!(state(&accounts).await, AccountState::NeedsAuthorization);
    let job = unfinished(&home, &store, home.account_id().0).await;
    assert_eq!(accounts.revoke(hook(&home)).await, Err(RevocationError::Repeated));
    assert_eq!(store.jobs().get(job).await.unwrap().unwrap().0.summary().state, StateName::Queued);
    // The same is true after its removal.
    let key = accounts.list().await.unwrap()[0].key.clone().unwrap();
    accounts.remove(&key, operator()).await.unwrap();
    assert_eq!(accounts.revoke(hook(&home)).await, Err(RevocationError::Repeated));
    assert!(!accounts.is_disabled(home.account_id(), home.client_uuid()));
}

#[tokio::test]
async fn a_configured_account_is_checked_with_its_long_lived_token() {
    let home = Home::new().await;
    let store = home.store(Role::Owner).await;
    let token = home.simulator.options().access_token.clone();
    let account =
        LongLivedAccount { name: "shop".into(), origin: home.origin().to_owned(), token: token.into() };
    let accounts = home.accounts_with(&store, vec![account]).await;
    accounts.was_seen(home.client_uuid(), home.origin(), home.account_id());
    assert_eq!(accounts.revoke(hook(&home)).await, Err(RevocationError::StillConnected));
    assert!(!accounts.is_disabled(home.account_id(), home.client_uuid()));
}

#[tokio::test]
async fn a_call_repeated_during_the_check_is_answered_at_once_and_waits() {
    let home = Home::new().await;
    let (store, accounts) = reconnected(&home).await;
    let last_answer = accounts.last_answer(&key(&accounts).await);
    let _check_in_progress = last_answer.lock().await;
    let repeated = tokio::time::timeout(SOON, accounts.revoke(hook(&home))).await;
    assert_eq!(repeated.expect("the repeated call keeps its connection"), Ok(Revoked::Pending));
    assert_eq!(store.oauth().pending_revocations().await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_unresponsive_account_does_not_delay_others() {
    let home = Home::new().await;
    let (store, accounts) = reconnected(&home).await;
    let key = key(&accounts).await;
    home.simulator.set_outage(Some(Fault::Hang));
    home.clock.advance(Duration::from_secs(20));
    store.oauth().note_revocation(key.clone(), true).await.unwrap();
    let asked = home.simulator.api_calls().len();
    let running = tokio::spawn({
        let accounts = accounts.clone();
        async move { accounts.run(CancellationToken::new()).await }
    });
    let is_asked = async {
        while home.simulator.api_calls().len() == asked {
            yield_now().await;
        }
    };
    tokio::time::timeout(SOON, is_asked).await.expect("the account is not checked");
    // Meanwhile another process changes something.
    home.store(Role::Observer).await.accounts().remove(key.clone()).await.unwrap();
    let is_noticed = async {
        while accounts.entry_of(&key).is_some() {
            home.clock.advance(Duration::from_secs(5));
            yield_now().await;
        }
    };
    tokio::time::timeout(SOON, is_noticed).await.expect("the unresponsive account delays the watch");
    running.abort();
}

#[tokio::test]
async fn a_repeated_call_after_a_disconnection_changes_nothing() {
    let home = Home::new().await;
    let (store, accounts) = home.connected().await;
    home.simulator.revoke_tokens();
    assert_eq!(accounts.revoke(hook(&home)).await, Ok(Revoked::Done(0)));
    let before = store.accounts().generations().await.unwrap();
    for _ in 0..3 {
        assert_eq!(accounts.revoke(hook(&home)).await, Ok(Revoked::Done(0)));
    }
    assert_eq!(store.accounts().generations().await.unwrap(), before);
    assert_eq!(accounts.disconnected().len(), 1);
    // A job that arrives late is still cancelled.
    let job = unfinished(&home, &store, home.account_id().0).await;
    accounts.step(&store).await;
    assert_eq!(store.jobs().get(job).await.unwrap().unwrap().0.summary().state, StateName::Cancelled);
}
