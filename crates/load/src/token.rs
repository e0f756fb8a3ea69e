//! The token in a request, as Kommo signs it: HS512 with the client secret, times with a fraction,
//! `entity_type` and `entity_id` as strings.
//!
//! Only the `jti` differs between the requests of an account, so the rest is written once.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::Sha512;

/// Longer than any run. The bridge checks a token when it receives the request.
const LIFETIME_SECONDS: f64 = 86_400.0;
/// The size of an HS512 signature in bytes.
pub(super) const SIGNATURE_BYTES: usize = 64;

/// An integration. Its secret signs the tokens.
#[derive(Clone)]
pub struct Integration {
    /// The integration's id, claim `client_uuid`.
    pub client_uuid: String,
    /// The integration's secret.
    pub client_secret: String,
}

impl Default for Integration {
    /// A made-up integration, with a new secret in each run.
    fn default() -> Self {
        let id = uuid::Builder::from_random_bytes(fastrand::u128(..).to_be_bytes()).into_uuid();
        Self { client_uuid: id.to_string(), client_secret: random_hex() }
    }
}

/// 64 random hexadecimal digits.
pub(super) fn random_hex() -> String {
    format!("{:032x}{:032x}", fastrand::u128(..), fastrand::u128(..))
}

/// Writes and signs the tokens of one account. Holds the part that all of them share.
pub(super) struct Tokens {
    /// The encoded header and its dot.
    header: String,
    /// The claims up to the `jti`.
    claims: String,
    key: Hmac<Sha512>,
}

impl Tokens {
    pub(super) fn new(
        integration: &Integration,
        iss: &str,
        aud: &str,
        account_id: i64,
        subdomain: &str,
    ) -> Option<Self> {
        let issued = (now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64() * 1e6).round() / 1e6;
        let claims = json!({
            "iss": iss,
            "aud": aud,
            "iat": issued,
            "nbf": issued,
            "exp": issued + LIFETIME_SECONDS,
            "account_id": account_id,
            "subdomain": subdomain,
            "client_uuid": integration.client_uuid,
            "entity_type": "2",
            "entity_id": "31764961",
            "bot_type": "salesbot",
        });
        let mut claims = claims.to_string();
        claims.pop();
        claims.push_str(",\"jti\":\"");
        let header = URL_SAFE_NO_PAD.encode(r#"{"typ":"JWT","alg":"HS512"}"#) + ".";
        let key = Hmac::new_from_slice(integration.client_secret.as_bytes()).ok()?;
        Some(Self { header, claims, key })
    }

    /// Appends the signed part of the token with this `jti` to `out`: header and claims.
    pub(super) fn write_signed_part(&self, jti: u128, out: &mut String) {
        out.push_str(&self.header);
        let jti = uuid::Builder::from_random_bytes(jti.to_be_bytes()).into_uuid();
        let mut claims = String::with_capacity(self.claims.len() + 40);
        claims.push_str(&self.claims);
        claims.push_str(jti.hyphenated().encode_lower(&mut uuid::Uuid::encode_buffer()));
        claims.push_str("\"}");
        URL_SAFE_NO_PAD.encode_string(claims, out);
    }

    /// Signs the text that [`write_signed_part`](Self::write_signed_part) wrote.
    pub(super) fn sign(&self, signed_part: &str) -> [u8; SIGNATURE_BYTES] {
        let mut mac = self.key.clone();
        mac.update(signed_part.as_bytes());
        mac.finalize().into_bytes().into()
    }
}

/// Appends the encoded signature and its dot.
pub(super) fn write_signature(signature: &[u8; SIGNATURE_BYTES], out: &mut String) {
    out.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, out);
}

#[allow(
    clippy::disallowed_methods,
    reason = "the bridge under load uses the real time, so its tokens must too"
)]
fn now() -> SystemTime {
    SystemTime::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expected signature comes from `openssl dgst -sha512 -hmac secret`.
    #[test]
    fn signature_matches_that_of_openssl() {
        let integration = Integration { client_uuid: String::new(), client_secret: "secret".to_owned() };
        let tokens = Tokens::new(&integration, "http://a", "http://b", 1, "a").unwrap();
        assert_eq!(
            hex::encode(tokens.sign("signed.text")),
            "684a2e70744a0ef66113102024a067b5c563e57cd8580e357ec9c160c8f876cb\
             9c80a71cf5a5a6f73a3fd00aabea7931080ac0c195fb5842499491e0d0c34d47"
        );
    }

    #[test]
    fn tokens_differ_only_in_their_jti() {
        let integration = Integration { client_uuid: "an \"id\"".to_owned(), client_secret: "s".to_owned() };
        let tokens = Tokens::new(&integration, "http://a", "http://b", 7, "name").unwrap();
        let claims = |jti: u128| {
            let mut text = String::new();
            tokens.write_signed_part(jti, &mut text);
            let payload = URL_SAFE_NO_PAD.decode(text.split_once('.').unwrap().1).unwrap();
            serde_json::from_slice::<serde_json::Value>(&payload).unwrap()
        };
        let (mut one, mut two) = (claims(1), claims(2));
        assert_eq!(one["iss"], "http://a");
        assert_eq!(one["aud"], "http://b");
        assert_eq!(one["client_uuid"], "an \"id\"");
        assert_eq!(one["account_id"], 7);
        let jti = |claims: &mut serde_json::Value| claims["jti"].take().as_str().unwrap().to_owned();
        assert_ne!(jti(&mut one), jti(&mut two));
        assert_eq!(one, two);
    }
}
