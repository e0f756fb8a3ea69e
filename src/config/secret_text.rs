//! The form of a secret, and stray characters that do not belong to one.
//!
//! If a byte order mark, quotes or a space slips into a secret, Kommo refuses every request with 401. So each secret
//! is checked here whenever it is read or reread, wherever it comes from. A refusal says what to remove, and never
//! repeats any part of the secret.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use uuid::Uuid;

use model::ProxyUrl;

/// The purpose of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `integrations.NAME.client_secret`: 64 letters and digits, as Kommo makes them.
    ClientSecret,
    /// `accounts.NAME.access_token`: a JWT.
    AccessToken,
    /// `admin.token`: a text of the operator's choice, sent in a header.
    AdminToken,
    /// `store.encryption_key`: 32 bytes in base64.
    EncryptionKey,
    /// `store.url` in a file: a URL.
    StoreUrl,
    /// `delivery.proxy`: a URL, or `env`.
    Proxy,
    /// `handlers.NAME.secret`: `whsec_` and 24 to 64 bytes in base64.
    WebhookSecret,
    /// `handlers.NAME.auth`: the value of a header, which may contain a scheme and spaces.
    Authorization,
}

/// The placeholders of `config/default.toml` and the README, which must not be used as secrets.
const PLACEHOLDERS: &[&str] = &[
    "a-long-random-text",
    "another-long-random-text",
    "32-bytes-in-base64",
    "the-secret-key",
    "the-previous-secret-key",
    "the-long-lived-token",
    "whsec_24-to-64-bytes-in-base64",
    "bearer the-key-of-the-tool",
    "changeme",
    "change-me",
];

/// Returns what is wrong with a secret of `kind` under a key that ends in `name`; `None` if nothing is.
pub(super) fn refusal(text: &str, kind: Kind, name: &str) -> Option<String> {
    stray_text(text, kind, name).or_else(|| stray_character(text, kind)).or_else(|| wrong_form(text, kind))
}

/// Detects text around the secret, or in place of it.
fn stray_text(text: &str, kind: Kind, name: &str) -> Option<String> {
    if text.trim().is_empty() {
        return Some("must not be empty".to_owned());
    }
    if text.starts_with('\u{feff}') {
        return Some("begins with a byte order mark: save it as UTF-8 without one".to_owned());
    }
    if QUOTES.iter().any(|(open, close)| text.starts_with(*open) || text.trim_end().ends_with(*close)) {
        return Some("begins or ends with a quote, which would be part of it: remove the quotes".to_owned());
    }
    let start = |prefix: &str| {
        text.trim_start().get(..prefix.len()).is_some_and(|it| it.eq_ignore_ascii_case(prefix))
    };
    if kind == Kind::Authorization && start("Authorization:") {
        return Some("begins with `Authorization:`: remove that; the bridge adds it".to_owned());
    }
    if kind != Kind::Authorization && (start("Authorization:") || start("Bearer ")) {
        return Some("begins with `Authorization:` or `Bearer `: remove that; the bridge adds it".to_owned());
    }
    let behind = text.trim_start().get(name.len()..).filter(|_| start(name)).map(str::trim_start);
    if behind.is_some_and(|behind| behind.starts_with(['=', ':'])) {
        return Some(format!("begins with `{name}` and a separator: keep only what follows it"));
    }
    let is_variable = text.starts_with("${") || text.starts_with("$(") || text.starts_with("{{");
    let is_slot = text.starts_with('<') && text.ends_with('>');
    if is_variable || is_slot || PLACEHOLDERS.contains(&text.trim().to_ascii_lowercase().as_str()) {
        return Some("is a placeholder: replace it with the secret itself".to_owned());
    }
    None
}

/// Pairs of opening and closing quotes, straight and typographic.
const QUOTES: &[(char, char)] = &[
    ('"', '"'),
    ('\'', '\''),
    ('`', '`'),
    ('\u{201c}', '\u{201d}'),
    ('\u{2018}', '\u{2019}'),
    ('\u{ab}', '\u{bb}'),
];

