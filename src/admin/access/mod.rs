//! Access to the admin listener: who a caller is, and what they may do. Every request passes [`check`], whatever its route.
//!
//! - [`decide`] decides from the head of a request, as a table. Every method other than GET and HEAD needs
//!   [`Role::Operator`]; no route can forget it.
//! - A browser signs in ([`login`]) and gets a signed cookie ([`session`]). A program sends a token with each request.
//! - A form of a page needs the field `csrf` of its session, and a header that shows that it comes from this listener.
//!
//! Handlers read the extension [`Visitor`], and write to the store as the extension `Actor`. Each refusal is counted in
//! `bridge_admin_refused_total{reason}`. The log contains the first few of a kind, and then only their number.

mod decide;
mod destination;
mod ended;
mod form;
mod headers;
mod login;
mod origin;
mod page;
mod path_kinds;
mod refusal;
mod role;
mod session;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderMap, Method};
use secrecy::ExposeSecret;
use subtle::ConstantTimeEq;

use super::pages::{Requested, Visit};
use crate::log_limiter::LogLimiter;
use crate::problem::wants_page;
use crate::secrets::SharedSecret;
use model::ShowData;
use model::clock::Clock;
use store::{ActionSource, Actor};

use decide::{Allowed, Asked, Caller, Tokens};
pub(super) use destination::within_listener;
use ended::EndedSessions;
use path_kinds::LOGOUT;
pub(super) use path_kinds::is_for_programs;
use refusal::{Expects, Refusal};
use session::{Session, csrf_without_a_token};

pub(super) use login::routes;
pub use path_kinds::is_open;
pub(super) use role::{Bodies, Role, Visitor};

/// Decides which callers have access, and remembers which sessions were ended.
pub(super) struct Access {
    tokens: Option<Tokens>,
    show_data: ShowData,
    ended: EndedSessions,
    /// The value of the field `csrf` if no token is set; `None` if the system provided no random bytes.
    open_csrf: Option<String>,
    random: fn(&mut [u8]) -> bool,
    clock: Clock,
    log_limiter: LogLimiter,
}

impl Access {
    /// Requires `token`, if there is one. `random` fills a buffer with secret random bytes.
    pub(super) fn new(
        token: Option<SharedSecret>,
        read_token: Option<SharedSecret>,
        show_data: ShowData,
        random: fn(&mut [u8]) -> bool,
        clock: Clock,
    ) -> Self {
        let mut key = [0; 32];
        Self {
            tokens: token.map(|full| Tokens { full, read: read_token }),
            show_data,
            ended: EndedSessions::default(),
            open_csrf: random(&mut key).then(|| csrf_without_a_token(&key)),
            random,
            log_limiter: LogLimiter::new("admin requests refused", clock.clone()),
            clock,
        }
    }

    /// Whether callers need a token.
    pub(super) const fn requires_token(&self) -> bool {
        self.tokens.is_some()
    }

    /// The valid session of a request.
    fn session(&self, headers: &HeaderMap) -> Option<Session> {
        let session = self.tokens.as_ref()?.session(headers, self.clock.now())?.ok()?;
        (!self.ended.contains(&session)).then_some(session)
    }

    fn is_valid(&self, session: &Session, signed: &str) -> bool {
        let Some(tokens) = &self.tokens else { return false };
        let current = Session::open(signed, self.clock.now(), |role| tokens.of(role));
        current == Ok(*session) && !self.ended.contains(session)
    }

    /// Decides on a request. Returns it with who the caller is, or why it is refused.
    async fn admit(self: &Arc<Self>, request: Request) -> Result<Request, Refusal> {
        let asked =
            Asked { method: request.method(), path: request.uri().path(), headers: request.headers() };
        let is_ended = |session: &Session| self.ended.contains(session);
        let allowed = decide::decide(asked, self.tokens.as_ref(), is_ended, self.clock.now())?;
        let Allowed { caller, needs_form } = allowed;
        let csrf = self.csrf(&caller);
        let mut request = if needs_form { with_csrf(request, csrf.as_deref()).await? } else { request };
        if let Some(role) = role_of(&caller) {
            let source = if is_for_programs(request.uri().path()) || matches!(caller, Caller::Bearer(_)) {
                ActionSource::Api
            } else {
                ActionSource::Page
            };
            let visitor = self.visitor(&caller, role);
            request.extensions_mut().insert(Actor::new(source, &name_of(&caller)));
            request.extensions_mut().insert(visitor);
        }
        request.extensions_mut().insert(caller);
        Ok(request)
    }

    fn visitor(self: &Arc<Self>, caller: &Caller, role: Role) -> Visitor {
        Visitor {
            role,
            csrf: self.csrf(caller).unwrap_or_default(),
            is_signed_in: matches!(caller, Caller::Browser(_)),
            bodies: Bodies::of(self.show_data, role),
            is_valid: self.validity(caller),
        }
    }

    /// What a page about an error needs of the request; `None` if the caller expects no page, or may not see one.
    fn requested(self: &Arc<Self>, expects: &Expects, request: &Request) -> Option<Requested> {
        if matches!(expects, Expects::Problem | Expects::Logout) {
            return None;
        }
        let (path, headers) = (request.uri().path(), request.headers());
        // A caller whose form is refused may still look.
        let asked = Asked { method: &Method::GET, path, headers };
        let is_ended = |session: &Session| self.ended.contains(session);
        let allowed = decide::decide(asked, self.tokens.as_ref(), is_ended, self.clock.now()).ok()?;
        let visitor = self.visitor(&allowed.caller, role_of(&allowed.caller)?);
        let visit = Visit::new(visitor, headers, request.uri());
        Some(Requested { visit, method: request.method().clone(), path: path.to_owned() })
    }

