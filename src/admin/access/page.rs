//! The pages of the login, and of a refusal. Only this file has their markup.

use axum::response::{Html, IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};

use crate::admin::pages::{Icon, head, icon};

use super::destination::login_leading_to;
use super::path_kinds::LOGIN;

/// What a login page says above its form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LoginNote {
    /// The token was wrong.
    WrongToken,
    /// The browser did not send back the cookie of a successful login.
    CookieNotKept,
}

/// Returns the login, which leads to `next`.
pub(super) fn login_page(note: Option<LoginNote>, next: &str) -> Markup {
    let body = html! {
        form class="panel stack" method="post" action=(LOGIN) {
            h1 { "Sign in" }
            @match note {
                None => {}
                Some(LoginNote::WrongToken) => p role="alert" {
                    "This is neither " code { "admin.token" } " nor " code { "admin.read_token" }
                    ". Copy it from the bridge's configuration or secret file."
                }
                Some(LoginNote::CookieNotKept) => div role="alert" {
                    p { "The token is right, but this browser did not keep the session cookie." }
                    ul {
                        li { "Open the bridge by https, through a reverse proxy." }
                        li { "Or forward its port with " code { "ssh -L 9090:127.0.0.1:9090 HOST" } ", and open "
                             code { "http://localhost:9090" } ". Safari keeps the cookie only with https." }
                        li { "If this already is the case, allow cookies for this address." }
                    }
                }
            }
            input name="username" value="operator" autocomplete="username" hidden;
            input type="hidden" name="next" value=(next);
            div {
                label for="token" { "Admin token" }
                input id="token" name="token" type="password" autocomplete="current-password" required
                    aria-describedby="token-help";
            }
            p class="sub" id="token-help" {
                code { "admin.token" } " allows every action. " code { "admin.read_token" }
                " only looks. The session ends after 12 hours."
            }
            button class="btn go" type="submit" { "Sign in" }
        }
        p class="sub" {
            "No token at hand? On the bridge's machine, " code { "salesbot-bridge jobs list" } " and "
            code { "explain ID" } " answer the same questions."
        }
    };
    alone("Sign in", None, &body)
}

/// Returns a page that loads the login again. A browser that follows a link from another site sends no cookie; the next
/// request comes from this page, so it sends the cookie if it has one.
pub(super) fn once_more(next: &str) -> Markup {
    let address = login_leading_to(next, &[]);
    let body = html! { p { a href=(address) { "Continue to the bridge" } } };
    alone("Continue", Some(&address), &body)
}

/// Returns the page of a refusal.
pub(super) fn refused(title: &str, detail: &str, must_sign_in: bool) -> Response {
    let body = html! {
        div class="panel stack" {
            h1 { (title) }
            p { (detail) }
            @if must_sign_in {
                p { a class="btn go" href=(LOGIN) { "Sign in" } }
            } @else {
                p { a class="btn" href="/" { "Back to the start page" } }
            }
        }
    };
    Html(alone(title, None, &body).into_string()).into_response()
}

/// A page without navigation.
fn alone(title: &str, refresh: Option<&str>, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            (head(title, refresh))
            body class="alone" {
                main class="stack" {
                    p class="brand" { (icon(Icon::Delivering)) "salesbot-bridge" }
                    (body)
                }
            }
        }
    }
}
