//! What the log and the metrics say of a request.

use store::Accepted;

use super::attempt::Refused;
use super::seen::Seen;

/// Counts a request for `handler`, or for `unknown`.
pub(super) fn count(handler: &str, answered: &Result<Accepted, Refused>) {
    let outcome = match answered {
        Ok(Accepted { duplicate: false, .. }) => "accepted",
        Ok(Accepted { duplicate: true, .. }) => "duplicate",
        Err(refused) => refused.rejection.outcome(),
    };
    metrics::counter!("bridge_requests_total", "handler" => handler.to_owned(), "outcome" => outcome)
        .increment(1);
}

impl Refused {
    /// Logs the refusal.
    pub(super) fn log(&self, handler: &str) {
        let reason = self.rejection.reason();
        let account_id = self.account_id.map(|account| account.0);
        let seen = |is: fn(&Seen) -> bool| self.seen.as_ref().filter(|seen| is(seen)).map(Seen::text);
        // A macro, because a line has its level from the start. What is `None` is left out of it.
        macro_rules! log {
            ($level:ident) => {
                tracing::$level!(
                    handler,
                    reason,
                    account.id = account_id,
                    path.handler = seen(|seen| matches!(seen, Seen::Handler(_))),
                    token.client_uuid = seen(|seen| matches!(seen, Seen::ClientUuid(_))),
                    token.aud = seen(|seen| matches!(seen, Seen::Audience(_))),
                    return_url.host = seen(|seen| matches!(seen, Seen::Host(_))),
                    content_encoding = seen(|seen| matches!(seen, Seen::Encoding(_))),
                    "a widget_request was refused"
                )
            };
        }
        if self.rejection.is_worth_a_warning() {
            log!(warn);
        } else {
            log!(info);
        }
    }
}
