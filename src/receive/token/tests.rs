//! Malicious, malformed and arbitrary tokens.

use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use proptest::prelude::*;
use secrecy::SecretString;
use serde_json::{Value, json};
use sha2::Sha512;

use super::*;

pub(in crate::receive) const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn mac512(message: &str, secret: &str) -> Vec<u8> {
    let mac = Hmac::<Sha512>::new_from_slice(secret.as_bytes()).unwrap().chain_update(message);
    mac.finalize().into_bytes().to_vec()
}

fn mac256(message: &str, secret: &str) -> Vec<u8> {
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap().chain_update(message);
    mac.finalize().into_bytes().to_vec()
}

fn jwt(header: &Value, claims: &Value, sign: impl Fn(&str) -> Vec<u8>) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(header), part(claims));
    let signature = URL_SAFE_NO_PAD.encode(sign(&signed));
    format!("{signed}.{signature}")
}

/// Returns valid claims with these changes.
pub(in crate::receive) fn claims(changes: Value) -> Value {
    let mut claims = json!({
        "iss": "https://example.kommo.com",
        "aud": "https://bridge.example.com",
        "jti": "c1e8ba8a",
        "iat": 1_699_999_990.5,
        "nbf": 1_699_999_990.5,
        "exp": 1_700_000_300.25,
        "account_id": 31_764_961,
        "subdomain": "example",
        "client_uuid": "aa-BB",
        "entity_type": "2",
        "entity_id": 99,
        "bot_type": "salesbot",
    });
    for (key, value) in changes.as_object().unwrap() {
        claims[key] = value.clone();
    }
    claims
}

/// Signs a token like Kommo.
pub(in crate::receive) fn hs512(claims: &Value, secret: &str) -> String {
    jwt(&json!({"typ": "JWT", "alg": "HS512"}), claims, |signed| mac512(signed, secret))
}

/// Returns `main` with the secrets `new` and `old`, and two more.
pub(in crate::receive) fn signers() -> Vec<TokenSigner> {
    let [old, new, other] = ["old", "new", "other"].map(SecretString::from);
    vec![
        TokenSigner::new("main", "AA-bb", &new, Some(&old)),
        TokenSigner::new("twin", "twin-id", &new, None),
        TokenSigner::new("other", "other-id", &other, None),
    ]
}

fn verify_at(token: &str, now: Timestamp) -> Result<Verified, TokenError> {
    let public_url = "https://bridge.example.com".parse().unwrap();
    Unverified::parse(token)?.verify(&signers(), Some(&public_url), now).map_err(|invalid| invalid.error)
}

fn verify(token: &str) -> Result<Verified, TokenError> {
    verify_at(token, NOW)
}

#[test]
fn a_valid_token_yields_all_claims() {
    let verified = verify(&hs512(&claims(json!({})), "new")).unwrap();
    let expected = Verified {
        integration: "main".into(),
        client_uuid: "aa-BB".into(),
        iss: "https://example.kommo.com".parse().unwrap(),
        account_id: AccountId(31_764_961),
        entity: Some(Entity { kind: model::EntityKind::Lead, id: 99 }),
        idempotency_key: "c1e8ba8a".to_owned(),
        expires_at: Timestamp::from_millis(1_700_000_360_250),
    };
    assert_eq!(verified, expected);
}

#[test]
fn every_secret_of_every_integration_is_tried() {
    for (secret, client, expected) in [
        ("new", json!({"client_uuid": "aa-bb"}), Ok("main")),
        ("old", json!({"client_uuid": "aa-bb"}), Ok("main")),
        ("old", json!({"client_uuid": null, "client_uid": "AA-BB"}), Ok("main")),
        ("new", json!({"client_uuid": "twin-id"}), Ok("twin")),
        ("old", json!({"client_uuid": "twin-id"}), Err(TokenError::Integration)),
        ("other", json!({"client_uuid": "other-id"}), Ok("other")),
        ("other", json!({"client_uuid": "aa-bb"}), Err(TokenError::Integration)),
        ("new", json!({"client_uuid": null}), Err(TokenError::Integration)),
        ("new", json!({"client_uuid": ""}), Err(TokenError::Integration)),
        ("unknown", json!({}), Err(TokenError::Signature)),
    ] {
        let name = verify(&hs512(&claims(client.clone()), secret)).map(|verified| verified.integration);
        assert_eq!(name, expected.map(Into::into), "{secret} {client}");
    }
}

