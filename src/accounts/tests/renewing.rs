//! Tokens are renewed once and stored before use. They are lost only if Kommo says that they are dead.

use futures_util::future::join_all;

use super::*;

#[tokio::test]
async fn many_callers_with_a_401_cause_one_renewal() {
    let home = Home::new().await;
    let (_store, accounts) = home.connected().await;
    let stale = accounts.bearer(home.origin()).await.unwrap();
    home.simulator.expire_access_tokens();
    let asked = (0..8).map(|_| accounts.renewed(home.origin(), &stale));
    let got: Vec<Bearer> = join_all(asked).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(home.refreshes(), 1);
    assert!(got.iter().all(|bearer| token(bearer) == token(&got[0]) && token(bearer) != token(&stale)));
    assert!(home.accepts(&accounts, &got[0]).await);
    // A late caller with the old token gets the same new one.
    assert_eq!(token(&accounts.renewed(home.origin(), &stale).await.unwrap()), token(&got[0]));
    assert_eq!(home.refreshes(), 1);
}

#[tokio::test]
async fn a_bearer_with_a_401_is_reused_only_if_there_is_no_other() {
    let home = Home::new().await;
    let (_store, accounts) = home.connected().await;
    let stale = accounts.bearer(home.origin()).await.unwrap();
    assert!(accounts.at_hand(home.origin()).is_some() && !accounts.is_refused(home.origin(), &stale));
    home.simulator.expire_access_tokens();
    home.simulator.queue_oauth_faults([Fault::Status(503)]);
    accounts.renewed(home.origin(), &stale).await.unwrap_err();
    // Kommo may have refused just one job.
    assert_eq!(token(&accounts.bearer(home.origin()).await.unwrap()), token(&stale));
    // The same job again, before the renewal may be retried.
    accounts.renewed(home.origin(), &stale).await.unwrap_err();
    assert_eq!(token(&accounts.bearer(home.origin()).await.unwrap()), token(&stale));
    home.clock.advance(Duration::from_secs(5));
    let renewed = accounts.renewed(home.origin(), &stale).await.unwrap();
    assert!(accounts.is_refused(home.origin(), &stale) && !accounts.is_refused(home.origin(), &renewed));
    assert!(accounts.at_hand(home.origin()).is_some());
    // During the renewal, the next caller waits for it.
    let key = accounts.list().await.unwrap()[0].key.clone().unwrap();
    accounts.refused().insert(key, renewed.generation);
    assert!(accounts.at_hand(home.origin()).is_none());
    assert_ne!(token(&accounts.bearer(home.origin()).await.unwrap()), token(&renewed));
}

#[tokio::test]
async fn an_expiring_token_is_renewed_before_it_is_sent() {
    let home = Home::new().await;
    let (_store, accounts) = home.connected().await;
    let first = accounts.bearer(home.origin()).await.unwrap();
    home.clock.advance(DAY - Duration::from_secs(31));
    assert!(accounts.at_hand(home.origin()).is_some());
    assert_eq!(token(&accounts.bearer(home.origin()).await.unwrap()), token(&first));
    home.clock.advance(Duration::from_secs(1));
    assert!(accounts.at_hand(home.origin()).is_none());
    let second = accounts.bearer(home.origin()).await.unwrap();
    assert_ne!(token(&second), token(&first));
    assert!(home.accepts(&accounts, &second).await);
}

#[tokio::test]
async fn after_a_lost_response_the_old_refresh_token_is_retried() {
    let home = Home::new().await;
    let (_store, accounts) = home.connected().await;
    let stale = accounts.bearer(home.origin()).await.unwrap();
    home.simulator.queue_oauth_faults([Fault::AnswerLost]);
    let lost = accounts.renewed(home.origin(), &stale).await.unwrap_err();
    assert!(matches!(&lost, NoBearer::NotRenewed { why } if why.contains("the response was lost")), "{lost}");
    // Not immediately, to spare Kommo.
    assert_eq!(accounts.renewed(home.origin(), &stale).await.unwrap_err(), lost);
    assert_eq!(home.refreshes(), 1);
    home.clock.advance(Duration::from_secs(5));
    let renewed = accounts.renewed(home.origin(), &stale).await.unwrap();
    assert!(home.accepts(&accounts, &renewed).await);
}

