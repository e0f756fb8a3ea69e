//! What the log and the metrics say of a request.

use store::Accepted;

use super::attempt::Refusal;
use super::faulty_value::FaultyValue;

/// Counts a request for `handler`, or for `unknown`.
pub(super) fn count(handler: &str, answered: &Result<Accepted, Refusal>) {
    let outcome = match answered {
        Ok(Accepted { duplicate: false, .. }) => "accepted",
        Ok(Accepted { duplicate: true, .. }) => "duplicate",
        Err(refused) => refused.rejection.outcome(),
    };
    metrics::counter!("bridge_requests_total", "handler" => handler.to_owned(), "outcome" => outcome)
        .increment(1);
}

impl Refusal {
    /// Logs the refusal.
    pub(super) fn log(&self, handler: &str) {
        let reason = self.rejection.reason();
        let account_id = self.account_id.map(|account| account.0);
        let faulty_value = |is: fn(&FaultyValue) -> bool| {
            self.faulty_value.as_ref().filter(|faulty_value| is(faulty_value)).map(FaultyValue::text)
        };
        // A macro, because a line has its level from the start. What is `None` is left out of it.
        macro_rules! log {
            ($level:ident) => {
                tracing::$level!(
                    handler,
                    reason,
                    account.id = account_id,
                    path.handler =
                        faulty_value(|faulty_value| matches!(faulty_value, FaultyValue::Handler(_))),
                    token.client_uuid =
                        faulty_value(|faulty_value| matches!(faulty_value, FaultyValue::ClientUuid(_))),
                    token.aud = faulty_value(|faulty_value| matches!(faulty_value, FaultyValue::Audience(_))),
                    return_url.host =
                        faulty_value(|faulty_value| matches!(faulty_value, FaultyValue::Host(_))),
                    content_encoding =
                        faulty_value(|faulty_value| matches!(faulty_value, FaultyValue::Encoding(_))),
                    "a widget_request was refused"
                )
            };
        }
        if self.rejection.needs_warning() {
            log!(warn);
        } else {
            log!(info);
        }
    }
}
