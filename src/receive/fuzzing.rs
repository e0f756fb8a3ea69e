//! Properties that must hold for anything a caller may post. `crate::fuzzing` calls them.

use hmac::{Hmac, KeyInit, Mac};
use secrecy::SecretString;
use serde_json::{Value, json};
use sha2::{Sha256, Sha512};
use url::Url;

use super::body::{MAX_DATA_DEPTH, MAX_FORM_FIELDS, RawRequest, deeper_than};
use super::return_url;
use super::token::signer::TokenSigner;
use super::token::{BASE64, MAX_CLOCK_SKEW, MAX_TOKEN_BYTES, Unverified, Verified};
use base64::Engine;
use model::{HostRules, Timestamp};

/// The secret that signs valid tokens, and a time in the middle of their lifetime.
pub(crate) const SECRET: &str = "known";
pub(crate) const CLIENT: &str = "aa-bb";
pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// Parses a body. Returns whether it is a request.
pub(crate) fn body(input: &[u8]) -> bool {
    let Ok(request) = RawRequest::parse(input) else { return false };
    assert!(!request.return_url.is_empty(), "a request without a return_url");
    assert!(!deeper_than(&request.data, MAX_DATA_DEPTH), "deeper than the limit");
    let text = input.strip_prefix(b"\xef\xbb\xbf").unwrap_or(input).trim_ascii();
    let is_form = !text.starts_with(b"{") && !text.starts_with(b"--");
    let fields = text.split(|byte| *byte == b'&').filter(|field| !field.is_empty()).count();
    assert!(!is_form || fields <= MAX_FORM_FIELDS, "more fields than the limit");
    let RawRequest { token, return_url, data } = &request;
    let again = json!({ "token": token, "return_url": return_url, "data": data }).to_string();
    assert_eq!(
        RawRequest::parse(again.as_bytes()),
        Ok(request),
        "the same request as JSON has another meaning"
    );
    true
}

/// Verifies a token: the input itself or, if it contains a line break, header and claims that are signed here.
/// Returns whether one is valid.
pub(crate) fn token(input: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(input) else { return false };
    let Some((header, claims)) = text.split_once('\n') else { return is_good(text.trim()) };
    let part = |text: &str| BASE64.encode(text).trim_end_matches('=').to_owned();
    let signed = format!("{}.{}", part(header), part(claims));
    let token = |mac: Vec<u8>| format!("{signed}.{}", BASE64.encode(mac));
    let good = [is_good(&token(mac512(SECRET, &signed))), is_good(&token(mac256(SECRET, &signed)))];
    assert!(good != [true, true], "one token is valid for two algorithms");
    for stranger in [mac512("unknown", &signed), mac256("unknown", &signed), Vec::new()] {
        assert!(!is_good(&token(stranger)), "a stranger's signature is valid");
    }
    good.contains(&true)
}

/// Whether `token` is valid. If so, checks independently that it must be, without sharing code with the first check.
fn is_good(token: &str) -> bool {
    let Ok(verified) = verify(token) else { return false };
    assert!(token.len() <= MAX_TOKEN_BYTES, "longer than the limit");
    let parts: Vec<&str> = token.split('.').collect();
    let [header, payload, signature] = parts[..] else { panic!("not three parts") };
    let header: Value = json_of(header);
    let signed = format!("{}.{payload}", parts[0]);
    let expected = match header["alg"].as_str() {
        Some("HS512") => mac512(SECRET, &signed),
        Some("HS256") => mac256(SECRET, &signed),
        other => panic!("accepted the algorithm {other:?}"),
    };
    assert_eq!(bytes_of(signature), expected, "signing it again yields another signature");
    let claims: Value = json_of(payload);
    let id = ["client_uuid", "client_uid"].map(|key| claims[key].as_str().unwrap_or_default().to_lowercase());
    assert!(id.iter().any(|id| id == CLIENT), "a token of another integration");
    assert!(verified.expires_at > NOW && verified.account_id.0 > 0);
    assert!(verified.expires_at >= Timestamp::from_millis(0) + MAX_CLOCK_SKEW);
    assert!(!verified.idempotency_key.is_empty());
    assert!(matches!(verified.iss.scheme(), "https" | "http"));
    // A truncated or extended signature is invalid.
    assert!(verify(&token[..token.len() - 4]).is_err() && verify(&format!("{token}AAAA")).is_err());
    true
}

fn verify(token: &str) -> Result<Verified, super::token::TokenError> {
    let ring = [TokenSigner::new("main", CLIENT, &SecretString::from(SECRET), None)];
    Unverified::parse(token)?.verify(&ring, None, NOW).map_err(|invalid| invalid.error)
}

fn bytes_of(part: &str) -> Vec<u8> {
    BASE64.decode(part).unwrap_or_default()
}

fn json_of(part: &str) -> Value {
    serde_json::from_slice(&bytes_of(part)).unwrap_or_default()
}

fn mac512(secret: &str, signed: &str) -> Vec<u8> {
    let Ok(mac) = Hmac::<Sha512>::new_from_slice(secret.as_bytes()) else { return Vec::new() };
    mac.chain_update(signed).finalize().into_bytes().to_vec()
}

fn mac256(secret: &str, signed: &str) -> Vec<u8> {
    let Ok(mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return Vec::new() };
    mac.chain_update(signed).finalize().into_bytes().to_vec()
}

/// Checks the `return_url` in the first line for the `iss` in the second one; without a second line, the `iss` is
/// that URL's own host. Returns whether it may be called.
pub(crate) fn return_url(input: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(input) else { return false };
    let (text, iss) = text.split_once('\n').unwrap_or((text, text));
    let Ok(iss) = Url::parse(iss.trim_end()) else { return false };
    let allowed = ["*.kommo.com", "*.amocrm.ru", "*.amocrm.com"];
    let allowed = allowed.iter().filter_map(|pattern| pattern.parse().ok()).collect();
    let Ok(url) = return_url::check(text, &iss, &HostRules { allowed, insecure: false }) else {
        return false;
    };

    // Parsed by hand, because attackers know URL parsers better than we do.
    let called = url.as_str();
    let rest = called.strip_prefix("https://").unwrap_or_default();
    let (host, path) = rest.split_once('/').unwrap_or_default();
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"@:\\%?#[]\"<>^`{|}".contains(&byte);
    assert!(host.bytes().all(is_plain), "not just a host: {called}");
    assert!(!host.bytes().any(|byte| byte.is_ascii_uppercase()));
    let ends = [".kommo.com", ".amocrm.ru", ".amocrm.com"];
    assert!(ends.iter().any(|end| host.len() > end.len() && host.ends_with(end)), "a stranger: {called}");
    assert_eq!(iss.origin().ascii_serialization(), format!("https://{host}"), "another account");
    let parts: Vec<&str> = path.split('/').collect();
    let ["api", "v4", "salesbot" | "marketingbot", bot, "continue", wait] = parts[..] else {
        panic!("another path: {called}")
    };
    assert!(!bot.is_empty() && bot.bytes().all(|byte| byte.is_ascii_digit()), "{called}");
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    assert!((1..=128).contains(&wait.len()) && wait.bytes().all(is_legal), "{called}");
    assert_eq!((url.origin(), url.continue_id()), (format!("https://{host}").as_str(), wait));
    assert_eq!(called.parse(), Ok(url), "parsing the called URL yields another one");
    true
}
