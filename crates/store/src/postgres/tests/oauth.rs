//! The OAuth data apart from the accounts: pairs, codes, used links, pending calls.

use super::conformance::oauth::{LIMITS, MINUTE, key};
use super::conformance::*;
use crate::{NewCode, NewConnection, SealedCode, StateUse};

async fn keep(home: &Home, store: &Store, origin: &str, filler: u8) {
    let received_at = home.clock.now();
    let code = NewCode {
        client_uuid: "client-1".into(),
        origin: format!("https://{origin}.kommo.com").into(),
        sealed: SealedCode { key_id: "0123456789abcdef".into(), code: vec![filler; 41] },
        received_at,
        expires_at: received_at + MINUTE * 20,
    };
    store.oauth().keep_code(code, LIMITS).await.unwrap();
}

/// Returns the first letters of the addresses of the stored codes, newest first.
async fn kept(store: &Store) -> String {
    let kept = store.oauth().kept_codes().await.unwrap();
    kept.iter().map(|code| code.origin.trim_start_matches("https://").chars().next().unwrap()).collect()
}

#[tokio::test]
async fn codes_are_limited_and_one_address_does_not_displace_others() {
    let home = Home::new();
    if home.is_without_server() {
        return;
    }
    let store = home.serve().await;
    for filler in 0..9 {
        keep(&home, &store, "a", filler).await;
    }
    keep(&home, &store, "b", 10).await;
    assert_eq!(kept(&store).await, "baaa");
    let ids: Vec<i64> = store.oauth().kept_codes().await.unwrap().iter().map(|code| code.id).collect();
    assert_eq!(
        store.oauth().take_code(ids[1]).await.unwrap().unwrap().code,
        vec![8; 41],
        "the newest codes stay"
    );
    assert!(store.oauth().take_code(ids[1]).await.unwrap().is_none(), "a code can be taken only once");
    for origin in ["a", "c", "d"] {
        keep(&home, &store, origin, 11).await;
    }
    assert_eq!(kept(&store).await, "dcaba", "the address with the most codes lost one");
    home.clock.advance(MINUTE * 20);
    assert_eq!(kept(&store).await, "");
    keep(&home, &store, "e", 12).await;
    assert_eq!(home.number("SELECT count(*) FROM oauth_codes").await, 1, "expired codes are deleted");
}

#[tokio::test]
async fn a_link_accepts_one_code_and_remembers_the_account() {
    let home = Home::new();
    if home.is_without_server() {
        return;
    }
    let store = home.serve().await;
    let until = home.clock.now() + MINUTE * 60;
    let used = async |store: &Store, code| store.oauth().use_state([1; 16], [code; 32], until).await.unwrap();
    assert_eq!(used(&store, 1).await, StateUse::Granted);
    assert_eq!(used(&store, 1).await, StateUse::Granted, "it has connected no account yet");
    assert_eq!(used(&store, 2).await, StateUse::OtherCode);
    let tokens = SealedTokens {
        key_id: "0123456789abcdef".into(),
        access: vec![1; 41],
        refresh: vec![1; 41],
        obtained_at: START,
        expires_at: START,
    };
    let new = NewConnection {
        key: key(7),
        origin: ORIGIN.into(),
        tokens,
        moves_from: None,
        state: Some([1; 16]),
        by: None,
    };
    store.accounts().connect(new).await.unwrap();
    store.close().await;
    let store = home.serve().await;
    assert_eq!(used(&store, 1).await, StateUse::Connected(AccountId(7)));
    assert_eq!(used(&store, 2).await, StateUse::OtherCode);
    // The row of the link stays for an hour after the link has expired, and is then deleted.
    home.clock.advance(MINUTE * 119);
    assert_eq!(used(&store, 2).await, StateUse::OtherCode);
    home.clock.advance(MINUTE * 2);
    store.oauth().use_state([2; 16], [1; 32], home.clock.now()).await.unwrap();
    assert_eq!(home.number("SELECT count(*) FROM oauth_states").await, 1);
}