#[tokio::test]
async fn a_crash_before_the_new_pair_is_stored_loses_no_account() {
    let home = Home::new().await;
    let (store, accounts) = home.connected().await;
    let stale = accounts.bearer(home.origin()).await.unwrap();
    // Kommo has issued the new pair, and the process dies before the response arrives: its lease remains.
    let key = accounts.0.directory.read().unwrap().entries().next().unwrap().record.key.clone();
    store.accounts().lease_renewal(key, stale.generation, DAY).await.unwrap();
    home.simulator.queue_oauth_faults([Fault::AnswerLost]);
    let refresh = accounts.entry(home.origin()).unwrap().open().unwrap().0.tokens.refresh.clone();
    let app = renew::oauth_app(
        &accounts.0.parts.integrations[0],
        accounts.0.parts.integrations[0].redirect_uri.as_ref().unwrap(),
    );
    let origin = home.origin().parse().unwrap();
    let lost = accounts.0.parts.kommo.grant(&origin, app, kommo::Grant::Refresh(&refresh)).await;
    assert!(lost.is_err());
    drop(accounts);
    store.close().await;

    let store = home.store(Role::Owner).await;
    let accounts = home.accounts(&store).await;
    let stale = accounts.bearer(home.origin()).await.unwrap();
    let renewed = accounts.renewed(home.origin(), &stale).await.unwrap();
    assert!(home.accepts(&accounts, &renewed).await);
}

#[tokio::test]
async fn a_crash_between_renewal_and_use_loses_no_account() {
    let home = Home::new().await;
    let (store, accounts) = home.connected().await;
    let stale = accounts.bearer(home.origin()).await.unwrap();
    let renewed = accounts.renewed(home.origin(), &stale).await.unwrap();
    drop(accounts);
    store.close().await;

    let store = home.store(Role::Owner).await;
    let accounts = home.accounts(&store).await;
    let found = accounts.bearer(home.origin()).await.unwrap();
    assert_eq!((token(&found), found.generation), (token(&renewed), renewed.generation));
    assert!(home.accepts(&accounts, &found).await);
    assert_eq!(home.refreshes(), 1);
}

#[tokio::test]
async fn two_processes_with_a_stale_token_renew_once() {
    let home = Home::new().await;
    let (_store, serving) = home.connected().await;
    let observer = home.store(Role::Observer).await;
    let observing = home.accounts(&observer).await;
    let stale = serving.bearer(home.origin()).await.unwrap();
    let moving = {
        let clock = home.clock.clone();
        // A caller that waits for the other process polls regularly.
        tokio::spawn(async move {
            loop {
                clock.advance(Duration::from_millis(1));
                tokio::task::yield_now().await;
            }
        })
    };
    let (one, other) =
        tokio::join!(serving.renewed(home.origin(), &stale), observing.renewed(home.origin(), &stale));
    moving.abort();
    assert_eq!(token(&one.unwrap()), token(&other.unwrap()));
    assert_eq!(home.refreshes(), 1);
}

#[tokio::test]
async fn dead_tokens_need_an_operator_and_are_deleted() {
    let home = Home::new().await;
    let (store, accounts) = home.connected().await;
    let stale = accounts.bearer(home.origin()).await.unwrap();
    home.simulator.revoke_tokens();
    let dead = accounts.renewed(home.origin(), &stale).await.unwrap_err();
    assert!(
        dead.to_string().contains("Token has been revoked")
            && dead.to_string().contains("accounts authorize")
    );
    assert_eq!(accounts.bearer(home.origin()).await.unwrap_err(), dead);
    assert_eq!(accounts.0.parts.health.waiting()[0].account, host(home.origin()));
    let record = store.accounts().all().await.unwrap().remove(0);
    assert_eq!(record.authorization.state(), AccountState::NeedsAuthorization);

    accounts.connect(home.callback(&accounts)).await.unwrap();
    let bearer = accounts.bearer(home.origin()).await.unwrap();
    assert!(home.accepts(&accounts, &bearer).await && accounts.0.parts.health.waiting().is_empty());
}

