//! Background work: renewing ahead, noticing other processes, revocations, changed keys.

use super::*;
use simulator::Bot;

#[tokio::test]
async fn tokens_are_renewed_before_they_expire() {
    let home = Home::new().await;
    let (store, accounts) = home.connected().await;
    let wait = accounts.step(&store).await;
    assert_eq!((wait, home.refreshes()), (Duration::from_secs(20 * 3_600), 0));
    home.clock.advance(wait);
    home.simulator.queue_oauth_faults([Fault::Status(503)]);
    let again = accounts.step(&store).await;
    assert_eq!((again, home.refreshes()), (Duration::from_secs(5), 1), "it waits after a failure");
    assert!(accounts.at_hand(home.origin()).is_some(), "the old token is still valid");
    home.clock.advance(again);
    assert_eq!(accounts.step(&store).await, Duration::from_secs(20 * 3_600));
    assert_eq!(home.refreshes(), 2);
    let bearer = accounts.bearer(home.origin()).await.unwrap();
    assert!(home.accepts(&accounts, &bearer).await);
}

#[tokio::test]
async fn changes_by_another_process_are_noticed() {
    let home = Home::new().await;
    let (store, accounts) = home.connected().await;
    let observer = home.store(Role::Observer).await;
    let other = home.accounts(&observer).await;
    let stale = other.bearer(home.origin()).await.unwrap();
    let renewed = other.renewed(home.origin(), &stale).await.unwrap();
    accounts.step(&store).await;
    assert_eq!(token(&accounts.bearer(home.origin()).await.unwrap()), token(&renewed));

    let key = other.list().await.unwrap()[0].key.clone().unwrap();
    assert!(other.remove(&key, operator()).await.unwrap());
    accounts.step(&store).await;
    assert_eq!(accounts.bearer(home.origin()).await.unwrap_err(), NoBearer::Unknown);
}

/// Returns the call of Kommo's hook.
pub(super) fn hook(home: &Home) -> Revocation {
    let url: Url = home.simulator.revoke_url("https://bots.example.com").parse().unwrap();
    let value = |name: &str| url.query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned();
    Revocation {
        account_id: value("account_id"),
        client_uuid: value("client_uuid"),
        signature: value("signature"),
    }
}

pub(super) async fn unfinished(home: &Home, store: &Store, account_id: i64) -> model::JobId {
    use model::{JobId, JobOrdering, NewJob, WidgetRequest};
    let bot: Bot = home.simulator.bot(simulator::Plan::default());
    let now = home.clock.now();
    let job = NewJob {
        id: JobId::new(now, fastrand::u128(..)),
        handler: "any".parse().unwrap(),
        request: WidgetRequest {
            account_id: AccountId(account_id),
            entity: None,
            return_url: bot.return_url().parse().unwrap(),
            data: serde_json::Value::Null,
            earlier: Vec::new(),
        },
        idempotency_key: bot.id().to_string(),
        token_expires_at: now + DAY,
        received_at: now,
        answer_by: now + DAY,
        ordering: JobOrdering::None,
    };
    store.jobs().accept(job, DAY).await.unwrap().id
}

#[tokio::test]
async fn a_revocation_deletes_the_tokens_and_cancels_the_accounts_jobs() {
    use model::StateName;
    let home = Home::new().await;
    let (store, accounts) = home.connected().await;
    let (ours, client_uuid) = (home.simulator.options().account_id, &home.simulator.options().client_uuid);
    let mine = unfinished(&home, &store, ours).await;
    let other = unfinished(&home, &store, 7).await;
    let state = async |id| store.jobs().get(id).await.unwrap().unwrap().0.summary().state;

    let forged = Revocation { account_id: "7".into(), ..hook(&home) };
    assert_eq!(accounts.revoke(forged).await, Err(RevocationError::Signature));
    let unknown = Revocation { client_uuid: "x".into(), ..hook(&home) };
    assert_eq!(accounts.revoke(unknown).await, Err(RevocationError::Signature));
    assert!(
        accounts.bearer(home.origin()).await.is_ok() && !accounts.is_disabled(AccountId(ours), client_uuid)
    );

    home.simulator.revoke_tokens();
    assert_eq!(accounts.revoke(hook(&home)).await, Ok(Revoked::Done(1)));
    assert!(accounts.is_disabled(AccountId(ours), &client_uuid.to_uppercase()));
    assert!(!accounts.is_disabled(AccountId(7), client_uuid));
    assert_eq!((state(mine).await, state(other).await), (StateName::Cancelled, StateName::Queued));
    let none = accounts.bearer(home.origin()).await.unwrap_err();
    assert!(none.to_string().contains("disconnected in Kommo"), "{none}");
    assert_eq!(accounts.revoke(hook(&home)).await, Ok(Revoked::Done(0)), "the repeated call");
    // Its request was verified just before the revocation, and stored just after it.
    let late = unfinished(&home, &store, ours).await;
    accounts.step(&store).await;
    assert_eq!((state(late).await, state(other).await), (StateName::Cancelled, StateName::Queued));

    accounts.connect(home.callback(&accounts)).await.unwrap();
    assert!(!accounts.is_disabled(AccountId(ours), client_uuid));
    assert!(accounts.bearer(home.origin()).await.is_ok());
}

#[tokio::test]
async fn a_revocation_of_an_unknown_account_is_remembered() {
    let home = Home::new().await;
    let store = home.store(Role::Owner).await;
    let accounts = home.accounts(&store).await;
    assert_eq!(accounts.revoke(hook(&home)).await, Ok(Revoked::Done(0)));
    let accounts = home.accounts(&store).await;
    let options = home.simulator.options();
    assert!(accounts.is_disabled(AccountId(options.account_id), &options.client_uuid));
}

#[tokio::test]
async fn the_key_can_be_changed_and_a_lost_key_is_reported() {
    let mut home = Home::new().await;
    let (store, accounts) = home.connected().await;
    let old = std::mem::replace(&mut home.key, [2; 32]);
    drop(accounts);
    let without = home.accounts(&store).await;
    let lost = without.bearer(home.origin()).await.unwrap_err();
    assert!(lost.to_string().contains("store.previous_encryption_key"), "{lost}");
    let listed = without.list().await.unwrap().remove(0);
    assert_eq!(listed.state, AccountState::NeedsAuthorization);

    home.previous_key = Some(old);
    let both = home.accounts(&store).await;
    let bearer = both.bearer(home.origin()).await.unwrap();
    both.renewed(home.origin(), &bearer).await.unwrap();
    home.previous_key = None;
    let renewed = home.accounts(&store).await;
    assert!(renewed.bearer(home.origin()).await.is_ok(), "a renewal encrypts with the new key");
}