    fn csrf(&self, caller: &Caller) -> Option<String> {
        match caller {
            Caller::Browser(session) => {
                let token = self.tokens.as_ref()?.of(session.role)?;
                Some(session.csrf(&token))
            }
            Caller::Local => self.open_csrf.clone(),
            Caller::Anyone | Caller::Bearer(_) => None,
        }
    }

    fn validity(self: &Arc<Self>, caller: &Caller) -> role::IsValid {
        let session = match *caller {
            Caller::Browser(session) => session,
            Caller::Bearer(role) => return self.bearer_validity(role),
            Caller::Anyone | Caller::Local => return Arc::new(|| true),
        };
        let token = self.tokens.as_ref().and_then(|tokens| tokens.of(session.role));
        let Some(signed) = token.map(|token| session.sign(&token)) else { return Arc::new(|| false) };
        let access = self.clone();
        Arc::new(move || access.is_valid(&session, &signed))
    }

    /// Whether the token that a bearer has sent is still the one of its role.
    fn bearer_validity(self: &Arc<Self>, role: Role) -> role::IsValid {
        let current = move |access: &Self| access.tokens.as_ref().and_then(|tokens| tokens.of(role));
        let Some(sent) = current(self) else { return Arc::new(|| false) };
        let access = self.clone();
        Arc::new(move || {
            current(&access).is_some_and(|token| {
                bool::from(token.expose_secret().as_bytes().ct_eq(sent.expose_secret().as_bytes()))
            })
        })
    }

    /// Counts and logs a refusal.
    fn report(&self, refusal: Refusal, expects: &Expects) {
        let Some(reason) = refusal.reason(expects) else { return };
        metrics::counter!("bridge_admin_refused_total", "reason" => reason).increment(1);
        if self.log_limiter.allows(reason) {
            tracing::warn!(reason, "admin request refused");
        }
    }
}

/// Shows a response that is an error as a page. Other responses stay as they are.
pub(super) type ErrorPage =
    Arc<dyn Fn(Requested, Response) -> Pin<Box<dyn Future<Output = Response> + Send>> + Send + Sync>;

/// The middleware that guards all routes. A browser that may look gets each error as a page with the navigation.
pub(super) async fn check(
    State((access, error_page)): State<(Arc<Access>, ErrorPage)>,
    request: Request,
    next: Next,
) -> Response {
    let (expects, path) = (expects(&request), request.uri().path().to_owned());
    let requested = access.requested(&expects, &request);
    let response = match access.admit(request).await {
        Ok(request) => next.run(request).await,
        Err(refusal) => {
            access.report(refusal, &expects);
            refusal.respond(expects, requested.is_some())
        }
    };
    let mut response = match requested {
        Some(requested) => error_page(requested, response).await,
        None => response,
    };
    headers::protect(&path, &mut response);
    response
}

/// What the caller gets if access is refused.
fn expects(request: &Request) -> Expects {
    let uri = request.uri();
    if is_for_programs(uri.path()) || !wants_page(request.headers()) {
        return Expects::Problem;
    }
    if uri.path() == LOGOUT {
        return Expects::Logout;
    }
    if request.method().is_safe() {
        Expects::PageAt(within_listener(uri.path_and_query().map_or("/", |next| next.as_str())))
    } else {
        Expects::Page
    }
}

/// Reads the form of a request and checks its field `csrf`. Returns the request with the same body.
async fn with_csrf(request: Request, expected: Option<&str>) -> Result<Request, Refusal> {
    let (parts, body) = request.into_parts();
    let (bytes, fields) = form::read(&parts.headers, body).await?;
    let is_right = fields
        .only("csrf")
        .zip(expected)
        .is_some_and(|(given, expected)| bool::from(given.as_bytes().ct_eq(expected.as_bytes())));
    if is_right { Ok(Request::from_parts(parts, Body::from(bytes))) } else { Err(Refusal::Csrf) }
}

const fn role_of(caller: &Caller) -> Option<Role> {
    match caller {
        Caller::Anyone => None,
        Caller::Bearer(role) => Some(*role),
        Caller::Browser(session) => Some(session.role),
        Caller::Local => Some(Role::Operator),
    }
}

/// Who a caller is, for the log of actions.
fn name_of(caller: &Caller) -> String {
    match caller {
        Caller::Anyone | Caller::Local => "without a token".to_owned(),
        Caller::Bearer(role) => role.key().to_owned(),
        Caller::Browser(session) => format!("{}, session {}", session.role.key(), session.short_id()),
    }
}

/// The value of the field `csrf` that belongs to a cookie, as a page would show it.
#[cfg(test)]
pub(super) fn csrf_of(cookie: &str, token: &str, now: model::Timestamp) -> String {
    let (_, value) = cookie.split_once('=').unwrap();
    let token = Arc::new(secrecy::SecretString::from(token));
    Session::open(value, now, |_| Some(token.clone())).unwrap().csrf(&token)
}

#[cfg(test)]
mod tests;
