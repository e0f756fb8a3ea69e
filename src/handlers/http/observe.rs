//! What operators see of an HTTP handler: metrics, and log lines about changes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use model::HandlerName;

use super::breaker::Change;
use super::client::CallError;
use super::response::{Acknowledged, Received};

/// Counts and logs for one handler.
pub(super) struct Observer {
    handler: HandlerName,
    /// Whether the log already says that the tool only acknowledges requests.
    logged_acknowledgement: AtomicBool,
}

impl Observer {
    pub(super) fn new(handler: HandlerName) -> Self {
        let observer = Self { handler, logged_acknowledgement: AtomicBool::new(false) };
        // An alert needs to see 0 before the breaker opens.
        observer.breaker_open(0.0);
        observer
    }

    pub(super) fn called(&self, result: &Result<Received, CallError>, took: Duration) {
        let handler = self.handler.to_string();
        metrics::counter!("bridge_http_handler_calls_total", "handler" => handler.clone(), "outcome" => outcome(result))
            .increment(1);
        metrics::histogram!("bridge_http_handler_seconds", "handler" => handler).record(took.as_secs_f64());
    }

    /// `why` is the error of the call that changed the breaker.
    pub(super) fn changed(&self, change: Change, why: &str) {
        let handler = &self.handler;
        match change {
            Change::Opened => {
                self.breaker_open(1.0);
                tracing::warn!(
                    %handler,
                    why,
                    "handler unreachable: its jobs wait, and one call a second checks it"
                );
            }
            Change::Closed => {
                self.breaker_open(0.0);
                tracing::info!(%handler, "handler reachable again: its jobs continue");
            }
        }
    }

    /// Counts acknowledgements, and logs the first.
    pub(super) fn acknowledged(&self, tool: Acknowledged) {
        metrics::counter!("bridge_acknowledgements_total", "handler" => self.handler.to_string())
            .increment(1);
        if !self.logged_acknowledgement.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                handler = %self.handler,
                advice = tool.advice(),
                "the handler only acknowledged a request: the job waits for a callback. If the handler does not call back, \
                 let it answer with its response"
            );
        }
    }

    fn breaker_open(&self, open: f64) {
        metrics::gauge!("bridge_http_handler_breaker_open", "handler" => self.handler.to_string()).set(open);
    }
}

/// The value of the label `outcome`.
fn outcome(result: &Result<Received, CallError>) -> &'static str {
    match result {
        Ok(received) => match received.response.status {
            200..=299 => "2xx",
            300..=399 => "3xx",
            400..=499 => "4xx",
            500..=599 => "5xx",
            _ => "other",
        },
        Err(CallError::NoConnection(_)) => "no_connection",
        Err(CallError::Broken(_)) => "broken",
        Err(CallError::TimedOut(_) | CallError::Slow(_)) => "timeout",
        Err(CallError::Refused(_)) => "refused",
    }
}
