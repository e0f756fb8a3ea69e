//! Supervises background tasks that must not end before the bridge does: maintenance of the store and the metrics,
//! renewal of tokens, samples for the history.
//!
//! If such a task panics or ends, the supervisor restarts it after a pause, because a bridge that serves requests without
//! it is better than one that stops. The failure is an error in the log, `ready` shows it under `degraded`, and
//! `bridge_task_restarts_total{task}` counts it. The parts that requests go through (listeners, pool, sender, the
//! store's writer) are not restarted: if one of them ends, the bridge stops and exits with an error.

use std::time::Duration;

use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::health::Health;
use model::clock::Clock;
use model::whole_millis;

/// The first pause. Each further pause in a row is twice as long.
const MIN_RESTART_DELAY: Duration = Duration::from_secs(1);
const MAX_RESTART_DELAY: Duration = Duration::from_secs(60);
/// A task that has run for this long since its last restart counts as healthy again.
const HEALTHY_AFTER: Duration = Duration::from_secs(60);

/// The environment of a supervised task.
#[derive(Clone)]
pub(super) struct Supervisor {
    pub(super) clock: Clock,
    pub(super) health: Health,
    pub(super) stop: CancellationToken,
}

impl Supervisor {
    /// Runs the task `name` until the stop. `begin` creates the task's future, once per start. The future must not end
    /// before the stop.
    pub(super) async fn run<F>(self, name: &'static str, mut begin: impl FnMut() -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut failures = 0;
        loop {
            // Dropping the supervisor also ends its task.
            let mut task = AbortOnDropHandle::new(tokio::spawn(begin()));
            let since = self.clock.elapsed();
            let ended = tokio::select! {
                ended = &mut task => ended,
                () = self.clock.sleep(HEALTHY_AFTER), if failures > 0 => {
                    failures = 0;
                    self.health.task_runs(name);
                    (&mut task).await
                }
            };
            if self.stop.is_cancelled() {
                return log_last(name, ended);
            }
            if self.clock.elapsed().saturating_sub(since) >= HEALTHY_AFTER {
                failures = 0;
            }
            failures += 1;
            let pause = pause(failures);
            // The panic hook has already logged the message and the place.
            let why = if ended.is_err() { "it panicked" } else { "it ended" };
            metrics::counter!("bridge_task_restarts_total", "task" => name).increment(1);
            self.health.task_failed(name, why);
            tracing::error!(
                task = name,
                why,
                failures,
                pause_ms = whole_millis(pause),
                "background task failed; restarting it after a pause"
            );
            if self.stop.run_until_cancelled(self.clock.sleep(pause)).await.is_none() {
                return;
            }
        }
    }
}

fn log_last(name: &'static str, ended: Result<(), JoinError>) {
    if ended.is_err() {
        tracing::error!(task = name, "background task panicked during the stop");
    }
}

fn pause(failures: u32) -> Duration {
    let doubled = MIN_RESTART_DELAY.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1)));
    doubled.min(MAX_RESTART_DELAY)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use metrics_exporter_prometheus::PrometheusBuilder;
    use tokio::sync::mpsc;

    use super::*;
    use model::Timestamp;
    use model::clock::ManualClock;

    #[test]
    fn restart_delays_double_up_to_a_minute() {
        let seconds = [1, 2, 6, 7, 8, 100, u32::MAX].map(|failures| pause(failures).as_secs());
        assert_eq!(seconds, [1, 2, 32, 60, 60, 60, 60]);
    }

    #[tokio::test]
    async fn a_task_that_panics_is_reported_and_restarted() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        let _recording = metrics::set_default_local_recorder(&recorder);
        let (clock, health, stop) =
            (ManualClock::new(Timestamp::from_millis(0)), Health::new(), CancellationToken::new());
        let (began, mut begun) = mpsc::unbounded_channel();
        let starts = Arc::new(AtomicU32::new(0));
        let supervisor = Supervisor { clock: clock.clock(), health: health.clone(), stop: stop.clone() };
        let supervised = tokio::spawn(supervisor.run("maintenance", {
            let stop = stop.clone();
            move || {
                let start = starts.fetch_add(1, Ordering::Relaxed);
                let (began, stop) = (began.clone(), stop.clone());
                async move {
                    began.send(start).unwrap();
                    assert!(start >= 2, "the first two starts panic");
                    stop.cancelled().await;
                }
            }
        }));
        let failed = || health.failed_tasks().len();
        for start in 0..3 {
            assert_eq!(begun.recv().await, Some(start));
            if start == 2 {
                break;
            }
            // The failure is recorded before the pause begins, and only the end of the pause leads to the next start.
            while !handle
                .render()
                .contains(&format!("bridge_task_restarts_total{{task=\"maintenance\"}} {}", start + 1))
            {
                tokio::task::yield_now().await;
            }
            assert_eq!(failed(), 1);
            assert!(begun.try_recv().is_err());
            clock.advance(pause(start + 1));
        }
        assert!(health.failed_tasks()[0].contains("`maintenance`"), "{:?}", health.failed_tasks());
        tokio::task::yield_now().await;
        while failed() > 0 {
            clock.advance(HEALTHY_AFTER);
            tokio::task::yield_now().await;
        }
        assert!(!supervised.is_finished());
        stop.cancel();
        supervised.await.unwrap();
        assert!(begun.try_recv().is_err(), "the task started again after the stop");
    }
}
