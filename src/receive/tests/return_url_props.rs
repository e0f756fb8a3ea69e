//! Every accepted `return_url` is a bot's continue on an allowed host of the token's account.

use proptest::prelude::*;

use crate::receive::fuzzing;

fn piece() -> impl Strategy<Value = String> {
    let known = [
        "https://",
        "http://",
        "HTTPS:",
        "//",
        "/",
        "\\",
        "@",
        ":",
        ":443",
        ":8443",
        "#",
        "?",
        "%2f",
        "%2e",
        "..",
        ".",
        " ",
        "\t",
        "a",
        "a.kommo.com",
        "A.KOMMO.com",
        ".kommo.com",
        "kommo.com",
        "evil.com",
        "user:secret",
        "127.0.0.1",
        "[::1]",
        "2130706433",
        "b.amocrm.ru",
        "xn--e1a",
        "ф",
        "。",
        "/api/v4/salesbot/1/continue/2",
        "/api",
        "/v4",
        "/salesbot",
        "/marketingbot",
        "/12",
        "/continue",
        "/x_-9",
        "\u{0}",
        "%00",
    ];
    prop_oneof![8 => prop::sample::select(known.to_vec()).prop_map(str::to_owned), 1 => "\\PC{1,3}"]
}

fn host() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z0-9_.-]{1,12}\\.(kommo\\.com|amocrm\\.(ru|com))",
        "[a-z0-9.]{1,8}(kommo\\.com|amocrm\\.ru)[a-z.:@/0-9]{0,8}",
        prop::collection::vec(piece(), 1..5).prop_map(|pieces| pieces.concat()),
    ]
}

proptest! {
    #[test]
    fn urls_of_random_pieces_reach_only_continues_of_the_account(pieces in prop::collection::vec(piece(), 1..9), iss in host()) {
        let text = pieces.concat();
        fuzzing::return_url(text.as_bytes());
        fuzzing::return_url(format!("{text}\nhttps://{iss}").as_bytes());
    }

    #[test]
    fn any_accepted_host_is_called_as_it_was_checked(host in host(), other in host(), bot in any::<u32>(), wait in "[a-zA-Z0-9_-]{0,130}") {
        let url = format!("https://{host}/api/v4/salesbot/{bot}/continue/{wait}");
        fuzzing::return_url(url.as_bytes());
        fuzzing::return_url(format!("{url}\nhttps://{other}").as_bytes());
    }

    #[test]
    fn kommos_return_urls_are_accepted(name in "[a-z0-9]{1,20}", top in "(kommo\\.com|amocrm\\.ru|amocrm\\.com)", marketing: bool, bot in 0..i64::MAX, wait in "[a-zA-Z0-9_-]{1,128}") {
        let kind = if marketing { "marketingbot" } else { "salesbot" };
        let origin = format!("https://{name}.{top}");
        let url = format!("{origin}/api/v4/{kind}/{bot}/continue/{wait}");
        let accepted = |iss: &str| fuzzing::return_url(format!("{url}\n{iss}").as_bytes());
        prop_assert!(accepted(&origin));
        for other in [format!("https://not-{name}.{top}"), format!("http://{name}.{top}")] {
            prop_assert!(!accepted(&other), "{}", other);
        }
    }
}
