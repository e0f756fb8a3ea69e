//! `/login` and `/logout`.

use std::sync::Arc;

use axum::extract::{RawQuery, Request, State};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use url::form_urlencoded;

use crate::problem::{ProblemDetails, SendAfter};

use super::Access;
use super::decide::Caller;
use super::destination::{login_leading_to, within_listener};
use super::form;
use super::origin::{SEC_FETCH_SITE, is_cross_site};
use super::page::{self, LoginNote};
use super::path_kinds::{LOGIN, LOGOUT};
use super::refusal::{Expects, Refusal, WRONG_TOKEN_PAUSE, see_other, set_cookie};
use super::session::{Session, SessionId, cookie, remove_cookie, set_cookie as cookie_header};

/// The parameter that is set directly after a login: the cookie must be there now.
const SIGNED_IN: &str = "signed_in";

/// The routes of login and logout.
pub(in crate::admin) fn routes<S: Clone + Send + Sync + 'static>(access: Arc<Access>) -> Router<S> {
    Router::new().route(LOGIN, get(show).post(sign_in)).route(LOGOUT, post(sign_out)).with_state(access)
}

/// `GET /login`
async fn show(State(access): State<Arc<Access>>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let (mut next, mut signed_in) = (String::new(), false);
    for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        match &*name {
            "next" => next = value.into_owned(),
            SIGNED_IN => signed_in = true,
            _ => {}
        }
    }
    let next = within_listener(&next);
    if access.tokens.is_none() || access.session(&headers).is_some() {
        return see_other(&next);
    }
    if cookie(&headers).is_none() && headers.contains_key(SEC_FETCH_SITE) && is_cross_site(&headers) {
        return Html(page::once_more(&next).into_string()).into_response();
    }
    login(StatusCode::OK, signed_in.then_some(LoginNote::CookieNotKept), &next)
}

/// `POST /login`
async fn sign_in(State(access): State<Arc<Access>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let fields = match form::read(&parts.headers, body).await {
        Ok((_, fields)) => fields,
        Err(refusal) => {
            access.report(refusal, &Expects::Page);
            return refusal.respond(Expects::Page, false);
        }
    };
    let next = within_listener(fields.only("next").unwrap_or_default());
    let Some(tokens) = &access.tokens else { return see_other(&next) };
    // A copied token often has a line break at its end. No token contains one.
    let given = fields.only("token").unwrap_or_default().trim();
    let Some(role) = tokens.role_of(given) else {
        access.report(Refusal::WrongToken, &Expects::Page);
        let mut response = login(StatusCode::UNAUTHORIZED, Some(LoginNote::WrongToken), &next);
        response.extensions_mut().insert(SendAfter(WRONG_TOKEN_PAUSE));
        return response;
    };
    let mut id = SessionId::default();
    let (true, Some(token)) = ((access.random)(&mut id), tokens.of(role)) else { return no_random() };
    let now = access.clock.now();
    if let Some(earlier) = access.session(&parts.headers) {
        access.ended.end(&earlier, now);
    }
    let session = Session::begin(role, id, now);
    tracing::info!(role = role.key(), session = session.short_id(), "signed in to the admin listener");
    let mut response = see_other(&login_leading_to(&next, &[(SIGNED_IN, "1")]));
    set_cookie(&mut response, &cookie_header(&session.sign(&token)));
    response
}

/// `POST /logout`. The guard has checked the form.
async fn sign_out(State(access): State<Arc<Access>>, Extension(caller): Extension<Caller>) -> Response {
    if let Caller::Browser(session) = caller {
        access.ended.end(&session, access.clock.now());
        tracing::info!(
            role = session.role.key(),
            session = session.short_id(),
            "signed out of the admin listener"
        );
    }
    let mut response = see_other(LOGIN);
    set_cookie(&mut response, &remove_cookie());
    let clear = HeaderName::from_static("clear-site-data");
    response.headers_mut().insert(clear, HeaderValue::from_static("\"cache\""));
    response
}

fn login(status: StatusCode, note: Option<LoginNote>, next: &str) -> Response {
    (status, Html(page::login_page(note, next).into_string())).into_response()
}

fn no_random() -> Response {
    let detail = "The system provides no random bytes for a session. Send the token as a bearer instead.";
    ProblemDetails::new(StatusCode::SERVICE_UNAVAILABLE, "no-random", "No random bytes", detail)
        .into_response()
}
