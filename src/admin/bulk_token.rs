//! The tokens of dry runs: what was counted is what may be changed.
//!
//! A token is bound to the action, the filter, the newest job and the number of jobs. It is valid once, for five minutes,
//! and only in the process that made it: its key is random.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use model::{JobId, Timestamp};
use store::BulkAction;

/// How long a token is valid.
pub(super) const TOKEN_LIFE: Duration = Duration::from_secs(300);

/// What a token stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counted {
    /// The moment to which times in the filter are relative.
    pub(super) at: Timestamp,
    /// The newest job.
    pub(super) newest: JobId,
    /// The number of jobs.
    pub(super) jobs: u64,
}

/// What a token is bound to, apart from what it contains.
#[derive(Clone, Copy, Debug)]
pub(super) struct BoundTo<'a> {
    pub(super) action: BulkAction,
    /// The filter, as it was counted.
    pub(super) filter: &'a str,
    pub(super) force: bool,
}

/// Why a token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum TokenRefusal {
    #[error("the token is incomplete")]
    Unknown,
    #[error("the token is for another action, filter or `force`, or the bridge has been restarted since")]
    Other,
    #[error("the token has expired: it is valid for five minutes")]
    Expired,
    #[error("the token was used before: it is valid once")]
    Used,
}

/// Makes and checks tokens.
pub(super) struct BulkTokens {
    key: [u8; 32],
    random: fn(&mut [u8]) -> bool,
    /// The used tokens that have not expired, with their end.
    used: Mutex<HashMap<String, Duration>>,
}

impl BulkTokens {
    /// Creates a key; `None` if the system provides no random bytes. `random` fills a buffer with secret random bytes.
    pub(super) fn new(random: fn(&mut [u8]) -> bool) -> Option<Self> {
        let mut key = [0; 32];
        random(&mut key).then(|| Self { key, random, used: Mutex::default() })
    }

    /// Makes a token. `elapsed` is the current time of a clock that only goes forward.
    pub(super) fn issue(&self, counted: &Counted, to: BoundTo<'_>, elapsed: Duration) -> Option<String> {
        let mut nonce = [0; 8];
        (self.random)(&mut nonce).then_some(())?;
        let until = elapsed + TOKEN_LIFE;
        let Counted { at, newest, jobs } = counted;
        let content =
            format!("{}.{newest}.{jobs}.{}.{}", at.as_millis(), until.as_millis(), hex::encode(nonce));
        let code = self.code(&content, to);
        Some(format!("{content}.{code}"))
    }

    /// Reads a token without checking it, to parse the filter as it was counted.
    pub(super) fn read(token: &str) -> Result<Counted, TokenRefusal> {
        parse(token).map(|(counted, _until)| counted).ok_or(TokenRefusal::Unknown)
    }

    /// Checks a token and uses it up.
    pub(super) fn redeem(
        &self,
        token: &str,
        to: BoundTo<'_>,
        elapsed: Duration,
    ) -> Result<Counted, TokenRefusal> {
        let (content, code) = token.rsplit_once('.').ok_or(TokenRefusal::Unknown)?;
        let (counted, until) = parse(token).ok_or(TokenRefusal::Unknown)?;
        if !bool::from(self.code(content, to).as_bytes().ct_eq(code.as_bytes())) {
            return Err(TokenRefusal::Other);
        }
        if elapsed >= until {
            return Err(TokenRefusal::Expired);
        }
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.retain(|_, until| *until > elapsed);
        match used.insert(token.to_owned(), until) {
            Some(_) => Err(TokenRefusal::Used),
            None => Ok(counted),
        }
    }

    /// Makes a token valid again whose change could not begin.
    pub(super) fn give_back(&self, token: &str) {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).remove(token);
    }

    fn code(&self, content: &str, to: BoundTo<'_>) -> String {
        // A key of any length is valid.
        #[expect(clippy::expect_used)]
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes keys of any length");
        let BoundTo { action, filter, force } = to;
        for part in [content, action.as_str(), if force { "force" } else { "" }, filter] {
            mac.update(part.as_bytes());
            mac.update(&[0]);
        }
        BASE64_URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
    }
}

/// Reads the content of a token, and until when it is valid.
fn parse(token: &str) -> Option<(Counted, Duration)> {
    let mut parts = token.split('.');
    let at = Timestamp::from_millis(parts.next()?.parse().ok()?);
    let newest = parts.next()?.parse().ok()?;
    let jobs = parts.next()?.parse().ok()?;
    let until = Duration::from_millis(parts.next()?.parse().ok()?);
    let (_nonce, _code) = (parts.next()?, parts.next()?);
    parts.next().is_none().then_some((Counted { at, newest, jobs }, until))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(bytes: &mut [u8]) -> bool {
        bytes.fill_with(|| fastrand::u8(..));
        true
    }

    const NOW: Duration = Duration::from_secs(7);
    const RETRY: BoundTo<'static> = BoundTo { action: BulkAction::Retry, filter: "state:dead", force: false };

    fn counted() -> Counted {
        let at = Timestamp::from_millis(1_700_000_000_000);
        Counted { at, newest: JobId::new(at, 5), jobs: 12 }
    }

    #[test]
    fn a_token_is_valid_once_for_what_was_counted() {
        let tokens = BulkTokens::new(random).unwrap();
        let token = tokens.issue(&counted(), RETRY, NOW).unwrap();
        assert_eq!(BulkTokens::read(&token), Ok(counted()));
        for other in [
            BoundTo { action: BulkAction::Cancel, ..RETRY },
            BoundTo { filter: "state:gone", ..RETRY },
            BoundTo { force: true, ..RETRY },
        ] {
            assert_eq!(tokens.redeem(&token, other, NOW), Err(TokenRefusal::Other), "{other:?}");
        }
        let more = token.replacen(".12.", ".13.", 1);
        assert_eq!(tokens.redeem(&more, RETRY, NOW), Err(TokenRefusal::Other));
        assert_eq!(tokens.redeem(&token, RETRY, NOW), Ok(counted()));
        assert_eq!(tokens.redeem(&token, RETRY, NOW), Err(TokenRefusal::Used));
        tokens.give_back(&token);
        assert_eq!(tokens.redeem(&token, RETRY, NOW), Ok(counted()));
        let again = tokens.issue(&counted(), RETRY, NOW).unwrap();
        assert_ne!(again, token, "two dry runs with the same result have two tokens");
    }

    #[test]
    fn a_token_expires_and_is_unknown_to_another_process() {
        let tokens = BulkTokens::new(random).unwrap();
        let token = tokens.issue(&counted(), RETRY, NOW).unwrap();
        let late = NOW + TOKEN_LIFE;
        assert_eq!(tokens.redeem(&token, RETRY, late), Err(TokenRefusal::Expired));
        assert_eq!(tokens.redeem(&token, RETRY, late - Duration::from_millis(1)), Ok(counted()));
        let others = BulkTokens::new(random).unwrap();
        assert_eq!(others.redeem(&token, RETRY, NOW), Err(TokenRefusal::Other));
        for text in ["", "x", "1.2.3.4.5.6", &token[1..], &format!("{token}.x")] {
            assert!(tokens.redeem(text, RETRY, NOW).is_err(), "{text}");
        }
        assert!(BulkTokens::new(|_| false).is_none());
    }
}
