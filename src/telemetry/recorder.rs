//! The Prometheus recorder, and the list of its metrics.
//!
//! A label has few values, such as handlers, outcomes or states. It is never an account or a URL, because there can be any
//! number of those. Jobs by state and the oldest job are not in the recorder: the admin listener reads them from the
//! store at each scrape, so that two bridges in one process do not mix.

use std::sync::LazyLock;
use std::time::Duration;

use metrics::Unit;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use model::clock::Clock;

use super::queue::DROPPED;

/// How often the samples that histograms collect between scrapes are aggregated.
const MAINTENANCE_INTERVAL: Duration = Duration::from_secs(5);

/// The size of an allocation that shares no page with others, in bytes.
const PAGES_OF_ITS_OWN: usize = 1 << 20;

/// A metric.
#[derive(Clone, Copy, Debug)]
struct Metric {
    /// Its name.
    name: &'static str,
    /// Its type.
    kind: MetricKind,
    /// Its unit.
    unit: Unit,
    /// Its help text.
    help: &'static str,
}

/// The type of a metric.
#[derive(Clone, Copy, Debug)]
enum MetricKind {
    /// A value that only grows.
    Counter,
    /// The current value.
    Gauge,
    /// The number of samples up to each of these bounds.
    Histogram(&'static [f64]),
}

/// All metrics of the rooms.
const METRICS: &[Metric] = &[
    Metric {
        name: "bridge_requests_total",
        kind: MetricKind::Counter,
        unit: Unit::Count,
        help: "widget_requests that came in, by handler and outcome.",
    },
    Metric {
        name: "bridge_handler_attempts_total",
        kind: MetricKind::Counter,
        unit: Unit::Count,
        help: "Runs of a handler, by handler and outcome.",
    },
    Metric {
        name: "bridge_http_handler_calls_total",
        kind: MetricKind::Counter,
        unit: Unit::Count,
        help: "Calls to the URL of a handler, by handler and outcome.",
    },
    Metric {
        name: "bridge_http_handler_breaker_open",
        kind: MetricKind::Gauge,
        unit: Unit::Count,
        help: "1 while the jobs of a handler wait because its URL cannot be reached, by handler.",
    },
    Metric {
        name: "bridge_acknowledgements_total",
        kind: MetricKind::Counter,
        unit: Unit::Count,
        help: "Responses with which a tool only acknowledged a request, by handler.",
    },
    Metric {
        name: "bridge_fallbacks_total",
        kind: MetricKind::Counter,
        unit: Unit::Count,
        help: "Bots that got the fallback instead of an answer, by handler and reason.",
    },
    Metric {
        name: "bridge_delivery_attempts_total",
        kind: MetricKind::Counter,
        unit: Unit::Count,
        help: "Continues posted to Kommo, by outcome.",
    },
    Metric {
        name: "bridge_token_renewals_total",
        kind: MetricKind::Counter,
        unit: Unit::Count,
        help: "Renewals of an account's tokens, by outcome.",
    },
    Metric {
        name: "bridge_oauth_callbacks_total",
        kind: MetricKind::Counter,
        unit: Unit::Count,
        help: "Calls to /oauth/callback, by outcome.",
    },
    Metric {
        name: "bridge_unknown_paths_total",
        kind: MetricKind::Counter,
        unit: Unit::Count,
        help: "Calls to the public listener that no route matches, by reason: path or method.",
    },
    Metric {
        name: "bridge_task_restarts_total",
        kind: MetricKind::Counter,
        unit: Unit::Count,
        help: "Background tasks that panicked and were started again, by task.",
    },
    Metric {
        name: "bridge_backup_last_success_timestamp_seconds",
        kind: MetricKind::Gauge,
        unit: Unit::Seconds,
        help: "When the newest scheduled backup of the store was written, in seconds since 1970.",
    },
    Metric {
        name: "bridge_oauth_revocations_total",
        kind: MetricKind::Counter,
        unit: Unit::Count,
        help: "Calls to /oauth/revoked, by outcome.",
    },
    Metric {
        name: "bridge_bodies_dropped_total",
        kind: MetricKind::Counter,
        unit: Unit::Count,
        help: "Finished jobs whose bodies were dropped to make room, by reason.",
    },
    Metric {
        name: "bridge_accounts",
        kind: MetricKind::Gauge,
        unit: Unit::Count,
        help: "Accounts that were connected by OAuth, by state.",
    },
    Metric {
        name: "bridge_handler_threads_blocked",
        kind: MetricKind::Gauge,
        unit: Unit::Count,
        help: "Handler threads that a handler has held for 20 ms or longer without a break.",
    },
    Metric {
        name: "bridge_connections",
        kind: MetricKind::Gauge,
        unit: Unit::Count,
        help: "Open connections, by listener.",
    },
    Metric {
        name: "bridge_connections_evicted_total",
        kind: MetricKind::Counter,
        unit: Unit::Count,
        help: "Connections that were closed for new ones because all were in use, by listener.",
    },
    Metric {
        name: "bridge_admin_refused_total",
        kind: MetricKind::Counter,
        unit: Unit::Count,
        help: "Requests that the admin listener refused because of their sender, by reason.",
    },
    Metric {
        name: DROPPED,
        kind: MetricKind::Counter,
        unit: Unit::Count,
        help: "Log lines that were dropped because stderr did not take them.",
    },
    Metric {
        name: "bridge_callbacks_total",
        kind: MetricKind::Counter,
        unit: Unit::Count,
        help: "Answers and notes that handlers sent later, by result.",
    },
    Metric {
        name: "bridge_joined_messages_total",
        kind: MetricKind::Counter,
        unit: Unit::Count,
        help: "Jobs whose messages a later job of the same conversation answers, by handler.",
    },
    Metric {
        name: "bridge_ack_seconds",
        // 1.8 is the default of server.ack_deadline, 2 what Kommo allows.
        kind: MetricKind::Histogram(&[
            0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 1.8, 2.0,
        ]),
        unit: Unit::Seconds,
        help: "From a widget_request's head to its 200.",
    },
    Metric {
        name: "bridge_http_handler_seconds",
        // 30 is the default of handlers.NAME.attempt_timeout, 50 that of answer_within.
        kind: MetricKind::Histogram(&[
            0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 50.0,
        ]),
        unit: Unit::Seconds,
        help: "One call to the URL of a handler, until the end of its response, by handler.",
    },
    Metric {
        name: "bridge_receipt_to_continue_seconds",
        // 50 is the default of handlers.NAME.answer_within, 3600 that of delivery.give_up_after.
        kind: MetricKind::Histogram(&[
            0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 50.0, 60.0, 300.0, 3600.0,
        ]),
        unit: Unit::Seconds,
        help: "From a widget_request's receipt to the continue that Kommo accepted.",
    },
    Metric {
        name: "bridge_commit_seconds",
        kind: MetricKind::Histogram(&[
            0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0,
        ]),
        unit: Unit::Seconds,
        help: "One transaction of the store's writer, until it is on the disk.",
    },
    Metric {
        name: "bridge_commit_operations",
        kind: MetricKind::Histogram(&[
            1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 4096.0,
        ]),
        unit: Unit::Count,
        help: "Operations in one transaction of the store's writer.",
    },
];

static RECORDER: LazyLock<PrometheusHandle> = LazyLock::new(|| {
    let buckets = |builder: PrometheusBuilder, metric: &Metric| match metric.kind {
        MetricKind::Counter | MetricKind::Gauge => builder,
        MetricKind::Histogram(bounds) => builder
            .set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), bounds)
            // The only error is an empty list of bounds, which a test rules out.
            .unwrap_or_default(),
    };
    let recorder = METRICS.iter().fold(PrometheusBuilder::new(), buckets).build_recorder();
    metrics::with_local_recorder(&recorder, || {
        for &Metric { name, kind, unit, help } in METRICS {
            match kind {
                MetricKind::Counter => metrics::describe_counter!(name, unit, help),
                MetricKind::Gauge => metrics::describe_gauge!(name, unit, help),
                MetricKind::Histogram(_) => metrics::describe_histogram!(name, unit, help),
            }
        }
    });
    // An alert needs to see 0 before the first dropped line.
    metrics::with_local_recorder(&recorder, || metrics::counter!(DROPPED).increment(0));
    let handle = recorder.handle();
    if metrics::set_global_recorder(recorder).is_err() {
        tracing::warn!("this program has its own metrics recorder: /metrics shows only the store's numbers");
    }
    handle
});

