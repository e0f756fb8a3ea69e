//! The list of all metrics, and what counts them without much cost: handles of counters with labels, and the running
//! totals of one bridge, from which `history` draws its charts.
//!
//! A label has few values, such as handlers, outcomes or states. It is never an account, a bot, a lead or a URL, because
//! there can be any number of those. `docs/metrics.md` lists the same metrics, and a test compares the two.

mod counters;
mod exposition;
mod metric;
pub mod recorded;
pub mod scraped;
mod times;
mod totals;

pub use counters::Counters;
pub use exposition::Exposition;
pub use metric::{Metric, MetricKind};
pub use times::Times;
pub use totals::{Totals, TotalsSnapshot};
