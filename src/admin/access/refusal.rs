//! Why access is refused, and what a program or a person gets instead.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::header::{LOCATION, SET_COOKIE, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};

use crate::problem::{ProblemDetails, SendAfter};

use super::destination::login_leading_to;
use super::page;
use super::path_kinds::LOGIN;
use super::session::{SessionRefusal, remove_cookie};

/// The delay before the response to a wrong token. A full listener may close the connection meanwhile, so guessing
/// takes no slot from others. A correct token never waits.
pub(super) const WRONG_TOKEN_PAUSE: Duration = Duration::from_secs(1);

/// Why access is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// A token is set, but the request has neither a token nor a session.
    NoToken,
    /// The token is wrong.
    WrongToken,
    /// The cookie is not a valid session.
    Session(SessionRefusal),
    /// The role may only read.
    ReadOnly,
    /// No token is set, and the `Host` is a DNS name, which anyone could make point here.
    ForeignHost,
    /// No token is set, and the request comes from a web page of another site.
    CrossSiteWithoutToken,
    /// The request has a session or is a login, and comes from a web page of another site.
    CrossSite,
    /// Nothing shows that the form comes from a page of this listener.
    UnknownOrigin,
    /// The field `csrf` is missing or wrong.
    Csrf,
    /// A session writes at the API.
    ProgramsOnly,
    /// The body is not a form.
    NotAForm,
    /// The form is larger than this many bytes.
    LargeForm(usize),
    /// The form did not arrive completely, or not in time.
    IncompleteForm,
}

/// What the refused caller expects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Expects {
    /// JSON.
    Problem,
    /// A page, as the response to a form.
    Page,
    /// The page at this address.
    PageAt(String),
    /// The end of the session.
    Logout,
}

