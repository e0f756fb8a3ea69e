//! Writes metrics in Prometheus' text format, for the numbers that each scrape reads.

use std::fmt::{Display, Write};

use super::Metric;

/// Prometheus text.
#[derive(Debug, Default)]
pub struct Exposition(String);

impl Exposition {
    /// Adds a metric without labels.
    pub fn value(&mut self, metric: &Metric, value: impl Display) {
        self.family(metric, [([], value)]);
    }

    /// Adds a metric with its samples. Each sample has the values of the labels, in the order of the metric's labels.
    pub fn family<'v, const N: usize, V: Display>(
        &mut self,
        metric: &Metric,
        samples: impl IntoIterator<Item = ([&'v str; N], V)>,
    ) {
        debug_assert_eq!(metric.labels.len(), N, "{}", metric.name);
        let Metric { name, kind, help, .. } = metric;
        // Writing to a String cannot fail.
        let _never_fails = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {}", kind.as_str());
        for (values, value) in samples {
            let labels: Vec<String> = metric
                .labels
                .iter()
                .zip(values)
                .map(|(label, value)| format!("{label}=\"{}\"", escaped(value)))
                .collect();
            let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
            let _never_fails = writeln!(self.0, "{name}{labels} {value}");
        }
    }

    /// The text.
    pub fn into_text(self) -> String {
        self.0
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::super::scraped::{BODY_BYTES, WAL_BYTES};
    use super::*;

    #[test]
    fn a_metric_is_its_help_its_type_and_its_samples() {
        let mut text = Exposition::default();
        text.value(&WAL_BYTES, 7);
        text.family(&BODY_BYTES, [(["stored"], 1.5), (["a\"b\\c\n"], 0.0)]);
        assert_eq!(
            text.into_text(),
            "# HELP bridge_store_wal_bytes Length of the store's write-ahead log.\n\
             # TYPE bridge_store_wal_bytes gauge\n\
             bridge_store_wal_bytes 7\n\
             # HELP bridge_body_bytes Bytes of the bodies of all jobs (stored) and of unfinished jobs.\n\
             # TYPE bridge_body_bytes gauge\n\
             bridge_body_bytes{of=\"stored\"} 1.5\n\
             bridge_body_bytes{of=\"a\\\"b\\\\c\\n\"} 0\n"
        );
    }
}
