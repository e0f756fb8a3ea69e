//! The token of a bot's request, as Kommo signs it: HS512 with the client secret, times in seconds
//! with a fraction, `entity_type` and `entity_id` as strings.

use std::time::UNIX_EPOCH;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Map, Value, json};
use sha2::{Sha256, Sha512};

use super::account::Account;
use super::plan::Algorithm;
use super::run::{Run, Wait};

/// Kommo does not document the lifetime of a bot token. Half an hour is longer than any bot waits.
const LIFETIME_SECONDS: f64 = 1800.0;

pub(super) fn mint(account: &Account, run: &Run, wait: &Wait, bridge_url: &str) -> String {
    let style = &run.plan.token;
    let mut header = entries(json!({ "typ": "JWT", "alg": name(style.algorithm) }));
    override_entries(&mut header, &style.header);
    let mut claims = claims(account, run, wait, bridge_url);
    override_entries(&mut claims, &style.claims);
    let signed = format!("{}.{}", part(header), part(claims));
    let secret = style.secret.as_ref().unwrap_or(&account.options.client_secret);
    let signature = sign(style.algorithm, secret.as_bytes(), signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn claims(account: &Account, run: &Run, wait: &Wait, bridge_url: &str) -> Map<String, Value> {
    let issued = wait.issued.duration_since(UNIX_EPOCH).unwrap_or_default();
    // Kommo's times have six decimals.
    let issued = (issued.as_secs_f64() * 1e6).round() / 1e6;
    entries(json!({
        "iss": account.base_url,
        "aud": origin(bridge_url),
        "jti": wait.jti,
        "iat": issued,
        "nbf": issued,
        "exp": issued + LIFETIME_SECONDS,
        "account_id": account.options.account_id,
        "subdomain": account.options.subdomain,
        "client_uuid": account.options.client_uuid,
        "entity_type": "2",
        "entity_id": (run.id % 100_000_000).to_string(),
        "bot_type": run.plan.bot_type.as_str(),
    }))
}

/// `scheme://host`, with the port if it is not the scheme's default. Returns an invalid URL unchanged.
fn origin(url: &str) -> String {
    url::Url::parse(url).map_or_else(|_| url.to_owned(), |url| url.origin().ascii_serialization())
}

fn name(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Hs512 => "HS512",
        Algorithm::Hs256 => "HS256",
        Algorithm::None => "none",
    }
}

pub(super) fn sign(algorithm: Algorithm, secret: &[u8], text: &[u8]) -> Vec<u8> {
    match algorithm {
        Algorithm::Hs512 => Hmac::<Sha512>::new_from_slice(secret).map(|mac| finish(mac, text)),
        Algorithm::Hs256 => Hmac::<Sha256>::new_from_slice(secret).map(|mac| finish(mac, text)),
        Algorithm::None => Ok(Vec::new()),
    }
    // HMAC accepts keys of any length, so there is no error.
    .unwrap_or_default()
}

fn finish(mut mac: impl Mac, text: &[u8]) -> Vec<u8> {
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

pub(super) fn part(entries: Map<String, Value>) -> String {
    URL_SAFE_NO_PAD.encode(Value::Object(entries).to_string())
}

pub(super) fn entries(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(entries) => entries,
        _ => Map::new(),
    }
}

fn override_entries(entries: &mut Map<String, Value>, changes: &Map<String, Value>) {
    for (key, value) in changes {
        if value.is_null() {
            entries.remove(key);
        } else {
            entries.insert(key.clone(), value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expected signatures come from `openssl dgst -sha512 -hmac secret`.
    #[test]
    fn signatures_match_those_of_openssl() {
        let rows = [
            (Algorithm::Hs256, "88b4fde4dd99f0e7ff72c5c79b9f9ebad19fcf1a14c9f4b487c164f1e1429abb"),
            (
                Algorithm::Hs512,
                "684a2e70744a0ef66113102024a067b5c563e57cd8580e357ec9c160c8f876cb\
                 9c80a71cf5a5a6f73a3fd00aabea7931080ac0c195fb5842499491e0d0c34d47",
            ),
            (Algorithm::None, ""),
        ];
        for (algorithm, expected) in rows {
            let signature = sign(algorithm, b"secret", b"signed.text");
            assert_eq!(signature.iter().map(|byte| format!("{byte:02x}")).collect::<String>(), expected);
        }
    }
}
