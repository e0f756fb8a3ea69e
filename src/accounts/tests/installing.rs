//! Installations without a link: who gets the secret, which account is connected, and what strangers can do with such
//! calls.

use super::evil::Evil;
use super::*;

/// A call that anyone can send.
fn claim(code: &str, referer: &str) -> Callback {
    let (code, referer) = (code.into(), referer.to_owned());
    Callback { code, referer, client_id: None, state: None, from_widget: true }
}

fn kept(connection: Result<Connection, ConnectError>) -> Kept {
    match connection.unwrap() {
        Connection::Kept(kept) => kept,
        other => panic!("{other:?}"),
    }
}

impl Home {
    /// Creates a home whose integration allows installations without a link.
    async fn installable() -> Self {
        Self { install_without_link: true, ..Self::new().await }
    }

    /// Records that a bot of the home account has sent a request before.
    fn becomes_known(&self, accounts: &Accounts) {
        accounts.was_seen(self.client_uuid(), self.origin(), self.account_id());
    }

    fn installation(&self) -> Callback {
        read(&self.simulator.install_callback_url().unwrap())
    }
}

#[tokio::test]
async fn an_anonymous_call_yields_a_host_neither_the_secret_nor_an_account() {
    for install_without_link in [false, true] {
        let mut home = Home { install_without_link, ..Home::new().await };
        let evil = Evil::claiming(home.account_id().0).await;
        home.allowed.push(evil.host());
        let (store, accounts) = home.connected().await;
        let done = accounts.connect(claim("junk", &evil.host())).await;
        if install_without_link {
            assert!(kept(done).needs_confirmation);
        } else {
            assert_eq!(done, Err(ConnectError::LinkNeeded("main".into())));
        }
        accounts.step(&store).await;
        assert_eq!(evil.asked(), 0, "the secret was sent");
        assert_eq!(home.continues_at(&accounts).await, home.origin());
        assert_eq!(store.oauth().kept_codes().await.unwrap().len(), usize::from(install_without_link));
    }
}

