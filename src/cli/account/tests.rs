//! Tests of how an account is found.

use super::*;
use model::{AccountId, AccountKey, AccountState, Timestamp};

pub(in crate::cli) fn connected(host: &str, number: i64, integration: &str) -> ListedAccount {
    ListedAccount {
        origin: Some(format!("https://{host}")),
        host: Some(host.into()),
        name: None,
        account_id: Some(AccountId(number)),
        integration: Some(integration.into()),
        state: AccountState::Active,
        reason: None,
        expires_at: Some(Timestamp::from_millis(90_000_000)),
        connected_at: Some(Timestamp::from_millis(0)),
        waiting: 0,
        waits_for: None,
        key: Some(AccountKey::new(AccountId(number), integration)),
    }
}

pub(in crate::cli) fn configured(name: &str, host: &str) -> ListedAccount {
    let one = connected(host, 1, "main");
    ListedAccount {
        name: Some(name.into()),
        account_id: None,
        integration: None,
        expires_at: None,
        key: None,
        ..one
    }
}

#[test]
fn an_account_is_found_by_host_subdomain_or_number_if_only_one_matches() {
    let listed = [
        configured("shop", "shop.kommo.com"),
        connected("a.kommo.com", 7, "main"),
        connected("a.amocrm.ru", 8, "main"),
        connected("b.kommo.com", 9, "main"),
        connected("b.kommo.com", 9, "other"),
        connected("127.0.0.1:8090", 10, "main"),
    ];
    for (wanted, integration, expected) in [
        ("a.kommo.com", None, Ok(1)),
        ("https://A.kommo.com/", None, Ok(1)),
        ("7", None, Ok(1)),
        ("8", None, Ok(2)),
        ("shop", None, Ok(0)),
        ("shop.kommo.com", None, Ok(0)),
        ("b", Some("other"), Ok(4)),
        ("a", None, Err(2)),
        ("9", None, Err(2)),
        ("c", None, Err(0)),
        ("7", Some("other"), Err(0)),
        ("127.0.0.1:8090", None, Ok(5)),
        ("127", None, Err(0)),
        ("", None, Err(0)),
    ] {
        let found = find(&listed, wanted, integration);
        let found = found.map(|found| listed.iter().position(|one| one == found).unwrap());
        match (found, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{wanted}"),
            (Err(Unclear::NotFound), Err(0)) => {}
            (Err(Unclear::Several(several)), Err(count)) => assert_eq!(several.len(), count, "{wanted}"),
            (found, _) => panic!("{wanted}: {found:?}"),
        }
    }
}

#[test]
fn the_only_account_needs_no_name() {
    let shop = configured("shop", "acme.kommo.com");
    let other = connected("other.kommo.com", 7, "main");
    let never_connected =
        ListedAccount { key: None, integration: None, ..connected("third.kommo.com", 8, "main") };
    let no_account = "no account is configured or connected: connect one with `accounts authorize`";
    for (listed, wanted, expected) in [
        (vec![shop.clone()], None, Ok("https://acme.kommo.com")),
        (vec![other.clone(), never_connected.clone()], None, Ok("https://other.kommo.com")),
        (vec![shop.clone(), other.clone()], Some("OTHER"), Ok("https://other.kommo.com")),
        (vec![shop.clone(), other.clone()], None, Err("add --account with one of: shop, other.kommo.com")),
        (
            vec![shop.clone(), other.clone()],
            Some("x"),
            Err("unknown account `x` (expected one of: shop, other.kommo.com)"),
        ),
        (vec![other.clone(), other.clone()], Some("7"), Err("`7` matches several accounts")),
        (vec![never_connected], None, Err(no_account)),
        (Vec::new(), Some("x"), Err(no_account)),
    ] {
        match (choose(&listed, wanted), expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            (found, _) => panic!("{wanted:?}: {found:?}"),
        }
    }
}
