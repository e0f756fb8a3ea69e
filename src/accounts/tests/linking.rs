//! A link allows one code, and a reloaded page shows the first result.

use super::*;

fn again(callback: &Callback) -> Callback {
    Callback {
        code: callback.code.clone(),
        referer: callback.referer.clone(),
        client_id: callback.client_id.clone(),
        state: callback.state.clone(),
        from_widget: false,
    }
}

#[tokio::test]
async fn a_reloaded_page_says_that_the_account_is_connected() {
    let home = Home::new().await;
    let store = home.store(Role::Owner).await;
    let accounts = home.accounts(&store).await;
    let callback = home.callback(&accounts);
    let first = made(accounts.connect(again(&callback)).await);
    for accounts in [accounts, home.accounts(&store).await] {
        let Ok(Connection::Repeated(repeated)) = accounts.connect(again(&callback)).await else {
            panic!("even after a restart")
        };
        assert_eq!((repeated.account_id, &repeated.origin), (first.account_id, &first.origin));
    }
    assert_eq!(home.simulator.oauth_calls().len(), 1, "Kommo is called once");
}

#[tokio::test]
async fn a_used_link_accepts_no_other_code() {
    let home = Home::new().await;
    let store = home.store(Role::Owner).await;
    let accounts = home.accounts(&store).await;
    let callback = home.callback(&accounts);
    let other = |accounts: &Accounts| Callback { code: home.callback(accounts).code, ..again(&callback) };
    accounts.connect(again(&callback)).await.unwrap();
    let used = Err(ConnectError::State(StateError::Used));
    assert_eq!(accounts.connect(other(&accounts)).await, used);
    let accounts = home.accounts(&store).await;
    assert_eq!(accounts.connect(other(&accounts)).await, used, "nor after a restart");
    assert_eq!(home.simulator.oauth_calls().len(), 1);
    // The account that it connected is gone, so the link only counts as used.
    let key = accounts.list().await.unwrap()[0].key.clone().unwrap();
    accounts.remove(&key, operator()).await.unwrap();
    assert_eq!(accounts.connect(again(&callback)).await, used);
}

#[tokio::test]
async fn a_link_that_connected_nothing_may_be_retried_with_its_code() {
    let home = Home::new().await;
    let store = home.store(Role::Owner).await;
    let accounts = home.accounts(&store).await;
    let callback = home.callback(&accounts);
    home.simulator.queue_oauth_faults([Fault::Status(503)]);
    assert!(matches!(accounts.connect(again(&callback)).await, Err(ConnectError::Unavailable(_))));
    made(accounts.connect(callback).await);
}

#[tokio::test]
async fn a_page_loaded_twice_at_once_exchanges_its_code_once() {
    let home = Home::new().await;
    let store = home.store(Role::Owner).await;
    let accounts = home.accounts(&store).await;
    let callback = home.callback(&accounts);
    let both = tokio::join!(accounts.connect(again(&callback)), accounts.connect(again(&callback)));
    let made = [&both.0, &both.1].iter().filter(|one| matches!(one, Ok(Connection::Made(_)))).count();
    let repeated = [&both.0, &both.1].iter().filter(|one| matches!(one, Ok(Connection::Repeated(_)))).count();
    assert_eq!((made, repeated, home.simulator.oauth_calls().len()), (1, 1, 1), "{both:?}");
    assert!(accounts.0.link_turns.lock().unwrap().len() <= 1);
}