#[tokio::test]
async fn a_host_of_another_account_cannot_take_an_account() {
    let mut home = Home::installable().await;
    let evil = Evil::claiming(home.account_id().0).await;
    home.allowed.push(evil.host());
    let (store, accounts) = home.connected().await;
    accounts.was_seen(home.client_uuid(), &evil.origin, AccountId(333));
    let done = accounts.connect(claim("junk", &evil.host())).await;
    assert_eq!(done, Err(ConnectError::OtherAccount(home.account_id())));
    assert_eq!(home.continues_at(&accounts).await, home.origin());
    assert_eq!(store.accounts().all().await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_address_that_an_account_has_left_gets_no_secret() {
    let mut home = Home::installable().await;
    let elsewhere = Simulator::start(options(&home.clock)).await.unwrap();
    home.allowed.push(host(elsewhere.base_url()).to_owned());
    let (_store, accounts) = home.connected().await;
    home.becomes_known(&accounts);
    let stale = accounts.bearer(home.origin()).await.unwrap();
    home.simulator.move_to(&elsewhere, MovedAnswer::NotFound);
    accounts.renewed(home.origin(), &stale).await.unwrap();
    let asked = home.simulator.oauth_calls().len();
    assert!(kept(accounts.connect(claim("junk", host(home.origin()))).await).needs_confirmation);
    assert_eq!(home.simulator.oauth_calls().len(), asked);
    assert_eq!(home.continues_at(&accounts).await, elsewhere.base_url());
}

#[tokio::test]
async fn a_pair_of_another_integration_proves_nothing() {
    let home = Home::installable().await;
    let store = home.store(Role::Owner).await;
    let accounts = home.accounts(&store).await;
    accounts.was_seen("another", home.origin(), home.account_id());
    assert!(kept(accounts.connect(home.installation()).await).needs_confirmation);
    assert!(home.simulator.oauth_calls().is_empty());
}

#[tokio::test]
async fn an_installation_at_a_known_address_connects_even_after_a_restart() {
    let home = Home::installable().await;
    let store = home.store(Role::Owner).await;
    let accounts = home.accounts(&store).await;
    home.becomes_known(&accounts);
    accounts.step(&store).await;
    let accounts = home.accounts(&store).await;
    let connected = made(accounts.connect(home.installation()).await);
    assert_eq!(connected.account_id, home.account_id());
    assert!(accounts.bearer(home.origin()).await.is_ok());
}

#[tokio::test]
async fn a_stored_installation_is_exchanged_once_its_address_is_known() {
    let home = Home::installable().await;
    let store = home.store(Role::Owner).await;
    let accounts = home.accounts(&store).await;
    kept(accounts.connect(home.installation()).await);
    accounts.step(&store).await;
    assert!(home.simulator.oauth_calls().is_empty());
    home.becomes_known(&accounts);
    accounts.step(&store).await;
    assert!(accounts.bearer(home.origin()).await.is_ok());
    assert!(store.oauth().kept_codes().await.unwrap().is_empty());
}

#[tokio::test]
async fn an_operator_confirms_an_installation_while_the_bridge_runs() {
    let home = Home::installable().await;
    let store = home.store(Role::Owner).await;
    let accounts = home.accounts(&store).await;
    let until = kept(accounts.connect(home.installation()).await).until;
    // Someone else calls with the same address, before and after.
    kept(accounts.connect(claim("junk", host(home.origin()))).await);
    let observer = home.store(Role::Observer).await;
    let command = home.accounts(&observer).await;
    let waiting = command.installations().await.unwrap();
    assert_eq!(waiting.len(), 1);
    assert_eq!((&*waiting[0].host, &*waiting[0].integration), (host(home.origin()), "main"));
    assert_eq!((waiting[0].codes, waiting[0].expires_at), (2, until));
    let mut asked = Vec::new();
    let accept = |account_id| {
        asked.push(account_id);
        true
    };
    let connected = command.confirm(&waiting[0], accept, operator()).await.unwrap();
    assert_eq!(connected.account_id, home.account_id());
    let log = store.actions(&store::ActionFilter::default(), None, 9).await.unwrap().actions;
    assert_eq!((&*log[0].what, log[0].target.as_deref()), ("accounts confirm", Some(host(home.origin()))));
    assert_eq!((log.len(), log[0].by.clone()), (1, operator()));
    assert_eq!(asked, [home.account_id()]);
    accounts.step(&store).await;
    assert!(accounts.bearer(home.origin()).await.is_ok(), "the bridge notices it");
}

#[tokio::test]
async fn a_declined_or_late_installation_is_not_connected() {
    let home = Home::installable().await;
    let store = home.store(Role::Owner).await;
    let accounts = home.accounts(&store).await;
    kept(accounts.connect(home.installation()).await);
    let waiting = accounts.installations().await.unwrap().remove(0);
    assert_eq!(
        accounts.confirm(&waiting, |_| false, operator()).await,
        Err(ConnectError::Declined(home.account_id()))
    );
    assert!(store.accounts().all().await.unwrap().is_empty());
    kept(accounts.connect(home.installation()).await);
    home.clock.advance(Duration::from_secs(20 * 60));
    assert!(accounts.installations().await.unwrap().is_empty());
    assert!(matches!(accounts.confirm(&waiting, |_| true, operator()).await, Err(ConnectError::Code(_))));
    assert_eq!(home.simulator.oauth_calls().len(), 1);
}

#[tokio::test]
async fn a_code_whose_exchange_failed_is_stored_for_a_retry() {
    let home = Home::installable().await;
    let store = home.store(Role::Owner).await;
    let accounts = home.accounts(&store).await;
    kept(accounts.connect(home.installation()).await);
    let waiting = accounts.installations().await.unwrap().remove(0);
    home.simulator.queue_oauth_faults([Fault::Status(503)]);
    assert!(matches!(
        accounts.confirm(&waiting, |_| true, operator()).await,
        Err(ConnectError::Unavailable(_))
    ));
    assert!(accounts.confirm(&waiting, |_| true, operator()).await.is_ok());
}

#[tokio::test]
async fn a_genuine_installation_gets_through_a_flood_of_junk_for_its_address() {
    let home = Home::installable().await;
    let store = home.store(Role::Owner).await;
    let accounts = home.accounts(&store).await;
    home.becomes_known(&accounts);
    for number in 0..100 {
        let _junk = accounts.connect(claim(&format!("junk-{number}"), host(home.origin()))).await;
    }
    let asked = home.simulator.oauth_calls().len();
    assert!(asked < 20, "Kommo was asked {asked} times");
    assert!(!kept(accounts.connect(home.installation()).await).needs_confirmation);
    home.clock.advance(Duration::from_secs(60));
    accounts.step(&store).await;
    assert!(accounts.bearer(home.origin()).await.is_ok(), "the newest code is exchanged first");
    // None of this limits a link.
    assert_eq!(made(accounts.connect(home.callback(&accounts)).await).account_id, home.account_id());
}

#[tokio::test]
async fn kommos_response_to_a_strangers_code_pauses_no_continue() {
    for fault in
        [Fault::TooManyRequests { header: Some(600), body: None }, Fault::HtmlForbidden, Fault::Status(503)]
    {
        let home = Home::installable().await;
        let (store, accounts) = home.connected().await;
        home.becomes_known(&accounts);
        home.simulator.queue_oauth_faults([fault.clone()]);
        let _refused = accounts.connect(claim("junk", host(home.origin()))).await;
        assert_eq!(home.simulator.oauth_calls().len(), 2, "{fault:?}");
        assert_eq!(accounts.0.parts.limiter.wait(home.origin()), Some(Duration::ZERO), "{fault:?}");
        // Only strangers' codes wait for as long as Kommo asks.
        let _kept = accounts.connect(claim("more", host(home.origin()))).await;
        accounts.step(&store).await;
        assert_eq!(home.simulator.oauth_calls().len(), 2, "{fault:?}");
    }
}
