//! Tests of how an integration is chosen and how accounts are shown. `tests/process/` tests the whole commands.

use std::time::Duration;

use clap::Parser;

use super::*;
use crate::cli::account::tests::{configured, connected};
use model::{AccountState, AccountWait, Timestamp, WaitCause};

fn integration(name: &str, redirect_uri: Option<&str>) -> OAuthIntegration {
    OAuthIntegration {
        name: name.into(),
        client_uuid: format!("id-of-{name}"),
        client_secret: "secret".into(),
        previous_client_secret: None,
        redirect_uri: redirect_uri.map(|text| text.parse().unwrap()),
        install_without_link: false,
    }
}

#[test]
fn the_integration_is_the_named_one_or_the_only_usable_one() {
    let uri = Some("https://b.example/oauth/callback");
    let (with, without) = (integration("with", uri), integration("without", None));
    let two = [integration("one", uri), integration("two", uri)];
    let one_of_two = [with.clone(), without.clone()];
    for (all, name, expected) in [
        (&one_of_two[..], None, Ok("with")),
        (&one_of_two, Some("without"), Ok("without")),
        (&one_of_two, Some("third"), Err("unknown integration `third` (expected one of: with, without)")),
        (&two, None, Err("--integration is required: write one of: one, two")),
        (&two, Some("two"), Ok("two")),
        (&one_of_two[1..], None, Err("integrations.without.redirect_uri is missing")),
        (&[without.clone(), without.clone()], None, Err("integrations.NAME.redirect_uri is missing")),
    ] {
        match (choose(all, name), expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found.name, expected),
            (Err(error), Err(expected)) => assert!(error.contains(expected), "{error}"),
            (found, _) => panic!("{:?} for {name:?}", found.map(|found| &found.name)),
        }
    }
}

#[test]
fn the_list_says_when_all_accounts_wait() {
    for (answer, expected) in [
        (json!(null), None),
        (
            json!({ "why": "blocked", "until": "2026-01-01T00:00:00Z" }),
            Some("wait until 2026-01-01T00:00:00Z: blocked"),
        ),
        (json!({ "why": "a\u{1b}b", "until": null }), Some("wait for the response to the next delivery: a")),
    ] {
        let text = text::all_accounts_wait(&answer);
        assert_eq!(text.is_some(), expected.is_some(), "{answer}");
        assert!(
            text.is_none_or(|text| text.contains(expected.unwrap()) && !text.contains('\u{1b}')),
            "{answer}"
        );
    }
}

#[test]
fn a_site_is_a_url_without_path_and_credentials() {
    for (site, insecure, expected) in [
        ("https://www.kommo.com", false, true),
        ("https://www.amocrm.ru/", false, true),
        ("http://127.0.0.1:8090", true, true),
        ("http://127.0.0.1:8090", false, false),
        ("https://www.kommo.com/oauth", false, false),
        ("https://www.kommo.com/?a", false, false),
        ("https://a:b@www.kommo.com", false, false),
        ("ftp://www.kommo.com", true, false),
        ("mailto:a@b", true, false),
    ] {
        assert_eq!(check_site(&site.parse().unwrap(), insecure).is_ok(), expected, "{site}");
    }
}

#[test]
fn the_list_shows_the_state_of_each_account_and_what_to_do() {
    let base = connected("a.kommo.com", 7, "main");
    let with = |state, reason: &str| ListedAccount {
        state,
        reason: Some(reason.into()),
        expires_at: None,
        waiting: 3,
        ..base.clone()
    };
    let never = ListedAccount {
        key: None,
        integration: None,
        ..with(AccountState::NeedsAuthorization, "never connected")
    };
    let rows = [
        (
            configured("shop", "shop.kommo.com"),
            vec!["shop.kommo.com (accounts.shop)", "active", "long-lived"],
        ),
        (base.clone(), vec!["a.kommo.com", "7", "main", "active", "in 23 h"]),
        (
            with(AccountState::NeedsAuthorization, "Kommo\u{1b}[2J said so"),
            vec!["needs_authorization", "3", "said so: run `accounts authorize --integration main`"],
        ),
        (
            with(AccountState::Revoked, "disconnected"),
            vec![
                "revoked",
                "disconnected, so its requests are refused",
                "to connect it again, run `accounts authorize --integration main`",
            ],
        ),
        (never, vec!["never connected: run `accounts authorize`, or add accounts.NAME"]),
    ];
    let now = Timestamp::from_millis(0) + Duration::from_secs(2 * 3600);
    for (one, words) in rows {
        let text = text::list(&[one], now, Screen::FILE);
        for word in words {
            assert!(text.contains(word), "{word} in\n{text}");
        }
        assert!(!text.contains('\u{1b}'), "{text}");
    }
    assert!(text::list(&[], now, Screen::FILE).contains("accounts authorize"));
}

#[test]
fn waiting_accounts_are_coloured_only_on_a_screen_with_colours() {
    let colours = Screen { width: Some(120), colours: true };
    let well = connected("a.kommo.com", 7, "main");
    let waits = AccountWait {
        cause: WaitCause::PaymentRequired,
        why: "Kommo answered 402".into(),
        advice: "pay".into(),
        since: Timestamp::default(),
        until: None,
    };
    for (one, parts) in [
        (well.clone(), ["\u{1b}[32mactive", "        0"]),
        (
            ListedAccount { waiting: 2, waits_for: Some(waits), ..well.clone() },
            ["\u{1b}[33mpaused", "\u{1b}[33m2\u{1b}"],
        ),
        (
            ListedAccount { state: AccountState::NeedsAuthorization, waiting: 1, ..well },
            ["\u{1b}[31mneeds_authorization", "\u{1b}[33m1\u{1b}"],
        ),
    ] {
        let text = text::list(std::slice::from_ref(&one), Timestamp::default(), colours);
        assert!(parts.iter().all(|part| text.contains(part)), "{parts:?} in {text:?}");
        assert!(!text::list(&[one], Timestamp::default(), Screen::FILE).contains('\u{1b}'));
    }
}

#[test]
fn a_removal_says_what_remains() {
    let one = connected("a.kommo.com", 7, "main");
    let text = text::removed(&ListedAccount { waiting: 2, state: AccountState::Revoked, ..one.clone() });
    for word in
        ["a.kommo.com (7) is removed", "2 deliveries wait", "accepts its requests again", "Kommo still lists"]
    {
        assert!(text.contains(word), "{word} in\n{text}");
    }
    let text = text::removed(&one);
    assert!(!text.contains("wait") && !text.contains("accepts its requests"), "{text}");
}

#[test]
fn wrong_usage_is_refused() {
    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        _args: Args,
    }
    for (arguments, is_good) in [
        (&["list"][..], true),
        (&["authorize"], true),
        (&["authorize", "--integration", "main", "--site", "https://www.amocrm.ru"], true),
        (&["authorize", "--site", "www.amocrm.ru"], false),
        (&["remove", "7"], true),
        (&["remove"], false),
        (&[], false),
    ] {
        let parsed = Cli::try_parse_from([&["accounts"], arguments].concat());
        assert_eq!(parsed.is_ok(), is_good, "{arguments:?}");
    }
}
