//! The log lines and metrics of requests.

use store::Accepted;

use super::decide::Refusal;
use super::faulty_value::FaultyValue;

/// Counts a request for `handler`, which is `unknown` if it is not registered.
pub(super) fn count(handler: &str, answered: &Result<Accepted, Refusal>) {
    let label = match answered {
        Ok(Accepted { duplicate: false, .. }) => "accepted",
        Ok(Accepted { duplicate: true, .. }) => "duplicate",
        Err(refusal) => refusal.rejection.outcome(),
    };
    metrics::counter!("bridge_requests_total", "handler" => handler.to_owned(), "outcome" => label)
        .increment(1);
}

impl Refusal {
    /// Logs the refusal.
    pub(super) fn log(&self, handler: &str) {
        let reason = self.rejection.reason();
        let account_id = self.account_id.map(|account| account.0);
        let value = |is: fn(&FaultyValue) -> bool| {
            self.faulty_value.as_ref().filter(|value| is(value)).map(FaultyValue::text)
        };
        // A macro, because `tracing` fixes the level of a line at compile time. Fields that are `None` are omitted.
        macro_rules! log {
            ($level:ident) => {
                tracing::$level!(
                    handler,
                    reason,
                    account.id = account_id,
                    path.handler = value(|value| matches!(value, FaultyValue::Handler(_))),
                    token.client_uuid = value(|value| matches!(value, FaultyValue::ClientUuid(_))),
                    token.aud = value(|value| matches!(value, FaultyValue::Audience(_))),
                    return_url.host = value(|value| matches!(value, FaultyValue::Host(_))),
                    content_encoding = value(|value| matches!(value, FaultyValue::Encoding(_))),
                    "widget_request refused"
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