impl Refusal {
    /// Returns the label of the metric and the log line; `None` if it is not a reason to look: the caller is only sent to
    /// the login.
    pub(super) const fn reason(self, expects: &Expects) -> Option<&'static str> {
        Some(match self {
            Self::NoToken if !matches!(expects, Expects::Problem) => return None,
            Self::NoToken => "token_missing",
            Self::WrongToken => "token_wrong",
            Self::Session(SessionRefusal::Invalid) => "session_invalid",
            Self::Session(SessionRefusal::Ended) => "session_ended",
            Self::ReadOnly => "read_only",
            Self::ForeignHost => "foreign_host",
            Self::CrossSite | Self::CrossSiteWithoutToken | Self::UnknownOrigin => "cross_site",
            Self::Csrf => "csrf",
            Self::ProgramsOnly => "session_at_api",
            Self::NotAForm | Self::LargeForm(_) | Self::IncompleteForm => "bad_form",
        })
    }

    /// Responds to the caller. `has_layout` says that a problem is shown to the caller as a page with the navigation.
    pub(super) fn respond(self, expects: Expects, has_layout: bool) -> Response {
        let must_sign_in = matches!(self, Self::NoToken | Self::Session(_));
        match expects {
            Expects::PageAt(next) if must_sign_in => see_other(&login_leading_to(&next, &[])),
            Expects::Logout if must_sign_in => {
                let mut response = see_other(LOGIN);
                set_cookie(&mut response, &remove_cookie());
                response
            }
            Expects::Problem => self.problem(),
            Expects::Page | Expects::PageAt(_) if has_layout && self.is_about_the_form() => self.problem(),
            Expects::Page | Expects::PageAt(_) | Expects::Logout => {
                let (status, _, title, detail) = self.parts();
                let response = (status, page::refused(title, detail, must_sign_in)).into_response();
                self.complete(response)
            }
        }
    }

    /// Whether the caller may see the page of the form, only not send the form like this.
    const fn is_about_the_form(self) -> bool {
        matches!(
            self,
            Self::ReadOnly | Self::Csrf | Self::NotAForm | Self::LargeForm(_) | Self::IncompleteForm
        )
    }

    fn problem(self) -> Response {
        let (status, slug, title, detail) = self.parts();
        self.complete(ProblemDetails::new(status, slug, title, detail).into_response())
    }

    /// Adds the headers and the delay of this refusal.
    fn complete(self, mut response: Response) -> Response {
        if self == Self::WrongToken {
            response.extensions_mut().insert(SendAfter(WRONG_TOKEN_PAUSE));
        }
        let challenge = match self {
            Self::NoToken => r#"Bearer realm="salesbot-bridge admin""#,
            Self::WrongToken | Self::Session(_) => {
                r#"Bearer realm="salesbot-bridge admin", error="invalid_token""#
            }
            Self::ReadOnly => r#"Bearer realm="salesbot-bridge admin", error="insufficient_scope""#,
            _ => return response,
        };
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        response
    }

    /// The status, the slug, the title, and what to do.
    const fn parts(self) -> (StatusCode, &'static str, &'static str, &'static str) {
        match self {
            Self::NoToken => (
                StatusCode::UNAUTHORIZED,
                "admin-token-missing",
                "Token missing",
                "Send `Authorization: Bearer TOKEN` with the value of admin.token. To look, the value of admin.read_token \
                 is enough.",
            ),
            Self::WrongToken => (
                StatusCode::UNAUTHORIZED,
                "admin-token-wrong",
                "Wrong token",
                "The token matches neither admin.token nor admin.read_token.",
            ),
            Self::Session(_) => (
                StatusCode::UNAUTHORIZED,
                "session-ended",
                "The session has ended",
                "It expired, was ended by a logout, or its token has changed. Sign in, and repeat what you did.",
            ),
            Self::ReadOnly => (
                StatusCode::FORBIDDEN,
                "read-only",
                "This token may only read",
                "admin.read_token changes nothing. Sign in with admin.token, or send it, to do this.",
            ),
            Self::ForeignHost => (
                StatusCode::FORBIDDEN,
                "foreign-host",
                "Foreign host",
                "Without admin.token, the URL must contain an IP address or localhost. \
                 Set admin.token to use another host name.",
            ),
            Self::CrossSiteWithoutToken => (
                StatusCode::FORBIDDEN,
                "cross-site",
                "Cross-site request",
                "Without admin.token, requests from pages of another origin are refused. \
                 Set admin.token and send it.",
            ),
            Self::CrossSite => (
                StatusCode::FORBIDDEN,
                "cross-site",
                "Cross-site request",
                "The request comes from a page of another origin. If it comes from a page of this bridge, the reverse proxy \
                 changes the Host: configure it to pass on the Host that the browser sends.",
            ),
            Self::UnknownOrigin => (
                StatusCode::FORBIDDEN,
                "unknown-origin",
                "Unknown origin",
                "Nothing shows which page the form comes from. Send the form from a page of this bridge. A program sends the \
                 header Origin with the URL of this listener, or uses the API.",
            ),
            Self::Csrf => (
                StatusCode::FORBIDDEN,
                "csrf",
                "The form is out of date",
                "The form does not belong to this session. Load its page again, and repeat what you did.",
            ),
            Self::ProgramsOnly => (
                StatusCode::FORBIDDEN,
                "session-at-api",
                "The API needs a token",
                "A session changes nothing at the API. Use a page, or send `Authorization: Bearer TOKEN`.",
            ),
            Self::NotAForm => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "not-a-form",
                "Not a form",
                "Send a form: `Content-Type: application/x-www-form-urlencoded`. For JSON, use the API with a token.",
            ),
            Self::LargeForm(_) => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "large-form",
                "The form is too large",
                "Send less at once, or use the API with a token.",
            ),
            Self::IncompleteForm => (
                StatusCode::BAD_REQUEST,
                "incomplete-form",
                "The form is incomplete",
                "It did not arrive completely, or not in time. Send it again.",
            ),
        }
    }
}

/// Leads a browser to another page, with GET.
pub(super) fn see_other(address: &str) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    // Addresses are checked and percent-encoded.
    if let Ok(address) = HeaderValue::from_str(address) {
        response.headers_mut().insert(LOCATION, address);
    }
    response
}

/// Sets or removes the cookie.
pub(super) fn set_cookie(response: &mut Response, cookie: &str) {
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
}
