//! Sessions of browsers: a signed cookie, without any state in the bridge.
//!
//! The key is derived from the token of the role. So a restart ends no session, and a new token ends all of its sessions.
//! The cookie contains no token. An attacker with a cookie can try tokens offline, so a token must be long and random.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use http::HeaderMap;
use http::header::COOKIE;
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use model::Timestamp;

use super::role::Role;

/// How long a session lasts.
pub(super) const LIFETIME: Duration = Duration::from_secs(12 * 3_600);
/// How far the clock may have been set back since a login.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(300);
/// Browsers keep a cookie with this prefix only if it is `Secure` and for exactly this host, so that no other host can
/// set it.
pub(super) const COOKIE_NAME: &str = "__Host-bridge-session";
const ATTRIBUTES: &str = "Path=/; Secure; HttpOnly; SameSite=Strict";

/// The id of a session.
pub(super) type SessionId = [u8; 16];

/// A session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Session {
    pub(super) role: Role,
    pub(super) expires: Timestamp,
    pub(super) id: SessionId,
}

/// Why a cookie is not a valid session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SessionRefusal {
    /// The cookie was not made with the current token of its role.
    Invalid,
    /// The session has expired, or was ended.
    Ended,
}

impl Session {
    /// Begins a session.
    pub(super) fn begin(role: Role, id: SessionId, now: Timestamp) -> Self {
        Self { role, id, expires: now + LIFETIME }
    }

    /// The part of the id that the log of actions shows.
    pub(super) fn short_id(&self) -> String {
        hex::encode(self.id).chars().take(8).collect()
    }

    /// The value of the cookie, signed with `token`.
    pub(super) fn sign(&self, token: &SecretString) -> String {
        let content = self.content();
        let code = mac(token, Purpose::Session, self.role, &content);
        format!("{content}.{code}")
    }

    /// The value of the field `csrf` in forms of this session.
    pub(super) fn csrf(&self, token: &SecretString) -> String {
        mac(token, Purpose::Csrf, self.role, &self.content())
    }

    /// Reads the value of a cookie. `token_of` returns the token of a role.
    pub(super) fn open<T: AsRef<SecretString>>(
        value: &str,
        now: Timestamp,
        token_of: impl Fn(Role) -> Option<T>,
    ) -> Result<Self, SessionRefusal> {
        let (content, code) = value.rsplit_once('.').ok_or(SessionRefusal::Invalid)?;
        let session = Self::parse(content).ok_or(SessionRefusal::Invalid)?;
        let token = token_of(session.role).ok_or(SessionRefusal::Invalid)?;
        let expected = mac(token.as_ref(), Purpose::Session, session.role, content);
        if !bool::from(expected.as_bytes().ct_eq(code.as_bytes())) {
            return Err(SessionRefusal::Invalid);
        }
        // A clock that was set back must not prolong a session.
        let is_current = session.expires > now && session.expires <= now + LIFETIME + CLOCK_TOLERANCE;
        if is_current { Ok(session) } else { Err(SessionRefusal::Ended) }
    }

    fn content(&self) -> String {
        format!("{}.{}.{}", name_of(self.role), self.expires.as_millis(), hex::encode(self.id))
    }

    fn parse(content: &str) -> Option<Self> {
        let mut parts = content.split('.');
        let name = parts.next()?;
        let role = [Role::Operator, Role::Reader].into_iter().find(|role| name_of(*role) == name)?;
        let expires = Timestamp::from_millis(parts.next()?.parse().ok()?);
        let mut id = SessionId::default();
        hex::decode_to_slice(parts.next()?, &mut id).ok()?;
        parts.next().is_none().then_some(Self { role, expires, id })
    }
}

/// The value of the session cookie; `None` if there is none. A browser sends only one, so several are invalid.
pub(super) fn cookie(headers: &HeaderMap) -> Option<Result<&str, SessionRefusal>> {
    let mut found = None;
    for value in headers.get_all(COOKIE) {
        let Ok(text) = value.to_str() else { continue };
        for pair in text.split(';') {
            if let Some((COOKIE_NAME, value)) = pair.trim().split_once('=')
                && found.replace(Ok(value)).is_some()
            {
                return Some(Err(SessionRefusal::Invalid));
            }
        }
    }
    found
}

/// The header that sets the cookie.
pub(super) fn set_cookie(value: &str) -> String {
    format!("{COOKIE_NAME}={value}; {ATTRIBUTES}; Max-Age={}", LIFETIME.as_secs())
}

/// The header that removes the cookie.
pub(super) fn remove_cookie() -> String {
    format!("{COOKIE_NAME}=; {ATTRIBUTES}; Max-Age=0")
}

#[derive(Clone, Copy)]
enum Purpose {
    Session,
    Csrf,
}

const fn name_of(role: Role) -> &'static str {
    match role {
        Role::Operator => "operator",
        Role::Reader => "reader",
    }
}

/// Signs `content` with a key that is derived from a token, for one purpose and one role.
fn mac(token: &SecretString, purpose: Purpose, role: Role, content: &str) -> String {
    let label = match purpose {
        Purpose::Session => "salesbot-bridge admin session 1",
        Purpose::Csrf => "salesbot-bridge admin csrf 1",
    };
    let key = code(token.expose_secret().as_bytes(), &[label, name_of(role)]);
    BASE64_URL_SAFE_NO_PAD.encode(code(&key, &[content]))
}

/// The value of the field `csrf` without a token: the same for all forms of this process, because there are no sessions.
pub(super) fn csrf_without_a_token(key: &[u8; 32]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(code(key, &["salesbot-bridge admin csrf without a token 1"]))
}

fn code(key: &[u8], parts: &[&str]) -> [u8; 32] {
    // A key of any length is valid.
    #[expect(clippy::expect_used)]
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(part.as_bytes());
        mac.update(&[0]);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests;
