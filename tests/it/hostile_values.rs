//! Requests that are valid HTTP with values that the real Kommo never sends: duplicate keys, huge numbers, endless
//! nesting. A duplicate claim or key must never make the bridge check one value and use the other.

use base64::prelude::*;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha512;
use simulator::{Bot, Plan, Simulator};

use crate::bridge::TestBridge;
use crate::played::{account, bot, continued, kommo};
use crate::setup::Setup;

/// A token with exactly this header and these claims, signed like Kommo's.
fn signed(kommo: &Simulator, header: &str, claims: &str) -> String {
    let text = [header, claims].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part)).join(".");
    let mut mac = Hmac::<Sha512>::new_from_slice(kommo.options().client_secret.as_bytes()).unwrap();
    mac.update(text.as_bytes());
    format!("{text}.{}", BASE64_URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

const HEADER: &str = r#"{"alg":"HS512"}"#;

/// A token for `bot` whose valid claims go through `change`, as JSON text without the last brace.
fn token(kommo: &Simulator, bot: &Bot, change: impl Fn(&str) -> String) -> String {
    let good = bot.request("http://bridge").token;
    let claims = BASE64_URL_SAFE_NO_PAD.decode(good.split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    signed(kommo, HEADER, &change(claims.to_string().strip_suffix('}').unwrap()))
}

async fn status(bridge: &TestBridge, body: String) -> u16 {
    let answer = bridge.post("echo", "application/x-www-form-urlencoded", body).await;
    answer.status().as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_extreme_number_in_a_claim_is_accepted_or_refused_with_401() {
    let kommo = kommo().await;
    let bridge = Setup::with(&[&kommo]).start().await;
    let digits = format!("1{}", "0".repeat(400));
    // A claim, its text, and whether the token is valid.
    for (claim, text, good) in [
        ("account_id", "9223372036854775808", false),
        ("account_id", "-9223372036854775808", false),
        ("account_id", "1e999", false),
        ("account_id", "1e3", false),
        ("account_id", "0", false),
        ("account_id", &digits, false),
        ("account_id", "\"9223372036854775808\"", false),
        ("exp", "1e999", false),
        ("exp", "1e308", false),
        ("exp", "-1e308", false),
        ("exp", "9223372036854775807", false),
        ("exp", "253402300800", false),
        ("exp", "253402300799", true),
        ("exp", "\"inf\"", false),
        ("exp", "\"NaN\"", false),
        ("exp", &digits, false),
        ("exp", "[1]", false),
        ("nbf", "-9223372036854775808", false),
        ("nbf", "1e999", false),
        ("nbf", "0", true),
        ("iat", "1e999", true),
        ("iat", "-1e308", true),
        ("iat", "\"soon\"", true),
        ("entity_id", "9223372036854775807", true),
        ("entity_id", "9223372036854775808", true),
        ("entity_id", "-1", true),
        ("entity_id", "1e300", true),
        ("entity_id", &digits, false),
        ("entity_type", "99999999999999999999", true),
        ("jti", "1e300", true),
    ] {
        let bot = bot(&kommo);
        let token = token(&kommo, &bot, |claims| {
            let whole: Value = serde_json::from_str(&format!("{claims}}}")).unwrap();
            let mut rest = whole.as_object().unwrap().clone();
            rest.remove(claim);
            let rest = Value::Object(rest).to_string();
            format!("{},\"{claim}\":{text}}}", rest.strip_suffix('}').unwrap())
        });
        let got = status(&bridge, format!("token={token}&return_url={}", bot.return_url())).await;
        assert_eq!(got, if good { 200 } else { 401 }, "{claim}: {text}");
        if good {
            continued(&bot).await;
        }
    }
    bridge.settled().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_duplicate_claim_is_refused() {
    let kommo = kommo().await;
    let bridge = Setup::with(&[&kommo]).start().await;
    for (twice, value) in [
        ("iss", json!(kommo.base_url())),
        ("account_id", json!(kommo.options().account_id)),
        ("exp", json!(4_000_000_000_u64)),
        ("jti", json!("another")),
        ("client_uuid", json!(kommo.options().client_uuid)),
        ("\\u0069ss", json!(kommo.base_url())),
    ] {
        let bot = bot(&kommo);
        let token = token(&kommo, &bot, |claims| format!("{claims},\"{twice}\":{value}}}"));
        let got = status(&bridge, format!("token={token}&return_url={}", bot.return_url())).await;
        assert_eq!(got, 401, "{twice}");
    }
    let nested = format!("{{\"alg\":\"HS512\",\"x\":{}}}", "[".repeat(2_000));
    for header in
        [r#"{"alg":"none","alg":"HS512"}"#, r#"{"alg":"HS512","alg":"HS512"}"#, &nested, "[", "\u{0}"]
    {
        let token = signed(&kommo, header, "{}");
        assert_eq!(status(&bridge, format!("token={token}&return_url=x")).await, 401, "{header}");
    }
    assert!(bridge.jobs().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_checked_value_of_a_duplicate_key_is_the_one_that_is_used() {
    let (kommo, other) = (kommo().await, account(2).await);
    let bridge = Setup::with(&[&kommo, &other]).start().await;
    let (mine, theirs) = (bot(&kommo), bot(&other));
    let [good, foreign] = [&mine, &theirs].map(|bot| bot.request(&bridge.url("echo")).token);
    let [here, there] = [&mine, &theirs].map(Bot::return_url);
    let evil = "https://evil.example/api/v4/salesbot/1/continue/2";
    for (what, form, json, expected) in [
        (
            "a bad token last",
            format!("token={good}&return_url={here}&token=x.y.z"),
            format!(r#"{{"token":"{good}","return_url":"{here}","token":"x.y.z"}}"#),
            401,
        ),
        (
            "another account's token last",
            format!("token={good}&return_url={here}&token={foreign}"),
            format!(r#"{{"token":"{good}","return_url":"{here}","t\u006fken":"{foreign}"}}"#),
            422,
        ),
        (
            "another account's return_url last",
            format!("token={good}&return_url={here}&return%5Furl={there}"),
            format!(r#"{{"token":"{good}","return_url":"{here}","return_url":"{there}"}}"#),
            422,
        ),
        (
            "a stranger's return_url last",
            format!("token={good}&return_url={here}&return_url={evil}"),
            format!(r#"{{"token":"{good}","return_url":"{here}","return_url":"{evil}"}}"#),
            422,
        ),
        (
            "a list of tokens",
            format!("token={good}&token[]={good}&return_url={here}"),
            format!(r#"{{"token":["{good}"],"return_url":"{here}"}}"#),
            400,
        ),
        (
            "a list of return_urls",
            format!("token={good}&return_url={here}&return_url[0]={evil}"),
            format!(r#"{{"token":"{good}","return_url":["{here}"]}}"#),
            400,
        ),
    ] {
        assert_eq!(status(&bridge, form).await, expected, "{what}, as a form");
        assert_eq!(status(&bridge, json).await, expected, "{what}, as JSON");
    }
    assert!(bridge.jobs().await.is_empty());
    // The last value of each key counts.
    let form = format!("token=x&return_url={evil}&data=x&token={good}&return_url={here}&data[a]=1&data[a]=2");
    assert_eq!(status(&bridge, form).await, 200);
    let got = continued(&mine).await;
    assert_eq!(got.data["a"], "2", "{:?}", got.data);
    assert!(theirs.continues().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_and_nesting_in_data_come_back_unchanged_or_are_refused() {
    let kommo = kommo().await;
    let bridge = Setup::with(&[&kommo]).start().await;
    let body = |bot: &Bot, data: &str| {
        let request = bot.request(&bridge.url("echo"));
        format!(r#"{{"token":"{}","return_url":"{}","data":{data}}}"#, request.token, request.return_url)
    };
    let kept = r#"{"a":9223372036854775807,"b":-9223372036854775808,"c":18446744073709551615,"d":1e300}"#;
    let asked = kommo.bot(Plan::default());
    assert_eq!(status(&bridge, body(&asked, kept)).await, 200);
    let expected: Value = serde_json::from_str(kept).unwrap();
    let got = continued(&asked).await.data;
    for key in ["a", "b", "c", "d"] {
        assert_eq!(got[key], expected[key], "{got}");
    }
    // A number that fits into no machine type comes back digit by digit, as a string.
    let digits = "9".repeat(400);
    for number in ["1e999", "-1e999", "18446744073709551616", "0.1234567890123456789", &digits] {
        let asked = bot(&kommo);
        assert_eq!(status(&bridge, body(&asked, &format!(r#"{{"a":{number}}}"#))).await, 200, "{number:.40}");
        assert_eq!(continued(&asked).await.data["a"], number);
    }
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let objects = format!("{}1{}", r#"{"a":"#.repeat(20_000), "}".repeat(20_000));
    for data in ["NaN", "Infinity", "0x10", "01", "1.", "\"\u{0}\"", &deep, &objects] {
        assert_eq!(status(&bridge, body(&bot(&kommo), data)).await, 400, "{}", &data[..data.len().min(40)]);
    }
    // Also unbalanced, and as forms.
    for text in ["[", "{\"data\":", "[{\"a\":"] {
        assert_eq!(status(&bridge, text.repeat(30_000)).await, 400, "{text}");
    }
    let path = "[a]".repeat(30_000);
    assert_eq!(status(&bridge, format!("token=t&return_url=u&data{path}=1")).await, 400);
    assert_eq!(status(&bridge, "&".repeat(200_000)).await, 400);
    assert_eq!(status(&bridge, "%".repeat(200_000)).await, 400);
    bridge.settled().await;
}
