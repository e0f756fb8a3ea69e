//! What a secret looks like, and what does not belong to it.
//!
//! A secret with a byte order mark, quotes or a space in it is a text like any other, and then Kommo refuses every request
//! with 401. So each secret is held against this table when it is read, from whatever place, and each time it is read again.
//! A refusal says what to take out, and never repeats a part of the secret.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use uuid::Uuid;

use model::ProxyUrl;

/// What a secret is for.
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
    /// `delivery.proxy`: a URL, or `env`.
    Proxy,
}

/// The examples of `config/default.toml` and the README: taken over as they are, they are no secrets.
const PLACEHOLDERS: &[&str] = &[
    "a-long-random-text",
    "32-bytes-in-base64",
    "the-secret-key",
    "the-secret-key-of-before",
    "the-long-lived-token",
    "changeme",
    "change-me",
];

/// Says what is wrong with a secret of `kind` whose key ends in `name`; `None` if it can be one.
pub(super) fn refusal(text: &str, kind: Kind, name: &str) -> Option<String> {
    mistaken(text, name).or_else(|| character(text)).or_else(|| shape(text, kind))
}

/// What was written along with the secret, or in its place.
fn mistaken(text: &str, name: &str) -> Option<String> {
    if text.trim().is_empty() {
        return Some("must not be empty".to_owned());
    }
    if text.starts_with('\u{feff}') {
        return Some("begins with a byte order mark: save it as UTF-8 without one".to_owned());
    }
    if QUOTES.iter().any(|(open, close)| text.starts_with(*open) || text.trim_end().ends_with(*close)) {
        return Some(
            "has a quote at its beginning or end that would be part of it: remove the quotes".to_owned(),
        );
    }
    let start = |prefix: &str| {
        text.trim_start().get(..prefix.len()).is_some_and(|it| it.eq_ignore_ascii_case(prefix))
    };
    if start("Authorization:") || start("Bearer ") {
        return Some("begins with `Authorization:` or `Bearer `: remove that; the bridge adds it".to_owned());
    }
    let behind = text.trim_start().get(name.len()..).filter(|_| start(name)).map(str::trim_start);
    if behind.is_some_and(|behind| behind.starts_with(['=', ':'])) {
        return Some(format!("begins with `{name}` and a separator: keep only what follows it"));
    }
    let is_variable = text.starts_with("${") || text.starts_with("$(") || text.starts_with("{{");
    let is_slot = text.starts_with('<') && text.ends_with('>');
    if is_variable || is_slot || PLACEHOLDERS.contains(&text.trim().to_ascii_lowercase().as_str()) {
        return Some("is a placeholder: put the secret itself in its place".to_owned());
    }
    None
}

/// Straight and typographic quotes, as they open and close.
const QUOTES: &[(char, char)] = &[
    ('"', '"'),
    ('\'', '\''),
    ('`', '`'),
    ('\u{201c}', '\u{201d}'),
    ('\u{2018}', '\u{2019}'),
    ('\u{ab}', '\u{bb}'),
];

/// The first character that is in no secret.
fn character(text: &str) -> Option<String> {
    let (at, found) = text.chars().enumerate().find(|(_, found)| !found.is_ascii_graphic())?;
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
        format!("holds, as character {},", at + 1)
    };
    Some(format!("{place} {what}: remove it; a secret is printable ASCII without spaces and line breaks"))
}

/// What another value of the configuration looks like, or another form than the one that is asked for.
fn shape(text: &str, kind: Kind) -> Option<String> {
    let wrong = match kind {
        Kind::AdminToken => return None,
        Kind::Proxy => {
            let is_proxy = text == "env" || ProxyUrl::read(text).is_some();
            return (!is_proxy).then(|| format!("must be {}", ProxyUrl::ALLOWED));
        }
        Kind::EncryptionKey => {
            let is_key = BASE64_STANDARD.decode(text).is_ok_and(|bytes| bytes.len() == 32);
            return (!is_key)
                .then(|| "must be 32 bytes in base64; `openssl rand -base64 32` makes them".to_owned());
        }
        Kind::ClientSecret if is_uuid(text) => {
            "is an id, like client_uuid: write the integration's secret key, which is beside it in Kommo"
        }
        Kind::ClientSecret if is_jwt(text) => {
            "is a token, which belongs in accounts.NAME.access_token; write the integration's secret key"
        }
        Kind::AccessToken if is_uuid(text) => {
            "is an id, like client_uuid: write the account's long-lived token, which has three parts with dots between"
        }
        _ if text.contains("://") => "is an address: write the secret itself",
        _ if text.starts_with(['{', '[']) => "is JSON: keep only the secret that is in it, without quotes",
        _ => return None,
    };
    Some(wrong.to_owned())
}

/// Whether a text is a UUID as Kommo writes it: 36 characters, in either case.
pub(super) fn is_uuid(text: &str) -> bool {
    text.len() == 36 && Uuid::try_parse(text).is_ok()
}

/// Three parts, and the first is the beginning of a JSON object in base64.
pub(super) fn is_jwt(text: &str) -> bool {
    text.starts_with("eyJ") && text.split('.').count() == 3
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
    const ID: &str = "9B2CF3A5-0c1e-4d57-8c6e-2f6f3f1f0d11";

    #[test]
    fn what_does_not_belong_to_a_secret_is_named_for_every_kind() {
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
            ("hid\nden", "holds, as character 4, a line break"),
            ("hid den", "holds, as character 4, a space"),
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
    fn a_value_in_the_wrong_place_is_recognized_where_it_can_be() {
        let token = "eyJ0eXAi.eyJhdWQi.c2ln";
        for (text, kind, part) in [
            (ID, Kind::ClientSecret, "is an id"),
            (token, Kind::ClientSecret, "is a token"),
            (ID, Kind::AccessToken, "is an id"),
            ("https://a.kommo.com", Kind::AccessToken, "is an address"),
            ("{\"access_token\":\"x\"}", Kind::AccessToken, "is JSON"),
            ("c2hvcnQ=", Kind::EncryptionKey, "32 bytes in base64"),
            (&KEY[..43], Kind::EncryptionKey, "32 bytes in base64"),
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
        ] {
            assert_eq!(refusal(text, kind, "x"), None, "{text}");
        }
    }

    #[test]
    fn every_example_of_a_secret_is_known_for_one() {
        let defaults = include_str!("../../config/default.toml");
        let named = |line: &str| {
            line.trim_start_matches('#')
                .split_once(" = ")
                .map(|(key, value)| (key.to_owned(), value.trim_matches('"').to_owned()))
        };
        let secrets = ["token", "encryption_key", "client_secret", "access_token"];
        let examples: Vec<(String, String)> = defaults
            .lines()
            .filter(|line| line.starts_with('#'))
            .filter_map(named)
            .filter(|(key, _)| secrets.iter().any(|secret| key.trim_start_matches("previous_") == *secret))
            .collect();
        assert_eq!(examples.len(), 6, "{examples:?}");
        for (key, value) in examples {
            let why = refusal(&value, Kind::AdminToken, &key).unwrap_or_default();
            assert!(why.contains("placeholder"), "{key} = {value}: {why}");
        }
    }

    #[test]
    fn an_id_is_taken_in_either_case_and_in_one_form() {
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
