//! `/metrics`: the metrics of the process, and the current numbers of the store.
//!
//! The recorder does not contain the numbers of the store; each scrape reads them. So they are exact, cannot become
//! stale, and belong only to this bridge. The exception is the age of the oldest delivery, which may take long to read:
//! it comes from the last sample of the history.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;

use crate::meters::Exposition;
use crate::meters::scraped::{
    ACCOUNTS_WAITING, ALL_ACCOUNTS_WAIT, AWAITING_CALLBACK, BODY_BYTES, FREE_BYTES, JOBS, OLDEST_QUEUED,
    OLDEST_UNDELIVERED, PAUSED_ACCOUNTS, STORE_BYTES, TOKEN_EXPIRY, WAITING_FOR_TURN, WAL_BYTES,
};
use model::{ALL_ACCOUNTS, Timestamp, WaitCause};
use store::Stats;

use super::Shared;
use super::document::tag;

const CONTENT_TYPE_OF_METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Returns the metrics of the process
///
/// In Prometheus' text format. The numbers of the store are omitted if it cannot be read.
#[utoipa::path(get, path = "/metrics", tag = tag::HEALTH, operation_id = "getMetrics",
    responses((status = 200, description = "The metrics.", body = String, content_type = "text/plain")))]
pub(super) async fn scrape(State(shared): State<Shared>) -> Response {
    let mut text = Exposition::default();
    match shared.store.jobs().stats().await {
        Ok(stats) => of_store(&mut text, &stats, shared.clock.now()),
        Err(error) => tracing::warn!(%error, "reading the store failed; /metrics omits its numbers"),
    }
    let oldest = shared.history.oldest_undelivered().map(|since| shared.clock.steady().since(since));
    text.value(&OLDEST_UNDELIVERED, oldest.unwrap_or_default().as_secs_f64());
    of_callbacks(&mut text, &shared);
    of_files(&mut text, &shared);
    of_accounts(&mut text, &shared);
    let text = (shared.metrics)() + &text.into_text();
    ([(CONTENT_TYPE, CONTENT_TYPE_OF_METRICS)], text).into_response()
}

fn of_store(text: &mut Exposition, stats: &Stats, now: Timestamp) {
    text.family(&JOBS, stats.jobs.iter().map(|(state, jobs)| ([state.as_str()], jobs)));
    let age = stats.oldest_queued.map_or(0.0, |oldest| now.since(oldest).as_secs_f64());
    text.value(&OLDEST_QUEUED, age);
    text.value(&WAITING_FOR_TURN, stats.waiting_for_turn);
    text.family(&BODY_BYTES, [(["stored"], stats.stored_bytes), (["unfinished"], stats.unfinished_bytes)]);
}

fn of_callbacks(text: &mut Exposition, shared: &Shared) {
    let mut handlers: Vec<&str> = shared.handlers.iter().map(|handler| handler.as_str()).collect();
    handlers.sort_unstable();
    let callbacks = shared.store.callbacks();
    text.family(&AWAITING_CALLBACK, handlers.into_iter().map(|name| ([name], callbacks.awaiting(name))));
}

fn of_files(text: &mut Exposition, shared: &Shared) {
    let files = shared.store.maintenance();
    text.value(&STORE_BYTES, files.file_bytes());
    text.value(&WAL_BYTES, files.log_bytes());
    if let Some(free) = files.free_bytes() {
        text.value(&FREE_BYTES, free);
    }
}

fn of_accounts(text: &mut Exposition, shared: &Shared) {
    let waits = shared.health.waits();
    let paused = WaitCause::ALL.map(|cause| {
        let accounts = waits.iter().filter(|(origin, wait)| &**origin != ALL_ACCOUNTS && wait.cause == cause);
        ([cause.as_str()], accounts.count())
    });
    text.value(&ACCOUNTS_WAITING, shared.health.waiting().len());
    text.family(&PAUSED_ACCOUNTS, paused);
    text.value(&ALL_ACCOUNTS_WAIT, u8::from(shared.health.everybody_waits().is_some()));
    if let Some(expiry) = (shared.token_expiry)() {
        text.value(&TOKEN_EXPIRY, seconds_until(expiry, shared.clock.now()));
    }
}

/// The seconds from `now` to `then`; negative if `then` is over.
fn seconds_until(then: Timestamp, now: Timestamp) -> f64 {
    if then >= now { then.since(now).as_secs_f64() } else { -now.since(then).as_secs_f64() }
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
        let mut text = Exposition::default();
        of_store(&mut text, &stats, Timestamp::from_millis(2_500));
        assert_eq!(
            text.into_text(),
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
        let mut text = Exposition::default();
        of_store(&mut text, &Stats { oldest_queued: None, ..stats }, Timestamp::from_millis(1));
        assert!(text.into_text().contains("\nbridge_oldest_queued_seconds 0\n"));
    }

    #[test]
    fn an_expired_token_has_a_negative_time() {
        let (then, later) = (Timestamp::from_millis(1_000), Timestamp::from_millis(3_500));
        assert_eq!((seconds_until(later, then), seconds_until(then, later)), (2.5, -2.5));
        assert_eq!(seconds_until(then, then), 0.0);
    }
}