#[tokio::test]
async fn a_mistyped_secret_does_not_delete_any_tokens() {
    let mut home = Home::new().await;
    let (store, accounts) = home.connected().await;
    drop(accounts);
    let right = std::mem::replace(&mut home.client_secret, "mistyped".into());
    let accounts = home.accounts(&store).await;
    let stale = accounts.bearer(home.origin()).await.unwrap();
    let refused = accounts.renewed(home.origin(), &stale).await.unwrap_err();
    assert!(matches!(&refused, NoBearer::NotRenewed { why } if why.contains("Client authentication failed")));
    assert!(!refused.to_string().contains("mistyped"));
    home.client_secret = right;
    let accounts = home.accounts(&store).await;
    assert!(accounts.renewed(home.origin(), &stale).await.is_ok());
}

#[tokio::test]
async fn a_moved_account_is_followed() {
    for answer in [MovedAnswer::Unauthorized, MovedAnswer::NotFound] {
        let mut home = Home::new().await;
        let elsewhere = Simulator::start(options(&home.clock)).await.unwrap();
        home.allowed.push(host(elsewhere.base_url()).to_owned());
        let (store, accounts) = home.connected().await;
        let stale = accounts.bearer(home.origin()).await.unwrap();
        home.simulator.move_to(&elsewhere, answer);
        let renewed = accounts.renewed(home.origin(), &stale).await.unwrap();
        assert_eq!(&*renewed.origin, elsewhere.base_url());
        assert!(home.accepts(&accounts, &renewed).await);
        assert_eq!(accounts.moved_to(home.origin()).as_deref(), Some(elsewhere.base_url()));
        // Even after a restart, and by either address.
        let accounts = home.accounts(&store).await;
        for origin in [home.origin(), elsewhere.base_url()] {
            assert_eq!(&*accounts.bearer(origin).await.unwrap().origin, elsewhere.base_url());
        }
    }
}

#[tokio::test]
async fn deliveries_at_the_old_address_are_rechecked_after_a_move() {
    let mut home = Home::new().await;
    let elsewhere = Simulator::start(options(&home.clock)).await.unwrap();
    home.allowed.push(host(elsewhere.base_url()).to_owned());
    let (_store, accounts) = home.connected().await;
    let stale = accounts.bearer(home.origin()).await.unwrap();
    home.simulator.move_to(&elsewhere, MovedAnswer::NotFound);
    let (asked, events) = (accounts.clone(), Arc::new(Mutex::new(Vec::new())));
    let heard = events.clone();
    // The sender is woken, and rechecks what waits for the account.
    accounts.0.parts.limiter.on_freed(move |account| {
        heard.lock().unwrap().push((account.to_owned(), asked.moved_to(account).is_some()));
    });
    accounts.renewed(home.origin(), &stale).await.unwrap();
    assert!(events.lock().unwrap().contains(&(home.origin().to_owned(), true)), "{events:?}");
}

#[tokio::test]
async fn a_move_to_a_host_that_is_not_allowed_is_not_followed() {
    let home = Home::new().await;
    let elsewhere = Simulator::start(options(&home.clock)).await.unwrap();
    let (_store, accounts) = home.connected().await;
    let stale = accounts.bearer(home.origin()).await.unwrap();
    home.simulator.move_to(&elsewhere, MovedAnswer::NotFound);
    let refused = accounts.renewed(home.origin(), &stale).await.unwrap_err();
    assert!(refused.to_string().contains("delivery.allowed_hosts"), "{refused}");
    assert!(elsewhere.oauth_calls().is_empty());
}
