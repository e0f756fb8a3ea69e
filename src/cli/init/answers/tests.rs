//! Tests of the form of each answer.

use secrecy::ExposeSecret;

use super::*;

#[test]
fn an_answer_is_accepted_as_the_configuration_would_accept_it() {
    let shown = |url: Result<Url, String>| url.map(|url| written(&url));
    for (text, expected) in [
        ("https://bots.example.com", "https://bots.example.com"),
        (" bots.example.com/ ", "https://bots.example.com"),
        ("https://example.com/bots/", "https://example.com/bots"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
    ] {
        assert_eq!(shown(public_url(text)).as_deref(), Ok(expected), "{text}");
    }
    for (text, expected) in [
        ("https://shop.kommo.com", "https://shop.kommo.com"),
        ("shop.kommo.com", "https://shop.kommo.com"),
        ("https://shop.kommo.com/leads/pipeline/1?a=b", "https://shop.kommo.com"),
        ("http://127.0.0.1:8090", "http://127.0.0.1:8090"),
    ] {
        assert_eq!(shown(account_url(text)).as_deref(), Ok(expected), "{text}");
    }
    assert_eq!(shown(handler_url("http://127.0.0.1:8000/")).as_deref(), Ok("http://127.0.0.1:8000"));
    assert_eq!(client_uuid(SOME_ID).as_deref(), Ok(SOME_ID));
    assert_eq!(client_secret(" 5c1a8e\n").unwrap().expose_secret(), "5c1a8e");
    assert_eq!(access_token("5c1a8e\n").unwrap().expose_secret(), "5c1a8e");
}

#[test]
fn a_refused_answer_says_what_is_allowed_and_repeats_no_secret() {
    let no = |wrong: Result<(), String>| wrong.unwrap_err();
    for (why, part) in [
        (no(public_url("http://bots.example.com").map(drop)), "must begin with https://"),
        (no(public_url("https://a:b@bots.example.com").map(drop)), "without a user name"),
        (no(public_url("two words").map(drop)), "must be a URL"),
        (no(public_url("").map(drop)), "must be a URL"),
        (no(handler("a b").map(drop)), ""),
        (no(handler_url("http://93.184.215.14/").map(drop)), "http is only for loopback and private"),
        (no(handler_url("bots").map(drop)), "must be a URL"),
        (no(client_uuid("main").map(drop)), "must be the integration's id, a UUID"),
        (no(client_secret("Bearer 5c1a8e").map(drop)), "remove that"),
        (no(client_secret("").map(drop)), "must not be empty"),
        (no(account_url("https://evil.example").map(drop)), "must not receive a bearer token"),
        (no(account_url("http://shop.kommo.com").map(drop)), "must not receive a bearer token"),
        (no(access_token("\"5c1a8e\"").map(drop)), "remove the quotes"),
    ] {
        assert!(why.contains(part) && !why.contains("5c1a8e"), "{part}: {why}");
    }
}

#[test]
fn an_account_is_named_after_its_host() {
    for (url, name, authority) in [
        ("https://shop.kommo.com", "shop", "shop.kommo.com"),
        ("http://127.0.0.1:8090", "simulator", "127.0.0.1:8090"),
        ("http://localhost:8090", "simulator", "localhost:8090"),
    ] {
        let account = Account::new(url.parse().unwrap(), SecretString::from("t"));
        assert_eq!((account.name.as_str(), account.authority().as_str()), (name, authority));
    }
}