#[test]
fn only_kommos_two_algorithms_are_accepted() {
    let with = |header: Value, sign: fn(&str, &str) -> Vec<u8>| {
        verify(&jwt(&header, &claims(json!({})), |signed| sign(signed, "new"))).map(drop)
    };
    assert_eq!(with(json!({"alg": "HS512"}), mac512), Ok(()));
    assert_eq!(with(json!({"alg": "HS256"}), mac256), Ok(()));
    assert_eq!(with(json!({"alg": "HS512"}), mac256), Err(TokenError::Signature));
    assert_eq!(with(json!({"alg": "HS256"}), mac512), Err(TokenError::Signature));
    for header in [
        json!({"alg": "none"}),
        json!({"alg": "None"}),
        json!({"alg": ""}),
        json!({"alg": "HS384"}),
        json!({"alg": "RS256"}),
        json!({"alg": "hs512"}),
        json!({"alg": null}),
        json!({"alg": ["HS512"]}),
        json!({"typ": "JWT"}),
        json!([]),
        json!({"alg": "HS512", "crit": ["b64"], "b64": false}),
    ] {
        assert_eq!(with(header.clone(), mac512), Err(TokenError::Algorithm), "{header}");
    }
    let unsigned = jwt(&json!({"alg": "none"}), &claims(json!({})), |_| Vec::new());
    assert_eq!(verify(&unsigned), Err(TokenError::Algorithm));
    let unsigned = jwt(&json!({"alg": "HS512"}), &claims(json!({})), |_| Vec::new());
    assert_eq!(verify(&unsigned), Err(TokenError::Signature));
}

#[test]
fn a_malformed_token_is_refused() {
    let good = hs512(&claims(json!({})), "new");
    for (token, expected) in [
        (String::new(), TokenError::Missing),
        ("a".repeat(MAX_TOKEN_BYTES + 1), TokenError::TooLong),
        ("a".repeat(MAX_TOKEN_BYTES), TokenError::Shape),
        ("..".to_owned(), TokenError::Algorithm),
        ("a.b".to_owned(), TokenError::Shape),
        (format!("{good}."), TokenError::Shape),
        (format!("{good}.a"), TokenError::Shape),
        (format!(" {good}"), TokenError::Shape),
        (format!("{good}\n"), TokenError::Shape),
        (good.replace('.', ".+"), TokenError::Shape),
    ] {
        assert_eq!(verify(&token), Err(expected), "{token:.40}");
    }
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let padded = URL_SAFE.encode(URL_SAFE_NO_PAD.decode(signature).unwrap());
    assert!(padded.ends_with('=') && verify(&format!("{signed}.{padded}")).is_ok());
}

#[test]
fn times_allow_a_skew_of_a_minute() {
    let at = |changes: Value, now_ms: i64| {
        verify_at(&hs512(&claims(changes), "new"), Timestamp::from_millis(now_ms)).map(drop)
    };
    let second = 1_700_000_000;
    for (changes, now_ms, expected) in [
        (json!({"exp": second}), 1_700_000_059_999, Ok(())),
        (json!({"exp": second}), 1_700_000_060_000, Err(TokenError::Expired)),
        (json!({"exp": 1_700_000_000.5}), 1_700_000_060_499, Ok(())),
        (json!({"exp": "1700000000.5"}), 1_700_000_060_500, Err(TokenError::Expired)),
        (json!({"exp": 0}), 1_700_000_000_000, Err(TokenError::Expired)),
        (json!({"exp": null}), 1_700_000_000_000, Err(TokenError::Claims(ClaimsError::NoExp))),
        (json!({"exp": 1e300}), 1_700_000_000_000, Err(TokenError::Claims(ClaimsError::Time("exp")))),
        (json!({"nbf": second}), 1_699_999_940_000, Ok(())),
        (json!({"nbf": second}), 1_699_999_939_999, Err(TokenError::NotYetValid)),
        (json!({"nbf": null, "iat": null}), 1_699_000_000_000, Ok(())),
        (json!({"nbf": null, "iat": "nonsense"}), 1_700_000_000_000, Ok(())),
        (json!({}), i64::MAX, Err(TokenError::Expired)),
        (json!({}), i64::MIN, Err(TokenError::NotYetValid)),
    ] {
        assert_eq!(at(changes.clone(), now_ms), expected, "{changes} at {now_ms}");
    }
}

#[test]
fn the_audience_is_checked_only_if_it_is_configured() {
    let token = hs512(&claims(json!({"aud": ["https://elsewhere.example.com"]})), "new");
    assert_eq!(verify(&token), Err(TokenError::Audience));
    assert!(Unverified::parse(&token).unwrap().verify(&signers(), None, NOW).is_ok());
    let public_url = "https://bridge.example.com".parse().unwrap();
    let refused = Unverified::parse(&token).unwrap().verify(&signers(), Some(&public_url), NOW);
    let elsewhere = Some(FaultyValue::Audience("https://elsewhere.example.com".to_owned()));
    assert_eq!(refused, Err(InvalidToken { error: TokenError::Audience, faulty_value: elsewhere }));
}

