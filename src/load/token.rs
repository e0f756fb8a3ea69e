//! The token in a request, as Kommo signs it: HS512 under the client secret, times with a fraction,
//! `entity_type` and `entity_id` as strings.
//!
//! All but the `jti` is the same for every request of an account, so it is written once.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::Sha512;

/// Longer than any run: the bridge verifies at receipt.
const LIFETIME_SECONDS: f64 = 86_400.0;
/// How long an HS512 signature is, in bytes.
pub(super) const SIGNATURE: usize = 64;

/// An integration: its secret signs the tokens.
#[derive(Clone)]
pub struct Integration {
    /// Its id, claim `client_uuid`.
    pub client_uuid: String,
    /// Its secret.
    pub client_secret: String,
}

impl Default for Integration {
    /// A made-up one; its secret is another in each run.
    fn default() -> Self {
        let id = uuid::Builder::from_random_bytes(fastrand::u128(..).to_be_bytes()).into_uuid();
        Self { client_uuid: id.to_string(), client_secret: random_hex() }
    }
}

/// 64 hexadecimal digits.
pub(super) fn random_hex() -> String {
    format!("{:032x}{:032x}", fastrand::u128(..), fastrand::u128(..))
}

/// The tokens of one account: what is the same in all of them.
pub(super) struct Tokens {
    /// The header, encoded, and its dot.
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

    /// Appends header and claims of the token with this `jti` to `out`, as they are signed.
    pub(super) fn write_signed_part(&self, jti: u128, out: &mut String) {
        out.push_str(&self.header);
        let jti = uuid::Builder::from_random_bytes(jti.to_be_bytes()).into_uuid();
        let mut claims = String::with_capacity(self.claims.len() + 40);
        claims.push_str(&self.claims);
        claims.push_str(jti.hyphenated().encode_lower(&mut uuid::Uuid::encode_buffer()));
        claims.push_str("\"}");
        URL_SAFE_NO_PAD.encode_string(claims, out);
    }

    /// The signature of what [`write_signed_part`](Self::write_signed_part) wrote.
    pub(super) fn sign(&self, signed_part: &str) -> [u8; SIGNATURE] {
        let mut mac = self.key.clone();
        mac.update(signed_part.as_bytes());
        mac.finalize().into_bytes().into()
    }
}

/// Appends a signature as it stands in a token.
pub(super) fn write_signature(signature: &[u8; SIGNATURE], out: &mut String) {
    out.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, out);
}

/// The claims of a JWT without checking anything; null if there are none.
#[cfg(test)]
pub(super) fn claims(token: &str) -> serde_json::Value {
    let payload = token.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    payload.and_then(|payload| serde_json::from_slice(&payload).ok()).unwrap_or_default()
}

#[allow(
    clippy::disallowed_methods,
    reason = "the bridge under load reads the real time, and so must its tokens"
)]
fn now() -> SystemTime {
    SystemTime::now()
}