/// Finds the first character that no secret contains. Only the value of a header may contain spaces, between its parts.
fn stray_character(text: &str, kind: Kind) -> Option<String> {
    let end = text.trim_end_matches(' ').chars().count();
    let may_be_inside =
        |at: usize, found: char| kind == Kind::Authorization && found == ' ' && 0 < at && at < end;
    let is_stray = |(at, found): &(usize, char)| !found.is_ascii_graphic() && !may_be_inside(*at, *found);
    let (at, found) = text.chars().enumerate().find(is_stray)?;
    let what = match found {
        '\n' | '\r' => "a line break".to_owned(),
        ' ' | '\t' => "a space".to_owned(),
        other if other.is_control() => format!("a control character (U+{:04X})", u32::from(other)),
        other => format!("a character that is not ASCII (U+{:04X})", u32::from(other)),
    };
    let place = if at == 0 {
        "begins with".to_owned()
    } else if text.chars().skip(at).all(char::is_whitespace) {
        "ends with".to_owned()
    } else {
        format!("contains, as character {},", at + 1)
    };
    Some(format!("{place} {what}: remove it; a secret is printable ASCII without spaces or line breaks"))
}

/// Detects a value that belongs to another key, or a secret in the wrong form.
fn wrong_form(text: &str, kind: Kind) -> Option<String> {
    let wrong = match kind {
        // The checks of a store's address know its form.
        Kind::AdminToken | Kind::Authorization | Kind::StoreUrl => return None,
        Kind::WebhookSecret => {
            let key = text.strip_prefix("whsec_").and_then(|key| BASE64_STANDARD.decode(key).ok());
            return (!key.is_some_and(|key| (24..=64).contains(&key.len()))).then(|| {
                "must be `whsec_` followed by 24 to 64 bytes in base64; create it with `echo whsec_$(openssl rand -base64 32)`"
                    .to_owned()
            });
        }
        Kind::Proxy => {
            let is_proxy = text == "env" || ProxyUrl::read(text).is_some();
            return (!is_proxy).then(|| format!("must be {}", ProxyUrl::ALLOWED));
        }
        Kind::EncryptionKey => {
            let is_key = BASE64_STANDARD.decode(text).is_ok_and(|bytes| bytes.len() == 32);
            return (!is_key)
                .then(|| "must be 32 bytes in base64; create it with `openssl rand -base64 32`".to_owned());
        }
        Kind::ClientSecret if is_uuid(text) => {
            "is an id, like client_uuid: use the integration's secret key, shown beside it in Kommo"
        }
        Kind::ClientSecret if is_jwt(text) => {
            "is a token, which belongs in accounts.NAME.access_token; use the integration's secret key"
        }
        Kind::AccessToken if is_uuid(text) => {
            "is an id, like client_uuid: use the account's long-lived token, three parts separated by dots"
        }
        _ if text.contains("://") => "is a URL: use the secret itself",
        _ if text.starts_with(['{', '[']) => "is JSON: keep only the secret inside it, without quotes",
        _ => return None,
    };
    Some(wrong.to_owned())
}

/// Whether a text is a UUID in Kommo's form: 36 characters, in either case.
pub(super) fn is_uuid(text: &str) -> bool {
    text.len() == 36 && Uuid::try_parse(text).is_ok()
}