/// Returns every spelling of a part that some decoder would still read the same.
fn spellings(part: &str) -> Vec<(&'static str, String)> {
    let (most, last) = part.split_at(part.len() - 1);
    let next = char::from(last.as_bytes()[0] + 1);
    vec![
        ("unchanged", part.to_owned()),
        ("one =", format!("{part}=")),
        ("two =", format!("{part}==")),
        ("three =", format!("{part}===")),
        ("= in front", format!("={part}")),
        ("unused bits set", format!("{most}{next}")),
        ("the other alphabet", part.replace('-', "+").replace('_', "/")),
        ("a newline", format!("{part}\n")),
        ("a space", format!("{part} ")),
        ("a percent sign", format!("{part}%3D")),
        ("one character less", most.to_owned()),
    ]
}

#[test]
fn a_token_without_jti_has_one_key_in_every_spelling() {
    // The lengths of these claims' parts would require padding, and their signature contains both special characters.
    let good = (0..)
        .map(|id| hs512(&claims(json!({"jti": null, "entity_id": id})), "new"))
        .find(|token| {
            let parts: Vec<&str> = token.split('.').collect();
            parts[1].len() % 4 == 2
                && parts[2].contains('-')
                && parts[2].contains('_')
                && !parts[2].ends_with('z')
        })
        .unwrap();
    let key = verify(&good).unwrap().idempotency_key;
    let parts: Vec<&str> = good.split('.').collect();
    let mut accepted = Vec::new();
    for index in 0..3 {
        for (what, spelled) in spellings(parts[index]) {
            if spelled == parts[index] && what != "unchanged" {
                continue;
            }
            let mut parts = parts.clone();
            parts[index] = &spelled;
            if let Ok(verified) = verify(&parts.join(".")) {
                assert_eq!(verified.idempotency_key, key, "part {index}: {what}");
                accepted.push((index, what));
            }
        }
    }
    let padded = [(2, "unchanged"), (2, "one ="), (2, "two =")];
    assert_eq!(accepted, [&[(0, "unchanged"), (1, "unchanged")], &padded[..]].concat());
}

#[test]
fn tokens_without_jti_differ_if_their_signed_parts_differ() {
    let key = |changes: Value| verify(&hs512(&claims(changes), "new")).unwrap().idempotency_key;
    let first = key(json!({"jti": null}));
    assert_eq!(first.len(), 64);
    for no_name in
        [json!({"jti": ""}), json!({"jti": true}), json!({"jti": ["c1e8ba8a"]}), json!({"jti": {}})]
    {
        assert_ne!(key(no_name.clone()), first, "{no_name}");
        assert_eq!(key(no_name.clone()), key(no_name), "the same token");
    }
    // Kommo writes numbers as numbers or strings; both identify the request.
    assert_eq!((key(json!({"jti": 12})), key(json!({"jti": "12"}))), ("12".to_owned(), "12".to_owned()));
}

#[test]
fn claims_are_not_read_before_the_signature_matches() {
    let broken = jwt(&json!({"alg": "HS512"}), &json!("no claims"), |_| vec![0; 64]);
    assert_eq!(verify(&broken), Err(TokenError::Signature));
    let signed = hs512(&json!("no claims"), "new");
    assert_eq!(verify(&signed), Err(TokenError::Claims(ClaimsError::Json)));
}

#[test]
fn only_valid_tokens_for_others_are_forbidden() {
    for (error, expected) in [
        (TokenError::Missing, false),
        (TokenError::TooLong, false),
        (TokenError::Shape, false),
        (TokenError::Algorithm, false),
        (TokenError::Signature, false),
        (TokenError::Claims(ClaimsError::NoExp), false),
        (TokenError::Expired, false),
        (TokenError::NotYetValid, false),
        (TokenError::Integration, true),
        (TokenError::Audience, true),
    ] {
        assert_eq!(error.is_for_someone_else(), expected, "{error}");
    }
}

proptest! {
    #[test]
    fn a_flipped_bit_anywhere_is_refused(position: prop::sample::Index, bit in 0..7_u32, short: bool) {
        let header = json!({"alg": if short { "HS256" } else { "HS512" }});
        let sign = if short { mac256 } else { mac512 };
        let mut token = jwt(&header, &claims(json!({})), |signed| sign(signed, "new")).into_bytes();
        prop_assert!(verify(std::str::from_utf8(&token).unwrap()).is_ok());
        let index = position.index(token.len());
        token[index] ^= 1 << bit;
        prop_assert!(verify(std::str::from_utf8(&token).unwrap()).is_err());
    }

    #[test]
    fn any_text_is_refused_without_a_panic(token in any::<String>(), jwtish in "[A-Za-z0-9_=-]{0,40}(\\.[A-Za-z0-9_=-]{0,40}){0,4}") {
        prop_assert!(verify(&token).is_err());
        prop_assert!(verify(&jwtish).is_err());
    }

    #[test]
    fn any_payload_is_parsed_without_a_panic(payload in any::<Vec<u8>>(), number in any::<f64>()) {
        let _ = TokenClaims::parse(&payload);
        let _ = verify(&hs512(&claims(json!({"exp": number, "nbf": number, "account_id": number})), "new"));
    }
}