/// The recorder of this process. The first call installs it, and must come before anything is counted.
pub fn recorder() -> PrometheusHandle {
    RECORDER.clone()
}

/// Keeps the memory of the recorder and of the process small. Never ends; drop it with the bridge.
pub async fn maintain(recorder: PrometheusHandle, clock: Clock) {
    loop {
        clock.sleep(MAINTENANCE_INTERVAL).await;
        recorder.run_upkeep();
        return_free_memory();
    }
}

/// Makes the allocator return free memory to the system.
///
/// mimalloc returns memory that has been free for a second, but only when it frees another page. An idle bridge frees none,
/// and would keep the memory of its last busy time.
fn return_free_memory() {
    // An allocation of this size has pages of its own, so the allocator frees them at once. Nothing touches them.
    drop(std::hint::black_box(Vec::<u8>::with_capacity(PAGES_OF_ITS_OWN)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_histogram_has_rising_bounds() {
        for metric in METRICS {
            if let MetricKind::Histogram(bounds) = metric.kind {
                assert!(!bounds.is_empty() && bounds.is_sorted(), "{}", metric.name);
            }
        }
    }

    #[test]
    fn a_second_bridge_shares_the_recorder_and_every_histogram_has_buckets() {
        let (first, second) = (recorder(), recorder());
        for metric in METRICS {
            match metric.kind {
                MetricKind::Counter => metrics::counter!(metric.name, "outcome" => "test").increment(0),
                MetricKind::Gauge => metrics::gauge!(metric.name, "outcome" => "test").set(0),
                MetricKind::Histogram(_) => metrics::histogram!(metric.name).record(0.3),
            }
        }
        for text in [first.render(), second.render()] {
            for metric in METRICS {
                let labelled = format!("{}{{outcome=\"test\"}}", metric.name);
                let (kind, sample) = match metric.kind {
                    MetricKind::Counter => ("counter", labelled),
                    MetricKind::Gauge => ("gauge", labelled),
                    MetricKind::Histogram(_) => {
                        ("histogram", format!("{}_bucket{{le=\"+Inf\"}}", metric.name))
                    }
                };
                assert!(text.contains(&format!("# HELP {} {}", metric.name, metric.help)), "{text}");
                assert!(text.contains(&format!("# TYPE {} {kind}\n", metric.name)), "{text}");
                assert!(text.contains(&sample), "{text}");
            }
        }
    }
}
