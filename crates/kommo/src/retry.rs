//! What comes after one try of a call: one table, no I/O.
//!
//! Reads are tried again where that may help. A write is tried again only if Kommo surely did nothing: after a 401
//! it did not know who asks, after a 429 it did not look at the call. Of a write whose answer was lost nobody knows.

use std::time::Duration;

use model::{Backoff, Jitter};

use super::transport::{Failure, Response};

/// Tries of one call, the first included.
const TRIES: u32 = 4;
/// Somebody waits for the result, so it does not back off as far as a delivery does.
const BACKOFF: Backoff =
    Backoff { base: Duration::from_millis(300), cap: Duration::from_secs(5), jitter: Jitter::Full };

/// How the call stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tried {
    /// It changes nothing.
    pub(super) is_read: bool,
    /// How often it was sent, from 1; a 401 that led to another token is not counted.
    pub(super) tries: u32,
    /// Another token was asked for already.
    pub(super) renewed: bool,
    /// Uniform in 0 to 1.
    pub(super) jitter: f64,
}

/// What comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// It is the result. Whether it also shows that the account takes calls.
    Done {
        /// Kommo worked on it.
        account_is_fine: bool,
    },
    /// Again with another token.
    Renew,
    /// The account pauses. Again when it goes on, if so.
    TooMany {
        /// How long, if Kommo said so.
        hint: Option<Duration>,
        /// It may be tried again.
        again: bool,
    },
    /// Again after this delay.
    After(Duration),
}

/// Judges.
pub(super) fn judge(got: &Result<Response, Failure>, tried: Tried) -> Next {
    let again = || {
        if tried.is_read && tried.tries < TRIES {
            Next::After(BACKOFF.delay(tried.tries, tried.jitter))
        } else {
            Next::Done { account_is_fine: false }
        }
    };
    let response = match got {
        Ok(response) => response,
        Err(Failure::NotAllowed(_)) => return Next::Done { account_is_fine: false },
        Err(Failure::NotSent(_) | Failure::Lost { .. }) => return again(),
    };
    match response.status {
        200..=299 => Next::Done { account_is_fine: true },
        401 if !tried.renewed => Next::Renew,
        401 | 402 => Next::Done { account_is_fine: false },
        // The right to this call is missing, or a firewall refuses it: that says nothing of other calls, least of all of
        // continues. If the address is blocked, the next continue finds out.
        403 => Next::Done { account_is_fine: false },
        429 => {
            let told = || response.problem().and_then(|problem| problem.retry_after);
            Next::TooMany { hint: response.retry_after.or_else(told), again: tried.tries < TRIES }
        }
        408 | 425 | 500..=599 => again(),
        // A redirect is followed nowhere, so Kommo did not get to work on it.
        300..=399 => Next::Done { account_is_fine: false },
        _ => Next::Done { account_is_fine: true },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST_READ: Tried = Tried { is_read: true, tries: 1, renewed: false, jitter: 1.0 };

    fn status(status: u16, body: &str) -> Result<Response, Failure> {
        Ok(Response { status, body: body.into(), ..Response::default() })
    }

    fn lost() -> Result<Response, Failure> {
        Err(Failure::Lost { why: "reset".into(), timed_out: false })
    }

    const DONE: Next = Next::Done { account_is_fine: false };
    const FINE: Next = Next::Done { account_is_fine: true };

    #[test]
    fn each_answer_has_its_consequence() {
        let after = Next::After(Duration::from_millis(300));
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        for (got, expected) in [
            (status(200, ""), FINE),
            (status(202, ""), FINE),
            (status(204, ""), FINE),
            (status(307, ""), DONE),
            (status(400, "{}"), FINE),
            (status(401, "{}"), Next::Renew),
            (status(402, "{}"), DONE),
            (status(403, "{}"), DONE),
            (status(403, "<html>"), DONE),
            (status(404, "{}"), FINE),
            (status(422, "{}"), FINE),
            (status(429, "<html>"), Next::TooMany { hint: None, again: true }),
            (status(429, r#"{"retry_after":7}"#), Next::TooMany { hint: seconds(7), again: true }),
            (status(408, ""), after.clone()),
            (status(425, ""), after.clone()),
            (status(500, "{}"), after.clone()),
            (status(504, ""), after.clone()),
            (lost(), after.clone()),
            (Err(Failure::NotSent("refused".into())), after),
            (Err(Failure::NotAllowed("no".into())), DONE),
        ] {
            assert_eq!(judge(&got, FIRST_READ), expected, "{got:?}");
        }
        let both = Ok(Response {
            status: 429,
            retry_after: seconds(2),
            body: br#"{"retry_after":9}"#.to_vec(),
            ..Response::default()
        });
        assert_eq!(judge(&both, FIRST_READ), Next::TooMany { hint: seconds(2), again: true });
    }

    #[test]
    fn a_write_is_sent_again_only_where_nothing_was_done() {
        let write = Tried { is_read: false, ..FIRST_READ };
        for got in [status(500, "{}"), status(408, ""), lost(), Err(Failure::NotSent("refused".into()))] {
            assert_eq!(judge(&got, write), DONE, "{got:?}");
        }
        assert_eq!(judge(&status(401, "{}"), write), Next::Renew);
        assert_eq!(judge(&status(429, ""), write), Next::TooMany { hint: None, again: true });
    }

    #[test]
    fn it_ends() {
        let last = Tried { tries: TRIES, ..FIRST_READ };
        for got in [status(503, ""), lost()] {
            assert_eq!(judge(&got, last), DONE, "{got:?}");
        }
        assert_eq!(judge(&status(429, ""), last), Next::TooMany { hint: None, again: false });
        let renewed = Tried { renewed: true, ..FIRST_READ };
        assert_eq!(judge(&status(401, ""), renewed), DONE);
    }

    #[test]
    fn delays_grow_and_are_jittered() {
        let delay = |tries, jitter| judge(&lost(), Tried { tries, jitter, ..FIRST_READ });
        assert_eq!(delay(1, 0.0), Next::After(Duration::ZERO));
        assert_eq!(delay(2, 1.0), Next::After(Duration::from_millis(600)));
        assert_eq!(delay(3, 0.5), Next::After(Duration::from_millis(600)));
    }
}
