//! The Prometheus recorder of the process.
//!
//! The numbers of the store and the accounts are not in it: the admin listener reads them at each scrape, so that two
//! bridges in one process do not mix.

use std::sync::LazyLock;
use std::time::Duration;

use metrics::Unit;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use crate::meters::recorded::RECORDED;
use crate::meters::{Exposition, Metric, MetricKind};
use model::clock::Clock;

use super::process;
use super::queue::DROPPED;

/// How often the samples that histograms collect between scrapes are aggregated.
const MAINTENANCE_INTERVAL: Duration = Duration::from_secs(5);

/// The size of an allocation that shares no page with others, in bytes.
const PAGES_OF_ITS_OWN: usize = 1 << 20;

static RECORDER: LazyLock<PrometheusHandle> = LazyLock::new(|| {
    let buckets = |builder: PrometheusBuilder, metric: &Metric| match metric.kind {
        MetricKind::Counter | MetricKind::Gauge => builder,
        MetricKind::Histogram(bounds) => builder
            .set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), bounds)
            // The only error is an empty list of bounds, which a test rules out.
            .unwrap_or_default(),
    };
    let recorder = RECORDED.iter().fold(PrometheusBuilder::new(), buckets).build_recorder();
    metrics::with_local_recorder(&recorder, || {
        for metric in RECORDED {
            let (Metric { name, kind, help, .. }, unit) = (*metric, unit(metric.name));
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

/// The unit of a metric: the end of its name says it.
fn unit(name: &str) -> Unit {
    if name.ends_with("_seconds") {
        Unit::Seconds
    } else if name.ends_with("_bytes") {
        Unit::Bytes
    } else {
        Unit::Count
    }
}

/// The recorder of this process. The first call installs it, and must come before anything is counted.
pub fn recorder() -> PrometheusHandle {
    RECORDER.clone()
}

/// Renders what `recorder` has collected, and the numbers of the process.
pub fn render(recorder: &PrometheusHandle) -> String {
    let mut of_process = Exposition::default();
    process::add(&mut of_process);
    let mut text = recorder.render();
    text.push_str(&of_process.into_text());
    text
}

/// Names the program in the metric `bridge_build_info`.
pub fn name_program(program: &'static str, version: Option<&'static str>) {
    let version = version.unwrap_or_default();
    metrics::gauge!("bridge_build_info", "program" => program, "version" => version, "bridge_version" => env!("CARGO_PKG_VERSION"))
        .set(1);
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
    fn a_second_bridge_shares_the_recorder_and_every_histogram_has_buckets() {
        let (first, second) = (recorder(), recorder());
        for metric in RECORDED {
            match metric.kind {
                MetricKind::Counter => metrics::counter!(metric.name, "outcome" => "test").increment(0),
                MetricKind::Gauge => metrics::gauge!(metric.name, "outcome" => "test").set(0),
                MetricKind::Histogram(_) => metrics::histogram!(metric.name).record(0.3),
            }
        }
        for text in [first.render(), second.render()] {
            for metric in RECORDED {
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
