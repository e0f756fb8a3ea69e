//! Decides whether to retry a call of the typed client, without I/O.
//!
//! A read is retried if that may help. A write is retried only if Kommo certainly did nothing: with a 401, it did not
//! accept the caller, and with a 429, it did not process the call. If the response to a write is lost, we cannot tell
//! whether the write took effect.

use std::time::Duration;

use model::{Backoff, Jitter};

use super::outcome::CallOutcome;

/// The maximum number of tries of one call, including the first.
const MAX_TRIES: u32 = 4;
/// The backoff between tries. A caller waits for the result, so the delays are shorter than those of deliveries.
const BACKOFF: Backoff =
    Backoff { base: Duration::from_millis(300), cap: Duration::from_secs(5), jitter: Jitter::Full };

/// The facts besides the outcome on which the decision depends.
#[derive(Clone, Copy, Debug)]
pub(super) struct RetryContext {
    /// Whether the call changes nothing.
    pub(super) is_read: bool,
    /// The number of tries so far. A 401 that led to another token does not count.
    pub(super) tries: u32,
    /// Whether the token was already renewed for this call.
    pub(super) renewed: bool,
    /// A uniform random number from 0 to 1.
    pub(super) jitter: f64,
}

/// The next step of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// The outcome is the result.
    Finish {
        /// Whether Kommo processed the call, so that the account accepts calls.
        account_is_fine: bool,
    },
    /// Retry with another token.
    RenewToken,
    /// Pause the account.
    PauseAccount {
        /// The time to wait, if Kommo named one.
        retry_after: Option<Duration>,
        /// Whether to retry the call after the pause.
        retry: bool,
    },
    /// Retry after this delay.
    RetryAfter(Duration),
}

/// Decides the next step after a try.
pub(super) fn decide(outcome: &CallOutcome, context: RetryContext) -> Decision {
    let may_retry = context.tries < MAX_TRIES;
    match outcome {
        CallOutcome::Unauthorized { .. } if !context.renewed => Decision::RenewToken,
        CallOutcome::TooManyRequests { retry_after, .. } => {
            Decision::PauseAccount { retry_after: *retry_after, retry: may_retry }
        }
        outcome if outcome.is_transient() && context.is_read && may_retry => {
            Decision::RetryAfter(BACKOFF.delay(context.tries, context.jitter))
        }
        outcome => Decision::Finish { account_is_fine: is_processed(outcome) },
    }
}

/// Whether Kommo processed the call.
///
/// A 403 says nothing about other calls, and in particular not about continues. The token's user may lack the right for
/// only this call, or a firewall may refuse its content. If Kommo blocks the IP address, the next continue detects it.
const fn is_processed(outcome: &CallOutcome) -> bool {
    match outcome {
        CallOutcome::Accepted { .. }
        | CallOutcome::Rejected { .. }
        | CallOutcome::NotFound { .. }
        | CallOutcome::Unexpected { .. } => true,
        CallOutcome::Redirected { .. }
        | CallOutcome::Unauthorized { .. }
        | CallOutcome::PaymentRequired { .. }
        | CallOutcome::Forbidden { .. }
        | CallOutcome::Blocked
        | CallOutcome::TooManyRequests { .. }
        | CallOutcome::Unavailable { .. }
        | CallOutcome::NotKommo { .. }
        | CallOutcome::NoResponse(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::outcome::{CallFailure, classify};
    use super::super::reason::Reason;
    use super::super::response::Response;
    use super::*;
    use model::HostRefusal;

    const FIRST_READ: RetryContext = RetryContext { is_read: true, tries: 1, renewed: false, jitter: 1.0 };
    const FAILED: Decision = Decision::Finish { account_is_fine: false };
    const FINE: Decision = Decision::Finish { account_is_fine: true };
    const HTML: &str = "<html>";

    fn response(status: u16, body: &str) -> CallOutcome {
        classify(&Response { status, body: body.into(), ..Response::default() })
    }

    fn lost() -> CallOutcome {
        CallOutcome::NoResponse(CallFailure::Lost { reason: Reason::new("reset"), timed_out: false })
    }

    fn not_sent() -> CallOutcome {
        CallOutcome::NoResponse(CallFailure::NotSent(Reason::new("refused")))
    }

    #[test]
    fn each_outcome_of_a_read_has_its_decision() {
        let retried = Decision::RetryAfter(Duration::from_millis(300));
        let paused = |seconds: Option<u64>| Decision::PauseAccount {
            retry_after: seconds.map(Duration::from_secs),
            retry: true,
        };
        for (outcome, expected) in [
            (response(200, ""), FINE),
            (response(200, HTML), retried.clone()),
            (response(202, ""), FINE),
            (response(204, ""), FINE),
            (response(206, HTML), retried.clone()),
            (response(307, ""), retried.clone()),
            (response(400, "{}"), FINE),
            (response(401, "{}"), Decision::RenewToken),
            (response(402, "{}"), FAILED),
            (response(403, "{}"), FAILED),
            (response(403, HTML), FAILED),
            (response(404, "{}"), FINE),
            (response(404, HTML), retried.clone()),
            (response(405, ""), FINE),
            (response(408, ""), retried.clone()),
            (response(422, "{}"), FINE),
            (response(425, ""), retried.clone()),
            (response(429, HTML), paused(None)),
            (response(429, r#"{"retry_after":7}"#), paused(Some(7))),
            (response(500, "{}"), retried.clone()),
            (response(504, ""), retried.clone()),
            (lost(), retried.clone()),
            (not_sent(), retried),
            (CallOutcome::NoResponse(CallFailure::NotAllowed(HostRefusal::Scheme)), FAILED),
        ] {
            assert_eq!(decide(&outcome, FIRST_READ), expected, "{outcome:?}");
        }
    }

    #[test]
    fn write_is_retried_only_if_kommo_did_nothing() {
        let write = RetryContext { is_read: false, ..FIRST_READ };
        for outcome in [
            response(500, "{}"),
            response(408, ""),
            response(307, ""),
            response(404, HTML),
            response(200, HTML),
            lost(),
            not_sent(),
        ] {
            assert_eq!(decide(&outcome, write), FAILED, "{outcome:?}");
        }
        assert_eq!(decide(&response(401, "{}"), write), Decision::RenewToken);
        let paused = Decision::PauseAccount { retry_after: None, retry: true };
        assert_eq!(decide(&response(429, ""), write), paused);
    }

    #[test]
    fn number_of_tries_is_limited() {
        let last = RetryContext { tries: MAX_TRIES, ..FIRST_READ };
        for outcome in [response(503, ""), response(404, HTML), lost()] {
            assert_eq!(decide(&outcome, last), FAILED, "{outcome:?}");
        }
        let paused = Decision::PauseAccount { retry_after: None, retry: false };
        assert_eq!(decide(&response(429, ""), last), paused);
        let renewed = RetryContext { renewed: true, ..FIRST_READ };
        assert_eq!(decide(&response(401, ""), renewed), FAILED);
    }

    #[test]
    fn delays_grow_and_are_jittered() {
        let delay = |tries, jitter| decide(&lost(), RetryContext { tries, jitter, ..FIRST_READ });
        assert_eq!(delay(1, 0.0), Decision::RetryAfter(Duration::ZERO));
        assert_eq!(delay(2, 1.0), Decision::RetryAfter(Duration::from_millis(600)));
        assert_eq!(delay(3, 0.5), Decision::RetryAfter(Duration::from_millis(600)));
    }
}
