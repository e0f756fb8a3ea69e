//! The page that a person sees after an authorization, successful or not.
//!
//! It is self-contained: it has no script and loads nothing. Its content security policy allows only its own style,
//! by hash. `maud` escapes all text from outside.

use std::sync::LazyLock;

use axum::response::{Html, IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::header::CONTENT_SECURITY_POLICY;
use http::{HeaderValue, StatusCode};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

use crate::accounts::{Connected, Kept};
use model::AccountState;

use super::refusal::Refusal;

const STYLE: &str = include_str!("page.css");

static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = BASE64_STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
});

/// The kind of result, which the sign at the top of the page shows.
#[derive(Clone, Copy)]
enum Mood {
    Good,
    Bad,
    Calm,
}

/// Returns the page for an account that is now connected.
pub(super) fn connected(connected: &Connected) -> Markup {
    let before = match connected.was {
        None => "The bridge can now continue this account's bots.",
        Some(AccountState::Active) => {
            "This account was already connected. The bridge now has new tokens for it."
        }
        Some(AccountState::NeedsAuthorization) => "The bridge can continue this account's bots again.",
        Some(AccountState::Revoked) => "The bridge accepts this account's requests again.",
    };
    let body = html! {
        (facts(connected))
        p { (before) " Answers that waited for it are going out now." }
        (all_done(connected))
    };
    layout(Mood::Good, "The account is connected", &body)
}

/// Returns the page for a repeated call whose account is still connected.
pub(super) fn repeated(connected: &Connected) -> Markup {
    let body = html! {
        (facts(connected))
        p { "This page was loaded again. The account was connected the first time; nothing else was done." }
        (all_done(connected))
    };
    layout(Mood::Good, "The account is connected", &body)
}

fn facts(connected: &Connected) -> Markup {
    html! {
        dl {
            div { dt { "Account" } dd { (host(&connected.origin)) } }
            div { dt { "Number" } dd { (connected.account_id) } }
            div { dt { "Integration" } dd { (connected.integration) } }
        }
    }
}

fn all_done(connected: &Connected) -> Markup {
    html! {
        p { "You are done: you can close this window, or go back to "
            a href=(connected.origin) { (host(&connected.origin)) } "." }
    }
}

/// Returns the page for an installation that is not finished yet.
pub(super) fn kept(kept: &Kept) -> Markup {
    let host = host(&kept.origin);
    let body = html! {
        dl {
            div { dt { "Account" } dd { (host) } }
            div { dt { "Integration" } dd { (kept.integration) } }
        }
        @if kept.needs_confirmation {
            p { "The bridge does not know this account yet, so it sent nothing to this address." }
            h2 { "What to do" }
            p { "Ask the bridge's operator to run " code { "salesbot-bridge accounts confirm " (host) } " within 20 minutes." }
        } @else {
            p { "The bridge cannot finish this installation right now. It will finish automatically when its turn comes." }
        }
    };
    layout(Mood::Calm, "The installation is not finished yet", &body)
}

/// Returns the page for a person who refused access.
pub(super) fn denied() -> Markup {
    let body = html! {
        p { "You refused access in Kommo, so nothing was changed. If the account was already connected, it still is." }
        h2 { "If this was a mistake" }
        p { "Open the link again and allow access." }
    };
    layout(Mood::Calm, "Nothing was changed", &body)
}

/// Returns the page for an account that was not connected.
pub(super) fn refused(refusal: &Refusal) -> Markup {
    let body = html! {
        p { (with_code(&refusal.wrong())) }
        h2 { "What to do" }
        p { (with_code(refusal.advice())) }
    };
    layout(Mood::Bad, "The account was not connected", &body)
}

/// Creates a response with a page.
pub(super) fn respond(status: StatusCode, page: Markup) -> Response {
    let mut response = (status, Html(page.into_string())).into_response();
    // Base64 and fixed text are valid in a header.
    if let Ok(policy) = HeaderValue::from_str(&POLICY) {
        response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// Returns the host, with the port unless it is the scheme's default: `example.kommo.com`.
pub(super) fn host(origin: &str) -> &str {
    origin.split_once("://").map_or(origin, |(_, host)| host)
}

fn layout(mood: Mood, title: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="robots" content="noindex";
                title { (title) " · salesbot-bridge" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    (sign(mood))
                    h1 { (title) }
                    (body)
                    footer { "salesbot-bridge" }
                }
            }
        }
    }
}

fn sign(mood: Mood) -> Markup {
    let (class, path) = match mood {
        Mood::Good => ("sign good", "M4 12.5l5.5 5.5L20 6.5"),
        Mood::Bad => ("sign bad", "M6 6l12 12M18 6L6 18"),
        Mood::Calm => ("sign calm", "M5 12h14"),
    };
    html! {
        svg class=(class) viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2.5"
            stroke-linecap="round" stroke-linejoin="round" aria-hidden="true" { path d=(path) {} }
    }
}

/// Formats text between backticks as code.
fn with_code(text: &str) -> Markup {
    html! {
        @for (index, part) in text.split('`').enumerate() {
            @if index % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kommo::{GrantError, Reason};

    use crate::accounts::ConnectError;
    use model::AccountId;

    fn account(integration: &str, was: Option<AccountState>) -> Connected {
        Connected {
            account_id: AccountId(31_000_001),
            origin: "https://example.kommo.com".into(),
            integration: integration.into(),
            was,
        }
    }

    #[test]
    fn the_page_names_the_account_and_integration_and_says_that_answers_go_out() {
        let text = connected(&account("main", None)).into_string();
        for word in ["example.kommo.com", "31000001", "main", "going out", "close this window", "lang=\"en\""]
        {
            assert!(text.contains(word), "{word} in\n{text}");
        }
        let others = AccountState::ALL.map(|was| connected(&account("main", Some(was))).into_string());
        let all: std::collections::BTreeSet<&String> = others.iter().chain([&text]).collect();
        assert_eq!(all.len(), 4, "each previous state has its own text");
    }

    #[test]
    fn a_failure_page_says_what_is_wrong_and_what_to_do() {
        let refusal = Refusal::Connect(ConnectError::NoRedirectUri("main".into()));
        let text = refused(&refusal).into_string();
        for word in ["was not connected", "<code>integrations.main.redirect_uri</code>", "What to do"] {
            assert!(text.contains(word), "{word} in\n{text}");
        }
    }

    #[test]
    fn text_from_outside_is_escaped() {
        let hostile = "<script>alert(1)</script>`<b>`\"";
        let refusal =
            Refusal::Connect(ConnectError::Code(GrantError::Unavailable(Reason::new(hostile)).into()));
        for page in [refused(&refusal), connected(&account(hostile, None))] {
            let text = page.into_string();
            assert!(
                text.contains("&lt;script&gt;") && !text.contains("<script") && !text.contains("<b>"),
                "{text}"
            );
        }
    }

    #[test]
    fn the_policy_allows_only_the_pages_own_style() {
        let response = respond(StatusCode::OK, denied());
        let policy = response.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap();
        let text = denied().into_string();
        let (_, rest) = text.split_once("<style>").unwrap();
        let (style, _) = rest.split_once("</style>").unwrap();
        let hash = BASE64_STANDARD.encode(Sha256::digest(style));
        assert!(policy.starts_with(&format!("default-src 'none'; style-src 'sha256-{hash}';")), "{policy}");
        assert!(!text.contains("<script") && !text.contains(" style="), "{text}");
        assert!(!text.contains("src=") && !text.contains("url("), "nothing is loaded");
    }
}
