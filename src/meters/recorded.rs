//! The metrics that the rooms count in the recorder of the process.

use super::metric::{Metric, counter, gauge, histogram};

/// Bounds of times from the receipt of a request: 50 s is the default of `handlers.NAME.answer_within`, 58 s is close to
/// the end of the minute that a customer may wait, and 3,600 s is the default of `delivery.give_up_after`.
const WAITS: &[f64] =
    &[0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 50.0, 58.0, 60.0, 300.0, 3600.0];
/// Bounds of the attempts of handlers: 30 s is the default of `handlers.NAME.attempt_timeout`.
const ATTEMPTS: &[f64] =
    &[0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 50.0, 58.0];
/// Bounds of calls to Kommo: 10 s is the default of `delivery.request_timeout`.
const CALLS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 1.8, 2.0, 5.0, 10.0, 30.0, 50.0, 58.0];
/// Bounds of transactions.
const COMMITS: &[f64] = &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// All metrics of the recorder.
pub const RECORDED: &[Metric] = &[
    gauge(
        "bridge_build_info",
        &["program", "version", "bridge_version"],
        "Always 1. The labels name the program and its version.",
    ),
    // Requests.
    counter(
        "bridge_requests_total",
        &["handler", "outcome"],
        "widget_requests that came in, by handler and outcome.",
    ),
    counter(
        "bridge_http_requests_total",
        &["listener", "route", "status"],
        "Requests to the listeners, by listener, route and HTTP status.",
    ),
    histogram(
        "bridge_ack_seconds",
        &[],
        // 1.8 is the default of server.ack_deadline, 2 what Kommo allows.
        &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 1.8, 2.0],
        "From a widget_request's head to its 200.",
    ),
    counter(
        "bridge_unknown_paths_total",
        &["reason"],
        "Calls to the public listener that no route matches, by reason: path or method.",
    ),
    gauge("bridge_connections", &["listener"], "Open connections, by listener."),
    counter(
        "bridge_connections_evicted_total",
        &["listener"],
        "Connections that were closed for new ones because all were in use, by listener.",
    ),
    counter(
        "bridge_admin_refused_total",
        &["reason"],
        "Requests that the admin listener refused because of their sender, by reason.",
    ),
    // Handlers.
    histogram(
        "bridge_queue_wait_seconds",
        &["handler"],
        WAITS,
        "From the receipt of a request to the first attempt of its handler, by handler.",
    ),
    counter(
        "bridge_handler_attempts_total",
        &["handler", "outcome"],
        "Runs of a handler, by handler and outcome.",
    ),
    histogram("bridge_handler_attempt_seconds", &["handler"], ATTEMPTS, "One run of a handler, by handler."),
    gauge(
        "bridge_handler_threads_blocked",
        &[],
        "Handler threads that a handler has held for 20 ms or longer without a break.",
    ),
    counter(
        "bridge_http_handler_calls_total",
        &["handler", "outcome"],
        "Calls to the URL of a handler, by handler and outcome.",
    ),
    histogram(
        "bridge_http_handler_seconds",
        &["handler"],
        // 30 is the default of handlers.NAME.attempt_timeout, 50 that of answer_within.
        &[0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 50.0],
        "One call to the URL of a handler, until the end of its response, by handler.",
    ),
    gauge(
        "bridge_http_handler_breaker_open",
        &["handler"],
        "1 while the jobs of a handler wait because its URL cannot be reached, by handler.",
    ),
    counter(
        "bridge_acknowledgements_total",
        &["handler"],
        "Responses with which a tool only acknowledged a request, by handler.",
    ),
    counter("bridge_callbacks_total", &["result"], "Answers and notes that handlers sent later, by result."),
    counter(
        "bridge_joined_messages_total",
        &["handler"],
        "Jobs whose messages a later job of the same conversation answers, by handler.",
    ),
    counter(
        "bridge_fallbacks_total",
        &["handler", "reason"],
        "Bots that got the fallback instead of an answer, by handler and reason.",
    ),
    // Deliveries.
    histogram(
        "bridge_pace_wait_seconds",
        &[],
        WAITS,
        "From the completion of a job to its first call to Kommo: the wait for the pace, a permit or the account.",
    ),
    counter("bridge_delivery_attempts_total", &["outcome"], "Continues posted to Kommo, by outcome."),
    histogram(
        "bridge_delivery_attempt_seconds",
        &[],
        CALLS,
        "One attempt to post a continue that got a response, or none in time.",
    ),
    histogram(
        "bridge_receipt_to_continue_seconds",
        &[],
        WAITS,
        "From a widget_request's receipt to the continue that Kommo accepted.",
    ),
    counter(
        "bridge_jobs_finished_total",
        &["handler", "state", "outcome"],
        "Jobs that ended, by handler, final state and outcome (handler, fallback or none).",
    ),
    // Accounts.
    gauge("bridge_accounts", &["state"], "Accounts that were connected by OAuth, by state."),
    counter("bridge_token_renewals_total", &["outcome"], "Renewals of an account's tokens, by outcome."),
    counter("bridge_oauth_callbacks_total", &["outcome"], "Calls to /oauth/callback, by outcome."),
    counter("bridge_oauth_revocations_total", &["outcome"], "Calls to /oauth/revoked, by outcome."),
    // The store.
    histogram(
        "bridge_commit_seconds",
        &[],
        COMMITS,
        "One transaction of the store's writer, until it is on the disk.",
    ),
    histogram(
        "bridge_commit_operations",
        &[],
        &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 4096.0],
        "Operations in one transaction of the store's writer.",
    ),
    histogram("bridge_checkpoint_seconds", &[], COMMITS, "One checkpoint of the store's write-ahead log."),
    counter(
        "bridge_recovered_jobs_total",
        &["reason"],
        "Jobs in progress that were resumed, by reason: start (the previous process ended) or lease (it ran out).",
    ),
    counter(
        "bridge_fence_rejections_total",
        &["stage"],
        "Reports that changed nothing, because the job was cancelled or taken over in the meantime, by stage.",
    ),
    counter(
        "bridge_bodies_dropped_total",
        &["reason"],
        "Finished jobs whose bodies were dropped to make room, by reason.",
    ),
    // The process.
    counter(
        "bridge_task_restarts_total",
        &["task"],
        "Background tasks that panicked and were started again, by task.",
    ),
    counter(
        "bridge_log_lines_dropped_total",
        &[],
        "Log lines that were dropped because stderr did not take them.",
    ),
    gauge(
        "bridge_backup_last_success_timestamp_seconds",
        &[],
        "When the newest scheduled backup of the store was written, in seconds since 1970.",
    ),
    gauge(
        "bridge_store_oldest_snapshot_seconds",
        &[],
        "Age of the oldest snapshot of the store's PostgreSQL database.",
    ),
];

