//! Sessions that were ended before they expired: a cookie that someone kept must not work after the logout.
//!
//! They are in memory, and their number is limited. Beyond the limit, all sessions that began before end too, so no ended
//! session ever becomes valid again. A restart forgets them; a new token ends all sessions for good.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use model::Timestamp;

use super::session::{Session, SessionId};

/// The maximum number of ended sessions that are kept.
const MAX_ENDED: usize = 10_000;

/// The ended sessions.
pub(super) struct EndedSessions {
    max: usize,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// When each of them expires.
    ended: HashMap<SessionId, Timestamp>,
    /// Sessions that expire until then have ended as well.
    all_until: Option<Timestamp>,
}

impl Default for EndedSessions {
    fn default() -> Self {
        Self::with_limit(MAX_ENDED)
    }
}

impl EndedSessions {
    fn with_limit(max: usize) -> Self {
        Self { max, inner: Mutex::default() }
    }

    /// Ends a session.
    pub(super) fn end(&self, session: &Session, now: Timestamp) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        // Not at each call: if the clock is set back, what was removed too early would be valid again.
        if inner.ended.len() >= self.max {
            inner.ended.retain(|_, expires| *expires > now);
        }
        if inner.ended.len() >= self.max {
            inner.all_until = inner.ended.values().copied().chain(inner.all_until).max();
            inner.ended.clear();
        }
        inner.ended.insert(session.id, session.expires);
    }

    /// Whether a session was ended.
    pub(super) fn contains(&self, session: &Session) -> bool {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.ended.contains_key(&session.id) || inner.all_until.is_some_and(|until| session.expires <= until)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::role::Role;
    use super::*;

    fn session(number: u8, at: Timestamp) -> Session {
        Session::begin(Role::Reader, [number; 16], at)
    }

    #[test]
    fn an_ended_session_stays_ended_however_many_follow() {
        let start = Timestamp::from_millis(1_700_000_000_000);
        let ended = EndedSessions::with_limit(3);
        let sessions: Vec<Session> =
            (0..9).map(|number| session(number, start + Duration::from_secs(number.into()))).collect();
        let fresh = session(99, start + Duration::from_secs(60));
        for (at, one) in sessions.iter().enumerate() {
            assert!(at >= 3 || !ended.contains(one), "{at}");
            ended.end(one, start);
            assert!(sessions[..=at].iter().all(|earlier| ended.contains(earlier)), "{at}");
            assert!(ended.inner.lock().unwrap().ended.len() <= 3);
        }
        assert!(!ended.contains(&fresh), "a login after them");
    }

    #[test]
    fn expired_sessions_make_room_first() {
        let start = Timestamp::from_millis(1_700_000_000_000);
        let ended = EndedSessions::with_limit(1);
        ended.end(&session(1, start), start);
        let later = start + Duration::from_secs(24 * 3_600);
        ended.end(&session(2, later), later);
        assert!(ended.contains(&session(2, later)) && !ended.contains(&session(3, later)));
    }
}
