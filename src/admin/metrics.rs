//! `/metrics`: the metrics of the process, and the current numbers of the store.
//!
//! The recorder does not contain the numbers of the store; each scrape reads them. So they are exact, cannot become
//! stale, and belong only to this bridge.

use std::fmt::Write;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;

use model::Timestamp;
use store::Stats;

use super::Shared;

const CONTENT_TYPE_OF_METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Returns the metrics in Prometheus' text format. The store's numbers are omitted if it cannot be read.
pub(super) async fn scrape(State(shared): State<Shared>) -> Response {
    let mut text = shared.metrics.render();
    match shared.store.jobs().stats().await {
        Ok(stats) => text.push_str(&of_store(&stats, shared.clock.now())),
        Err(error) => tracing::warn!(%error, "reading the store failed; /metrics omits its numbers"),
    }
    text.push_str(&of_log(shared.store.maintenance().log_bytes()));
    text.push_str(&of_accounts(shared.health.waiting().len(), shared.health.everybody_waits().is_some()));
    ([(CONTENT_TYPE, CONTENT_TYPE_OF_METRICS)], text).into_response()
}

fn of_store(stats: &Stats, now: Timestamp) -> String {
    let mut text = head("bridge_jobs", "Jobs in the store, by state.");
    for (state, jobs) in &stats.jobs {
        line(&mut text, &format!("bridge_jobs{{state=\"{state}\"}}"), jobs);
    }
    text.push_str(&head(
        "bridge_oldest_queued_seconds",
        "Age of the oldest job that waits for a worker; 0 if none waits.",
    ));
    let age = stats.oldest_queued.map_or(0.0, |oldest| now.since(oldest).as_secs_f64());
    line(&mut text, "bridge_oldest_queued_seconds", age);
    text.push_str(&head(
        "bridge_jobs_waiting_for_turn",
        "Queued jobs that wait until an earlier job of their conversation is answered.",
    ));
    line(&mut text, "bridge_jobs_waiting_for_turn", stats.waiting_for_turn);
    text.push_str(&head(
        "bridge_body_bytes",
        "Bytes of the bodies of all jobs (stored) and of unfinished jobs.",
    ));
    line(&mut text, "bridge_body_bytes{of=\"stored\"}", stats.stored_bytes);
    line(&mut text, "bridge_body_bytes{of=\"unfinished\"}", stats.unfinished_bytes);
    text
}

fn of_log(bytes: u64) -> String {
    let mut text = head("bridge_store_wal_bytes", "Length of the store's write-ahead log.");
    line(&mut text, "bridge_store_wal_bytes", bytes);
    text
}

fn of_accounts(waiting: usize, everybody_waits: bool) -> String {
    let mut text =
        head("bridge_accounts_waiting", "Accounts whose deliveries are paused until an operator acts.");
    line(&mut text, "bridge_accounts_waiting", waiting);
    text.push_str(&head(
        "bridge_all_accounts_wait",
        "1 while Kommo seems to block the bridge's address, so that the deliveries of all accounts wait.",
    ));
    line(&mut text, "bridge_all_accounts_wait", u8::from(everybody_waits));
    text
}

fn head(name: &str, help: &str) -> String {
    format!("# HELP {name} {help}\n# TYPE {name} gauge\n")
}

fn line(text: &mut String, name: &str, value: impl std::fmt::Display) {
    // Writing to a String cannot fail.
    let _never_fails = writeln!(text, "{name} {value}");
}

#[cfg(test)]
mod tests {
    use model::StateName;

    use super::*;

    #[test]
    fn the_gauges_are_prometheus_text() {
        let stats = Stats {
            jobs: [(StateName::Queued, 3), (StateName::Dead, 0)].into(),
            oldest_queued: Some(Timestamp::from_millis(1_000)),
            waiting_for_turn: 2,
            unfinished_bytes: 7,
            stored_bytes: 9,
        };
        let text = of_store(&stats, Timestamp::from_millis(2_500));
        assert_eq!(
            text,
            "# HELP bridge_jobs Jobs in the store, by state.\n\
             # TYPE bridge_jobs gauge\n\
             bridge_jobs{state=\"queued\"} 3\n\
             bridge_jobs{state=\"dead\"} 0\n\
             # HELP bridge_oldest_queued_seconds Age of the oldest job that waits for a worker; 0 if none waits.\n\
             # TYPE bridge_oldest_queued_seconds gauge\n\
             bridge_oldest_queued_seconds 1.5\n\
             # HELP bridge_jobs_waiting_for_turn Queued jobs that wait until an earlier job of their conversation is answered.\n\
             # TYPE bridge_jobs_waiting_for_turn gauge\n\
             bridge_jobs_waiting_for_turn 2\n\
             # HELP bridge_body_bytes Bytes of the bodies of all jobs (stored) and of unfinished jobs.\n\
             # TYPE bridge_body_bytes gauge\n\
             bridge_body_bytes{of=\"stored\"} 9\n\
             bridge_body_bytes{of=\"unfinished\"} 7\n"
        );
        let none = Stats { oldest_queued: None, ..stats };
        assert!(of_store(&none, Timestamp::from_millis(1)).contains("\nbridge_oldest_queued_seconds 0\n"));
        assert!(of_log(4_096).ends_with("gauge\nbridge_store_wal_bytes 4096\n"));
        let accounts = of_accounts(2, true);
        assert!(accounts.contains("gauge\nbridge_accounts_waiting 2\n"), "{accounts}");
        assert!(accounts.ends_with("gauge\nbridge_all_accounts_wait 1\n"), "{accounts}");
        assert!(of_accounts(0, false).ends_with("bridge_all_accounts_wait 0\n"));
    }
}
