//! Decides, from the head of a request, who the caller is and what they may do. Pure: the clock comes in.
//!
//! | credentials | may read | may write |
//! |---|---|---|
//! | a bearer token | everything | with `admin.token`, everything |
//! | the cookie of a session | everything, except from a page of another origin | with `admin.token`, pages: a form with `csrf`, from a page of this origin |
//! | none, if no token is set | everything, with a local `Host`, except from a page of another origin | the API; pages: as above |

use http::header::AUTHORIZATION;
use http::{HeaderMap, Method};
use secrecy::{ExposeSecret, SecretString};
use std::sync::Arc;
use subtle::ConstantTimeEq;

use crate::secrets::SharedSecret;
use model::Timestamp;

use super::origin::{has_local_host, is_cross_site, is_same_origin, opens_a_page};
use super::path_kinds::{LOGOUT, is_for_programs, is_open, is_probe};
use super::refusal::Refusal;
use super::role::Role;
use super::session::{Session, SessionRefusal, cookie};

/// The tokens that give access.
pub(super) struct Tokens {
    pub(super) full: SharedSecret,
    pub(super) read: Option<SharedSecret>,
}

impl Tokens {
    pub(super) fn of(&self, role: Role) -> Option<Arc<SecretString>> {
        match role {
            Role::Operator => Some(self.full.get()),
            Role::Reader => self.read.as_ref().map(SharedSecret::get),
        }
    }

    /// The role of a token that a caller sends; `None` if it is wrong. If both tokens were equal, it could only read.
    pub(super) fn role_of(&self, given: &str) -> Option<Role> {
        let is = |role| {
            self.of(role)
                .is_some_and(|token| bool::from(given.as_bytes().ct_eq(token.expose_secret().as_bytes())))
        };
        let (full, read) = (is(Role::Operator), is(Role::Reader));
        if read { Some(Role::Reader) } else { full.then_some(Role::Operator) }
    }

    /// The session of a request, apart from whether it was ended; `None` if it has no cookie.
    pub(super) fn session(
        &self,
        headers: &HeaderMap,
        now: Timestamp,
    ) -> Option<Result<Session, SessionRefusal>> {
        let value = cookie(headers)?;
        Some(value.and_then(|value| Session::open(value, now, |role| self.of(role))))
    }
}

/// The head of a request.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) method: &'a Method,
    pub(super) path: &'a str,
    pub(super) headers: &'a HeaderMap,
}

/// Who a caller is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caller {
    /// Anyone, at a path that needs no login.
    Anyone,
    /// A program with a token.
    Bearer(Role),
    /// A browser with a session.
    Browser(Session),
    /// A caller on this machine; no token is set.
    Local,
}

/// What the head of a request allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Allowed {
    pub(super) caller: Caller,
    /// Whether the body must be a form with the right field `csrf`.
    pub(super) needs_form: bool,
}

/// Decides on a request. `tokens` is `None` if none is set.
pub(super) fn decide(
    asked: Asked<'_>,
    tokens: Option<&Tokens>,
    is_ended: impl Fn(&Session) -> bool,
    now: Timestamp,
) -> Result<Allowed, Refusal> {
    let Asked { path, headers, .. } = asked;
    if is_probe(path) {
        return Ok(Allowed { caller: Caller::Anyone, needs_form: false });
    }
    let Some(tokens) = tokens else { return decide_without_tokens(asked) };
    if is_open(path) {
        // Another site must not sign a browser in.
        let is_foreign = !asked.only_reads() && is_cross_site(headers);
        let anyone = Allowed { caller: Caller::Anyone, needs_form: false };
        return if is_foreign { Err(Refusal::CrossSite) } else { Ok(anyone) };
    }
    let (caller, role) = if let Some(token) = bearer(headers) {
        let role = tokens.role_of(token).ok_or(Refusal::WrongToken)?;
        (Caller::Bearer(role), role)
    } else {
        let session = tokens.session(headers, now).ok_or(Refusal::NoToken)?.map_err(Refusal::Session)?;
        if is_ended(&session) {
            return Err(Refusal::Session(SessionRefusal::Ended));
        }
        (Caller::Browser(session), session.role)
    };
    if matches!(caller, Caller::Browser(_)) && is_cross_site(headers) {
        let follows_a_link = asked.only_reads() && !is_for_programs(path) && opens_a_page(headers);
        if !follows_a_link {
            return Err(Refusal::CrossSite);
        }
    }
    // Everyone may end their own session.
    if !asked.only_reads() && role == Role::Reader && path != LOGOUT {
        return Err(Refusal::ReadOnly);
    }
    match caller {
        Caller::Browser(_) if !asked.only_reads() => {
            if is_for_programs(path) {
                return Err(Refusal::ProgramsOnly);
            }
            asked.needs_own_form(caller)
        }
        _ => Ok(Allowed { caller, needs_form: false }),
    }
}

fn decide_without_tokens(asked: Asked<'_>) -> Result<Allowed, Refusal> {
    if !has_local_host(asked.headers) {
        return Err(Refusal::ForeignHost);
    }
    // This includes reads: a page cannot see the response, but its time and size would reveal whether a search found
    // something.
    if is_cross_site(asked.headers) {
        return Err(Refusal::CrossSiteWithoutToken);
    }
    let caller = Caller::Local;
    // Programs write at the API, which has no forms: `curl` marks any body as a form.
    if asked.only_reads() || is_for_programs(asked.path) || is_open(asked.path) {
        return Ok(Allowed { caller, needs_form: false });
    }
    asked.needs_own_form(caller)
}

impl Asked<'_> {
    fn only_reads(&self) -> bool {
        matches!(*self.method, Method::GET | Method::HEAD)
    }

    fn needs_own_form(&self, caller: Caller) -> Result<Allowed, Refusal> {
        if is_same_origin(self.headers) {
            Ok(Allowed { caller, needs_form: true })
        } else {
            Err(Refusal::UnknownOrigin)
        }
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim_start())
}

#[cfg(test)]
mod tests;