/// Whether a text looks like a JWT: three parts, the first of which is the beginning of a JSON object in base64.
pub(super) fn is_jwt(text: &str) -> bool {
    text.starts_with("eyJ") && text.split('.').count() == 3
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
    const ID: &str = "9B2CF3A5-0c1e-4d57-8c6e-2f6f3f1f0d11";

    #[test]
    fn stray_text_around_a_secret_is_refused_for_every_kind() {
        let all = [Kind::ClientSecret, Kind::AccessToken, Kind::AdminToken, Kind::EncryptionKey, Kind::Proxy];
        for (text, part) in [
            ("", "must not be empty"),
            (" \n", "must not be empty"),
            ("\u{feff}hidden", "byte order mark"),
            ("\"hidden\"", "quotes"),
            ("'hidden'", "quotes"),
            ("\u{201c}hidden\u{201d}", "quotes"),
            ("hidden\"", "quotes"),
            ("Bearer hidden", "remove that"),
            ("bearer hidden", "remove that"),
            ("Authorization: Bearer hidden", "remove that"),
            ("the_key=hidden", "keep only what follows it"),
            ("the_key = hidden", "keep only what follows it"),
            ("THE_KEY: hidden", "keep only what follows it"),
            ("${HIDDEN}", "placeholder"),
            ("$(cat hidden)", "placeholder"),
            ("{{ hidden }}", "placeholder"),
            ("<hidden>", "placeholder"),
            (" hidden", "begins with a space"),
            ("hidden ", "ends with a space"),
            ("hidden\n", "ends with a line break"),
            ("hidden\r\n\n", "ends with a line break"),
            ("hid\nden", "contains, as character 4, a line break"),
            ("hid den", "contains, as character 4, a space"),
            ("hid\u{0}den", "a control character (U+0000)"),
            ("hid\u{200b}den", "not ASCII (U+200B)"),
            ("hid\u{a0}den", "not ASCII (U+00A0)"),
        ] {
            for kind in all {
                let why = refusal(text, kind, "the_key").unwrap_or_default();
                assert!(why.contains(part), "{text:?}: {why}");
                assert!(!why.contains("hidden") && !why.contains("den"), "{why}");
            }
        }
    }

    #[test]
    fn a_value_that_belongs_to_another_key_is_recognized() {
        let token = "eyJ0eXAi.eyJhdWQi.c2ln";
        for (text, kind, part) in [
            (ID, Kind::ClientSecret, "is an id"),
            (token, Kind::ClientSecret, "is a token"),
            (ID, Kind::AccessToken, "is an id"),
            ("https://a.kommo.com", Kind::AccessToken, "is a URL"),
            ("{\"access_token\":\"x\"}", Kind::AccessToken, "is JSON"),
            ("c2hvcnQ=", Kind::EncryptionKey, "32 bytes in base64"),
            (&KEY[..43], Kind::EncryptionKey, "32 bytes in base64"),
            (KEY, Kind::WebhookSecret, "whsec_"),
            ("whsec_c2hvcnQ=", Kind::WebhookSecret, "24 to 64 bytes"),
            ("whsec_%%%", Kind::WebhookSecret, "24 to 64 bytes"),
            ("Authorization: Bearer hidden", Kind::Authorization, "remove that"),
            (" Bearer hidden", Kind::Authorization, "begins with a space"),
            ("Bearer hidden ", Kind::Authorization, "ends with a space"),
            ("Bearer\thidden", Kind::Authorization, "contains, as character 7, a space"),
        ] {
            let why = refusal(text, kind, "x").unwrap_or_default();
            assert!(why.contains(part), "{text}: {why}");
        }
        for (text, kind) in [
            ("h4T6Hqf8", Kind::ClientSecret),
            (token, Kind::AccessToken),
            ("0123abcd", Kind::AccessToken),
            (ID, Kind::AdminToken),
            ("a=b$c{d}'e", Kind::AdminToken),
            (KEY, Kind::EncryptionKey),
            ("http://user:password@proxy:3128", Kind::Proxy),
            ("postgres://user:password@host/database", Kind::StoreUrl),
            ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", Kind::WebhookSecret),
            ("Bearer app-1", Kind::Authorization),
            ("Basic dXNlcjpwYXNzd29yZA==", Kind::Authorization),
            ("only-a-key", Kind::Authorization),
        ] {
            assert_eq!(refusal(text, kind, "x"), None, "{text}");
        }
    }

    #[test]
    fn every_example_of_a_secret_is_refused_as_a_placeholder() {
        let defaults = include_str!("../../config/default.toml");
        let named = |line: &str| {
            line.trim_start_matches('#')
                .split_once(" = ")
                .map(|(key, value)| (key.to_owned(), value.trim_matches('"').to_owned()))
        };
        let secrets =
            ["token", "read_token", "encryption_key", "client_secret", "access_token", "secret", "auth"];
        let examples: Vec<(String, String)> = defaults
            .lines()
            .filter(|line| line.starts_with('#'))
            .filter_map(named)
            .filter(|(key, _)| secrets.iter().any(|secret| key.trim_start_matches("previous_") == *secret))
            .collect();
        assert_eq!(examples.len(), 10, "{examples:?}");
        for (key, value) in examples {
            let kind = if key == "auth" { Kind::Authorization } else { Kind::AdminToken };
            let why = refusal(&value, kind, &key).unwrap_or_default();
            assert!(why.contains("placeholder"), "{key} = {value}: {why}");
        }
    }

    #[test]
    fn an_id_may_have_either_case_but_only_one_form() {
        for (text, expected) in [
            (ID, true),
            ("9b2cf3a50c1e4d578c6e2f6f3f1f0d11", false),
            ("{9b2cf3a5-0c1e-4d57-8c6e-2f6f3f1f0d11}", false),
            ("9b2cf3a5-0c1e-4d57-8c6e-2f6f3f1f0d1g", false),
            ("id", false),
        ] {
            assert_eq!(is_uuid(text), expected, "{text}");
        }
    }
}
