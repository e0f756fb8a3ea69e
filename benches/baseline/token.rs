//! The HS512 token of a request.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use sha2::Sha512;

/// The claims that the baseline uses.
#[derive(Debug, Deserialize)]
pub(super) struct Claims {
    pub(super) jti: String,
    pub(super) iss: String,
    exp: f64,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
}

/// The claims of a token; `None` if it is not signed with `secret` or has expired.
pub(super) fn verify(token: &str, secret: &str) -> Option<Claims> {
    let (signed, signature) = token.rsplit_once('.')?;
    let (header, payload) = signed.split_once('.')?;
    let header: Header = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
    if header.alg != "HS512" {
        return None;
    }
    let mut mac = Hmac::<Sha512>::new_from_slice(secret.as_bytes()).ok()?;
    mac.update(signed.as_bytes());
    mac.verify_slice(&URL_SAFE_NO_PAD.decode(signature).ok()?).ok()?;
    let claims: Claims = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
    (claims.exp > now().as_secs_f64()).then_some(claims)
}

/// The time since the Unix epoch.
#[allow(clippy::disallowed_methods, reason = "the baseline is minimal and takes no clock as an argument")]
pub(super) fn now() -> std::time::Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
