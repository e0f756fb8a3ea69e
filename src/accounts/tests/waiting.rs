//! What deliveries wait for: stored for commands, removed once nothing waits, and ended when an operator resumes the
//! account.

use super::keeping::unfinished;
use super::*;
use kommo::pace::{CallKind, Cause, Pause, Source};
use model::{
    AccountWait, AfterDelivery, AfterHandler, CheckedCompletion, Delivery, DeliveryReport, HandlerReport,
    JobId, Outcome, PreparedCompletion, StateName,
};
use store::LongestDue;

pub(super) fn wait(cause: Cause) -> AccountWait {
    AccountWait { cause, why: cause.what().into(), advice: "do that".into(), since: START, until: None }
}

/// Creates a job of the account whose completion waits to be delivered.
async fn undelivered(home: &Home, store: &Store) -> JobId {
    let id = unfinished(home, store, home.account_id().0).await;
    let job = store.jobs().claim_work("any".into(), 1, DAY).await.unwrap().remove(0);
    let completion = CheckedCompletion::from_json("{}").unwrap();
    let next = AfterHandler::Deliver(PreparedCompletion { completion, outcome: Outcome::Handler });
    store.jobs().handled(HandlerReport { job, attempt: None, next, error: None }).await.unwrap();
    id
}

/// Creates the pause after a refused continue, and records it.
async fn refused(home: &Home, accounts: &Accounts, cause: Cause) {
    let patience = Duration::from_secs(3_600);
    let mut permit =
        accounts.0.parts.limiter.acquire(home.origin(), CallKind::Token, patience).await.unwrap();
    permit.start().unwrap();
    permit.pause(Pause { cause, hint: None, source: Source::Call }).unwrap();
    accounts.0.parts.health.account_waits(home.origin(), wait(cause));
}

fn is_recorded(accounts: &Accounts) -> bool {
    !accounts.0.parts.health.waiting().is_empty()
}

/// Returns how long the next call to the account must wait.
fn left(home: &Home, accounts: &Accounts) -> Duration {
    accounts.0.parts.limiter.wait(home.origin()).unwrap()
}

#[tokio::test]
async fn each_change_of_a_wait_is_written_and_a_failed_write_is_retried() {
    let home = Home::new().await;
    let (store, accounts) = home.connected().await;
    let health = &accounts.0.parts.health;
    health.account_waits(home.origin(), wait(Cause::PaymentRequired));
    accounts.write_waits(&store).await.unwrap();
    let stored = vec![(home.origin().to_owned(), wait(Cause::PaymentRequired))];
    assert_eq!(store.accounts().waits().await.unwrap(), stored);
    let listed = accounts.list().await.unwrap().remove(0);
    assert_eq!(listed.waits_for, Some(wait(Cause::PaymentRequired)));

    store.close().await;
    health.account_resumes(home.origin());
    assert!(accounts.write_waits(&store).await.is_err());
    assert_eq!(health.take_changed_waits(), [(home.origin().into(), None)]);
    // After a restart nothing is known until the cause is found again.
    let store = home.store(Role::Owner).await;
    assert_eq!(store.accounts().waits().await.unwrap(), []);
}

#[tokio::test]
async fn accounts_in_trouble_are_counted_once_each() {
    let home = Home::new().await;
    let (_store, accounts) = home.connected().await;
    let paused =
        |origins: &[&str]| accounts.in_trouble(&origins.iter().map(|origin| (*origin).into()).collect());
    assert_eq!(paused(&[]), 0);
    accounts.0.parts.health.account_waits(home.origin(), wait(Cause::PaymentRequired));
    assert_eq!(paused(&[home.origin()]), 1, "it waits because it is paused");
    accounts.0.parts.health.account_waits("https://never.kommo.com", wait(Cause::NotConnected));
    assert_eq!(paused(&[home.origin()]), 2);
    accounts.0.parts.health.account_resumes(home.origin());
    assert_eq!(paused(&["https://never.kommo.com"]), 1);
}

#[tokio::test]
async fn a_wait_is_removed_once_no_delivery_waits_whatever_happened_to_the_job() {
    for ends in [None, Some(AfterDelivery::Gone), Some(AfterDelivery::Dead { answer_lost: false })] {
        let home = Home::new().await;
        let (store, accounts) = home.connected().await;
        let id = undelivered(&home, &store).await;
        refused(&home, &accounts, Cause::Forbidden).await;
        accounts.step(&store).await;
        assert!(is_recorded(&accounts), "{ends:?}: it waits");
        match ends.clone() {
            None => store.jobs().cancel(id).await.unwrap(),
            Some(next) => {
                let claimed =
                    store.jobs().claim_deliveries(home.origin().into(), 1, LongestDue::default(), DAY).await;
                accounts.step(&store).await;
                assert!(is_recorded(&accounts), "{ends:?}: the delivery still waits");
                let job = claimed.unwrap().remove(0);
                store.jobs().sent(DeliveryReport { job, attempt: None, next, error: None }).await.unwrap();
            }
        }
        assert!(left(&home, &accounts) > Duration::ZERO);
        accounts.step(&store).await;
        assert!(!is_recorded(&accounts), "{ends:?}");
        assert_eq!(
            left(&home, &accounts),
            Duration::ZERO,
            "the next delivery finds the cause and reports it"
        );
    }
}

