//! Which accounts are known.

use super::*;

#[tokio::test]
async fn an_account_is_known_by_its_address_and_its_number() {
    let home = Home::new().await;
    let (store, accounts) = home.connected().await;
    let known = accounts.known();
    assert!(known(home.origin(), home.account_id()));
    assert!(!known(home.origin(), AccountId(9)), "a different account at its address");
    assert!(!known("https://never.kommo.com", AccountId(9)));
    home.simulator.revoke_tokens();
    let stale = accounts.bearer(home.origin()).await.unwrap();
    assert!(accounts.renewed(home.origin(), &stale).await.is_err());
    assert!(known(home.origin(), home.account_id()), "it waits for an authorization");
    drop((store, accounts));
    assert!(
        known("https://never.kommo.com", AccountId(9)),
        "the accounts are gone, so every account counts as known"
    );
    let store = home.store(Role::Observer).await;
    let (name, origin, token) = ("a".into(), "https://a.kommo.com".into(), "a-token".into());
    let accounts = home.accounts_with(&store, vec![LongLivedAccount { name, origin, token }]).await;
    assert!(accounts.known()("https://a.kommo.com", AccountId(9)), "a configured account has no number");
}
