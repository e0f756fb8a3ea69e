//! The token of a bot's request, as Kommo signs it: HS512 under the client secret, times in
//! seconds with a fraction, `entity_type` and `entity_id` as strings.

use std::time::UNIX_EPOCH;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Map, Value, json};
use sha2::{Sha256, Sha512};

use super::account::Account;
use super::plan::Algorithm;
use super::run::{Run, Wait};

/// Kommo does not say how long a bot token lives; half an hour is longer than any bot waits.
const LIFETIME_SECONDS: f64 = 1800.0;

pub(super) fn mint(account: &Account, run: &Run, wait: &Wait, bridge_url: &str) -> String {
    let style = &run.plan.token;
    let mut header = entries(json!({ "typ": "JWT", "alg": name(style.algorithm) }));
    lay_over(&mut header, &style.header);
    let mut claims = claims(account, run, wait, bridge_url);
    lay_over(&mut claims, &style.claims);
    let signed = format!("{}.{}", part(header), part(claims));
    let secret = style.secret.as_ref().unwrap_or(&account.options.client_secret);
    let signature = sign(style.algorithm, secret.as_bytes(), signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn claims(account: &Account, run: &Run, wait: &Wait, bridge_url: &str) -> Map<String, Value> {
    let issued = wait.issued.duration_since(UNIX_EPOCH).unwrap_or_default();
    // Kommo's times have six digits; more would not survive a double anyway.
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

/// `scheme://host`, with the port where it is not the scheme's own. What is no URL stays as it is.
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

fn sign(algorithm: Algorithm, secret: &[u8], text: &[u8]) -> Vec<u8> {
    match algorithm {
        Algorithm::Hs512 => Hmac::<Sha512>::new_from_slice(secret).map(|mac| finish(mac, text)),
        Algorithm::Hs256 => Hmac::<Sha256>::new_from_slice(secret).map(|mac| finish(mac, text)),
        Algorithm::None => Ok(Vec::new()),
    }
    // HMAC takes keys of any length, so the error cannot come.
    .unwrap_or_default()
}

fn finish(mut mac: impl Mac, text: &[u8]) -> Vec<u8> {
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

fn part(entries: Map<String, Value>) -> String {
    URL_SAFE_NO_PAD.encode(Value::Object(entries).to_string())
}

fn entries(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(entries) => entries,
        _ => Map::new(),
    }
}

fn lay_over(entries: &mut Map<String, Value>, changes: &Map<String, Value>) {
    for (key, value) in changes {
        if value.is_null() {
            entries.remove(key);
        } else {
            entries.insert(key.clone(), value.clone());
        }
    }
}
