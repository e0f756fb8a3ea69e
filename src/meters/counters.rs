//! Counters with labels, by the values of the labels.
//!
//! The macros of `metrics` build a key and search the recorder at each call, which costs about 300 ns. Every job counts
//! several times, so the rooms keep the handles.

use std::hash::Hash;
use std::sync::{PoisonError, RwLock};

use metrics::Counter;

use model::maps::HashMap;

/// The counters of one metric. `K` holds the values of its labels, of which there must be few.
pub struct Counters<K> {
    known: RwLock<HashMap<K, Counter>>,
    /// Finds the counter in the recorder.
    find: fn(&K) -> Counter,
}

impl<K: Hash + Eq + Clone> Counters<K> {
    /// Creates them. `find` calls the macro of `metrics` that names the metric.
    pub fn new(find: fn(&K) -> Counter) -> Self {
        Self { known: RwLock::default(), find }
    }

    /// Adds 1 to the counter of `key`.
    pub fn add_one(&self, key: &K) {
        if let Some(counter) = self.known.read().unwrap_or_else(PoisonError::into_inner).get(key) {
            counter.increment(1);
            return;
        }
        let counter = (self.find)(key);
        counter.increment(1);
        self.known.write().unwrap_or_else(PoisonError::into_inner).insert(key.clone(), counter);
    }
}

#[cfg(test)]
mod tests {
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;

    #[test]
    fn each_key_has_its_counter() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        let _recording = metrics::set_default_local_recorder(&recorder);
        let counters: Counters<(&'static str, u16)> = Counters::new(
            |(route, status)| metrics::counter!("test_total", "route" => *route, "status" => status.to_string()),
        );
        for key in [("/", 200), ("/", 200), ("/", 404), ("/a", 200)] {
            counters.add_one(&key);
        }
        let text = handle.render();
        for sample in [
            r#"test_total{route="/",status="200"} 2"#,
            r#"test_total{route="/",status="404"} 1"#,
            r#"test_total{route="/a",status="200"} 1"#,
        ] {
            assert!(text.contains(sample), "{text}");
        }
    }
}