#[cfg(test)]
mod tests {
    use super::super::MetricKind;
    use super::*;

    #[test]
    fn every_histogram_has_rising_bounds() {
        for metric in RECORDED {
            if let MetricKind::Histogram(bounds) = metric.kind {
                let rises = bounds.windows(2).all(|pair| pair[0] < pair[1]);
                assert!(!bounds.is_empty() && rises, "{}", metric.name);
            }
        }
    }

    #[test]
    fn the_bounds_include_the_limits_that_alerts_ask_about() {
        for (name, limits) in [
            ("bridge_ack_seconds", &[1.8, 2.0][..]),
            ("bridge_receipt_to_continue_seconds", &[10.0, 50.0, 58.0][..]),
        ] {
            let metric = RECORDED.iter().find(|metric| metric.name == name).unwrap();
            let MetricKind::Histogram(bounds) = metric.kind else { panic!("{name}") };
            assert!(limits.iter().all(|limit| bounds.contains(limit)), "{name}: {bounds:?}");
        }
    }

    #[test]
    fn no_label_can_have_any_number_of_values() {
        for metric in RECORDED.iter().chain(super::super::scraped::SCRAPED) {
            for label in metric.labels {
                let is_unbounded = ["account", "bot", "lead", "entity", "url", "host", "origin", "job"]
                    .iter()
                    .any(|part| label.contains(part));
                assert!(!is_unbounded, "{}{{{label}}}", metric.name);
            }
        }
    }
}
