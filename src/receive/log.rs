//! The log lines and metrics of requests.

use std::time::Duration;

use metrics::Histogram;

use crate::meters::Counters;
use model::HandlerName;
use store::Accepted;

use super::decide::Refusal;
use super::faulty_value::FaultyValue;

/// The counters of requests.
pub(super) struct RequestMeters {
    /// By handler, which is `None` if it is not registered, and by outcome.
    requests: Counters<(Option<HandlerName>, &'static str)>,
    ack_seconds: Histogram,
}

impl RequestMeters {
    pub(super) fn new() -> Self {
        Self {
            requests: Counters::new(|(handler, outcome)| {
                let handler = handler.as_ref().map_or("unknown", HandlerName::as_str).to_owned();
                metrics::counter!("bridge_requests_total", "handler" => handler, "outcome" => *outcome)
            }),
            ack_seconds: metrics::histogram!("bridge_ack_seconds"),
        }
    }

    /// Records how long a request waited for its 200.
    pub(super) fn acknowledged(&self, after: Duration) {
        self.ack_seconds.record(after.as_secs_f64());
    }

    /// Counts a request for `handler`, which is `None` if it is not registered.
    pub(super) fn count(&self, handler: Option<&HandlerName>, answered: &Result<Accepted, Refusal>) {
        self.requests.add_one(&(handler.cloned(), outcome(answered)));
    }
}

fn outcome(answered: &Result<Accepted, Refusal>) -> &'static str {
    match answered {
        Ok(Accepted { duplicate: false, .. }) => "accepted",
        Ok(Accepted { duplicate: true, .. }) => "duplicate",
        Err(refusal) => refusal.rejection.outcome(),
    }
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