#[tokio::test]
async fn an_account_that_must_be_authorized_is_reported_even_if_no_delivery_waits() {
    let home = Home::new().await;
    let (store, accounts) = home.connected().await;
    home.simulator.revoke_tokens();
    let stale = accounts.bearer(home.origin()).await.unwrap();
    assert!(accounts.renewed(home.origin(), &stale).await.is_err());
    accounts.step(&store).await;
    let waiting = accounts.0.parts.health.waiting();
    assert!(waiting[0].why.contains("accounts authorize --integration main"), "{waiting:?}");
}

#[tokio::test]
async fn a_pause_after_a_handlers_call_is_recorded_while_deliveries_wait() {
    let home = Home::new().await;
    let (store, accounts) = home.connected().await;
    let id = undelivered(&home, &store).await;
    let mut permit = accounts.0.parts.limiter.acquire(home.origin(), CallKind::Api, DAY).await.unwrap();
    permit.start().unwrap();
    let hint = Some(Duration::from_secs(300));
    permit.pause(Pause { cause: Cause::TooMany, hint, source: Source::Call }).unwrap();
    accounts.step(&store).await;
    let noted = accounts.0.parts.health.wait_of(home.origin()).unwrap();
    assert_eq!((noted.cause, noted.until), (Cause::TooMany, Some(START + Duration::from_secs(300))));
    assert!(!is_recorded(&accounts), "no operator action is required");
    store.jobs().cancel(id).await.unwrap();
    accounts.step(&store).await;
    assert_eq!(accounts.0.parts.health.wait_of(home.origin()), None);
    assert_eq!(left(&home, &accounts), Duration::from_secs(300), "the pause that Kommo asked for stays");
}

#[tokio::test]
async fn a_resumed_account_is_probed_and_its_refused_deliveries_are_due() {
    let home = Home::new().await;
    let (store, accounts) = home.connected().await;
    let id = undelivered(&home, &store).await;
    let job = store
        .jobs()
        .claim_deliveries(home.origin().into(), 1, LongestDue::default(), DAY)
        .await
        .unwrap()
        .remove(0);
    let delivery = Delivery { refused_at: Some(START), ..Delivery::default() };
    let next = AfterDelivery::Retry { due_at: START + DAY, delivery };
    store.jobs().sent(DeliveryReport { job, attempt: None, next, error: None }).await.unwrap();
    refused(&home, &accounts, Cause::PaymentRequired).await;

    let observer = home.store(Role::Observer).await;
    let command = home.accounts(&observer).await;
    assert!(command.ask_resume(home.origin(), operator()).await.unwrap());
    accounts.step(&store).await;
    assert_eq!(left(&home, &accounts), Duration::ZERO);
    let due_at = store.jobs().get(id).await.unwrap().unwrap().0.summary().due_at;
    assert_eq!(due_at, Some(START));
    assert!(is_recorded(&accounts), "until the probe is answered");

    // The delivery was removed from the queue: the next pause holds.
    let mut permit = accounts.0.parts.limiter.acquire(home.origin(), CallKind::Api, DAY).await.unwrap();
    permit.start().unwrap();
    permit.pause(Pause { cause: Cause::PaymentRequired, hint: None, source: Source::Job(id) }).unwrap();
    accounts.step(&store).await;
    assert!(left(&home, &accounts) > Duration::ZERO);
}

#[tokio::test]
async fn a_resumed_account_renews_its_tokens_before_the_pause_ends() {
    let home = Home::new().await;
    let (store, accounts) = home.connected().await;
    home.simulator.queue_oauth_faults([Fault::Status(503), Fault::Status(503)]);
    let stale = accounts.bearer(home.origin()).await.unwrap();
    assert!(accounts.renewed(home.origin(), &stale).await.is_err());
    assert!(accounts.renewed(home.origin(), &stale).await.is_err());
    assert_eq!(home.refreshes(), 1, "the second renewal waits");
    accounts.ask_resume(home.origin(), operator()).await.unwrap();
    accounts.step(&store).await;
    assert!(accounts.renewed(home.origin(), &stale).await.is_err());
    assert_eq!(home.refreshes(), 2);
}

#[tokio::test]
async fn a_job_cancelled_by_a_disconnection_says_why_and_what_to_do() {
    let home = Home::new().await;
    let (store, accounts) = home.connected().await;
    let id = undelivered(&home, &store).await;
    home.simulator.revoke_tokens();
    assert_eq!(accounts.revoke(super::keeping::hook(&home)).await, Ok(Revoked::Done(1)));
    let job = store.jobs().get(id).await.unwrap().unwrap().0.summary();
    assert_eq!(job.state, StateName::Cancelled);
    let error = job.last_error.unwrap();
    assert!(
        error.contains("disconnected the integration") && error.contains("accounts authorize"),
        "{error}"
    );
}
