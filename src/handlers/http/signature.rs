//! The signature of a request, as [Standard Webhooks](https://www.standardwebhooks.com) defines it: an HMAC-SHA256 over
//! `{id}.{timestamp}.{body}`, in base64.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

/// Precedes the base64 of a key.
const PREFIX: &str = "whsec_";

/// The value of the header `webhook-signature`: one signature for each of `secrets`, separated by spaces. While a secret
/// rotates there are two, and a receiver that knows either secret accepts the request.
///
/// Skips a secret that is not `whsec_` and base64, which the configuration rules out.
pub(super) fn signatures<'a>(
    secrets: impl IntoIterator<Item = &'a SecretString>,
    id: &str,
    timestamp: i64,
    body: &str,
) -> String {
    let signed = secrets.into_iter().filter_map(|secret| signature(secret, id, timestamp, body));
    signed.collect::<Vec<_>>().join(" ")
}

/// `v1,` and the signature in base64; `None` if `secret` is not a key.
fn signature(secret: &SecretString, id: &str, timestamp: i64, body: &str) -> Option<String> {
    let key = BASE64_STANDARD.decode(secret.expose_secret().strip_prefix(PREFIX)?).ok()?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).ok()?;
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(body.as_bytes());
    Some(format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes())))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Vector {
        secret: SecretString,
        id: String,
        timestamp: i64,
        body: String,
        signature: String,
    }

    fn vectors() -> Vec<Vector> {
        serde_json::from_str(include_str!("../../../tests/vectors/standard-webhooks.json")).unwrap()
    }

    #[test]
    fn signatures_match_the_test_vectors() {
        assert!(vectors().len() >= 4);
        for Vector { secret, id, timestamp, body, signature } in vectors() {
            assert_eq!(signatures([&secret], &id, timestamp, &body), signature, "{id}");
        }
    }

    #[test]
    fn a_rotating_secret_signs_twice() {
        let all = vectors();
        let [old, new] = [&all[0], &all[1]];
        let both = signatures([&new.secret, &old.secret], &old.id, old.timestamp, &old.body);
        let (first, second) = both.split_once(' ').unwrap();
        assert_eq!(second, old.signature);
        assert_ne!(first, second);
        assert!(first.starts_with("v1,"));
    }

    #[test]
    fn every_part_of_the_message_is_signed() {
        let Vector { secret, id, timestamp, body, signature } = vectors().remove(0);
        for (id, timestamp, body) in [
            (format!("{id}x"), timestamp, body.clone()),
            (id.clone(), timestamp + 1, body.clone()),
            (id.clone(), timestamp, format!("{body} ")),
        ] {
            assert_ne!(signatures([&secret], &id, timestamp, &body), signature);
        }
    }

    #[test]
    fn a_text_that_is_not_a_key_signs_nothing() {
        for text in ["", "whsec_", "whsec_%%%", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"] {
            let signed = signatures([&SecretString::from(text)], "id", 1, "{}");
            assert_eq!(signed.is_empty(), text != "whsec_", "{text}: {signed}");
        }
    }
}
