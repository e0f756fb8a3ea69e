//! Every accepted token is unmodified and was signed with a known secret by one of two algorithms.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

use super::*;
use crate::receive::fuzzing;
use crate::receive::token::{MAX_TOKEN_BYTES, TokenError, Unverified, Verified};

fn verify(token: &str) -> Result<Verified, TokenError> {
    Unverified::parse(token)?.verify(&signers(), None, NOW).map_err(|invalid| invalid.error)
}

/// Returns the token with the bytes between two places replaced by `text`.
fn mutated(token: &str, from: Index, to: Index, text: &str) -> String {
    let (from, to) = (from.index(token.len() + 1), to.index(token.len() + 1));
    let (from, to) = (from.min(to), from.max(to));
    format!("{}{text}{}", &token[..from], &token[to..])
}

fn any_json() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        Just(json!("HS512")),
        Just(json!(["HS512"])),
        Just(json!({})),
    ]
}

proptest! {
    #[test]
    fn only_known_secrets_make_valid_tokens(secret in "(new|old|other|unknown|[a-z]{1,9})", number in any::<u32>()) {
        let claims = claims(json!({ "client_uuid": if secret == "other" { "other-id" } else { "aa-bb" }, "entity_id": number }));
        let known = ["new", "old", "other"].contains(&secret.as_str());
        let refused = |error: &TokenError| *error == TokenError::Signature;
        match verify(&hs512(&claims, &secret)) {
            Ok(verified) => prop_assert!(known, "{:?}", verified),
            Err(error) => prop_assert!(!known && refused(&error), "{}", error),
        }
    }

    #[test]
    fn no_changed_token_is_accepted(
        from: Index,
        to: Index,
        text in "[A-Za-z0-9_=.-]{0,6}",
        number in any::<u16>(),
    ) {
        let token = hs512(&claims(json!({ "entity_id": number })), "new");
        let other = mutated(&token, from, to, &text);
        // Padding is harmless; any other change makes a different token.
        prop_assume!(other.trim_end_matches('=') != token);
        prop_assert!(verify(&token).is_ok());
        prop_assert!(verify(&other).is_err(), "{} for {}", other, token);
    }

    #[test]
    fn parts_of_valid_tokens_do_not_combine_into_another(one in any::<u16>(), two in any::<u16>(), which in 0..8_usize) {
        prop_assume!(one != two);
        let tokens = [one, two].map(|number| hs512(&claims(json!({ "entity_id": number })), "new"));
        let parts = tokens.each_ref().map(|token| token.split('.').collect::<Vec<_>>());
        let mixed: Vec<&str> = (0..3).map(|part| parts[which >> part & 1][part]).collect();
        // The header is the same in both.
        prop_assert_eq!(verify(&mixed.join(".")).is_ok(), which >> 1 == 0 || which >> 1 == 3);
    }

    #[test]
    fn token_properties_hold_for_any_input(
        alg in prop_oneof![any_json(), Just(json!("HS512")), Just(json!("HS256"))],
        name in prop::sample::select(vec!["exp", "nbf", "iss", "aud", "jti", "account_id", "client_uuid", "entity_id"]),
        value in any_json(),
        rest: Vec<u8>,
    ) {
        let mut claims = claims(json!({ "client_uuid": fuzzing::CLIENT }));
        claims[name] = value;
        fuzzing::token(format!("{}\n{claims}", json!({ "alg": alg })).as_bytes());
        fuzzing::token(&rest);
    }

    #[test]
    fn no_token_is_longer_than_the_limit(size in MAX_TOKEN_BYTES / 2..MAX_TOKEN_BYTES) {
        let token = hs512(&claims(json!({ "more": "x".repeat(size) })), "new");
        let expected = token.len() <= MAX_TOKEN_BYTES;
        prop_assert_eq!(verify(&token).is_ok(), expected);
        prop_assert_eq!(verify(&token) == Err(TokenError::TooLong), !expected);
    }
}

#[test]
fn a_signature_with_unused_bits_set_is_refused() {
    // The last character of a 64-byte signature has four unused bits: only one of sixteen spellings is correct.
    let token = hs512(&claims(json!({})), "new");
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let same = |last: char| {
        let other = format!("{}{last}", &signature[..signature.len() - 1]);
        other != signature && verify(&format!("{signed}.{other}")).is_ok()
    };
    assert!(URL_SAFE_NO_PAD.decode(signature).is_ok());
    assert!(!('A'..='Z').chain('a'..='z').chain('0'..='9').chain(['-', '_']).any(same));
}
