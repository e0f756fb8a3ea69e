//! Only the address where an account is known can move it to another address.

use super::evil::Evil;
use super::*;
use store::NewConnection;

/// Returns a callback with one of our links, from another host.
fn from(home: &Home, accounts: &Accounts, host: String) -> Callback {
    Callback { referer: host, ..home.callback(accounts) }
}

#[tokio::test]
async fn no_host_can_take_an_active_account_by_naming_it() {
    let mut home = Home::new().await;
    let evil = Evil::claiming(home.account_id().0).await;
    home.allowed.push(evil.host());
    let (store, accounts) = home.connected().await;
    let elsewhere = |done: Result<Connection, ConnectError>| {
        let account_id = home.account_id();
        let host = host(home.origin()).to_owned();
        assert_eq!(done, Err(ConnectError::Elsewhere { account_id, host }));
    };
    elsewhere(accounts.connect(from(&home, &accounts, evil.host())).await);
    // Not even if a verified token named both: the address may belong to someone else by now.
    accounts.was_seen(home.client_uuid(), &evil.origin, home.account_id());
    elsewhere(accounts.connect(from(&home, &accounts, evil.host())).await);
    assert_eq!(home.continues_at(&accounts).await, home.origin());
    let record = store.accounts().all().await.unwrap().remove(0);
    assert_eq!((record.origin.as_deref(), record.previous_origin), (Some(home.origin()), None));
}

#[tokio::test]
async fn an_account_moves_if_its_known_address_reports_the_move() {
    let mut home = Home::new().await;
    let elsewhere = Simulator::start(options(&home.clock)).await.unwrap();
    home.allowed.push(host(elsewhere.base_url()).to_owned());
    let (_store, accounts) = home.connected().await;
    home.simulator.move_to(&elsewhere, MovedAnswer::NotFound);
    let state = home.callback(&accounts).state.unwrap();
    let connected = made(accounts.connect(read(&elsewhere.callback_url(&state).unwrap())).await);
    assert_eq!(&*connected.origin, elsewhere.base_url());
    assert_eq!(
        home.continues_at(&accounts).await,
        elsewhere.base_url(),
        "even for bots that use the old address"
    );
}

#[tokio::test]
async fn a_renewal_finds_a_moved_account_if_a_web_page_answers_at_its_old_address() {
    let mut home = Home::new().await;
    let elsewhere = Simulator::start(options(&home.clock)).await.unwrap();
    home.allowed.push(host(elsewhere.base_url()).to_owned());
    let (_store, accounts) = home.connected().await;
    home.simulator.move_to(&elsewhere, MovedAnswer::NotFound);
    home.simulator.queue_oauth_faults([Fault::HtmlNotFound]);
    home.clock.advance(DAY);
    assert_eq!(&*accounts.bearer(home.origin()).await.unwrap().origin, elsewhere.base_url());
}

#[tokio::test]
async fn an_account_without_a_token_moves_to_where_its_bots_are() {
    let mut home = Home::new().await;
    let elsewhere = Simulator::start(options(&home.clock)).await.unwrap();
    home.allowed.push(host(elsewhere.base_url()).to_owned());
    let (_store, accounts) = home.connected().await;
    let stale = accounts.bearer(home.origin()).await.unwrap();
    home.simulator.revoke_tokens();
    assert!(accounts.renewed(home.origin(), &stale).await.is_err());
    let link =
        |accounts: &Accounts| read(&elsewhere.callback_url(&home.callback(accounts).state.unwrap()).unwrap());
    let refused = accounts.connect(link(&accounts)).await.unwrap_err();
    assert!(refused.to_string().contains("accounts remove"), "{refused}");
    accounts.was_seen(home.client_uuid(), elsewhere.base_url(), home.account_id());
    assert_eq!(&*made(accounts.connect(link(&accounts)).await).origin, elsewhere.base_url());
}

#[tokio::test]
async fn a_confirmed_host_cannot_take_an_active_account_either() {
    let mut home = Home { install_without_link: true, ..Home::new().await };
    let evil = Evil::claiming(home.account_id().0).await;
    home.allowed.push(evil.host());
    let (_store, accounts) = home.connected().await;
    let referer = evil.host();
    let claim = Callback { code: "junk".into(), referer, client_id: None, state: None, from_widget: true };
    accounts.connect(claim).await.unwrap();
    let waiting = accounts.installations().await.unwrap().remove(0);
    let done = accounts.confirm(&waiting, |_| true, operator()).await;
    assert!(matches!(done, Err(ConnectError::Elsewhere { .. })), "{done:?}");
    assert_eq!(home.continues_at(&accounts).await, home.origin());
}

#[tokio::test]
async fn a_renewal_accepts_no_tokens_of_another_account() {
    let mut home = Home::new().await;
    let evil = Evil::claiming(2).await;
    home.allowed.push(evil.host());
    let (store, accounts) = home.connected().await;
    // Account 1 was connected there, and now account 2 has the address.
    let mine = store.accounts().all().await.unwrap().remove(0);
    let key = AccountKey { account_id: AccountId(1), ..mine.key.clone() };
    let now = home.clock.now();
    let tokens =
        seal::Tokens { access: "a".into(), refresh: "r".into(), obtained_at: now, expires_at: now + DAY };
    let sealed = accounts.0.sealer.as_ref().unwrap().seal(&key, &tokens).unwrap();
    let new = NewConnection {
        key,
        origin: evil.origin.as_str().into(),
        tokens: sealed.clone(),
        moves_from: None,
        state: None,
        by: None,
    };
    store.accounts().connect(new).await.unwrap();
    accounts.reload().await.unwrap();
    let stale = accounts.bearer((evil.origin.as_str(), AccountId(1))).await.unwrap();
    let refused = accounts.renewed((evil.origin.as_str(), AccountId(1)), &stale).await.unwrap_err();
    assert!(
        matches!(&refused, NoBearer::NotRenewed { why } if why.contains("tokens of another account (2)")),
        "{refused}"
    );
    let stored =
        store.accounts().all().await.unwrap().into_iter().find(|one| one.key.account_id == AccountId(1));
    assert_eq!(stored.unwrap().authorization, model::Authorization::Active(sealed));
}
