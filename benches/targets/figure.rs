//! One figure: the values of all runs, and the target.

use serde::Serialize;

/// The target of a figure.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// The median must be at least this.
    AtLeast(f64),
    /// The median must be at most this.
    AtMost(f64),
    /// No run may exceed this.
    Never(f64),
}

/// One line of the table.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    /// What is measured.
    pub name: String,
    /// `/s`, `ms`, `µs`, `MiB`, `×`, …
    pub unit: &'static str,
    /// `None` if the figure is only for information or comparison.
    pub target: Option<Target>,
    /// One value for each run.
    pub values: Vec<f64>,
    /// Why the figure was not measured; `None` if it was.
    pub skipped: Option<String>,
}

impl Figure {
    /// A figure without values yet.
    pub fn new(name: impl Into<String>, unit: &'static str) -> Self {
        Self { name: name.into(), unit, target: None, values: Vec::new(), skipped: None }
    }

    /// The same figure with this target.
    #[must_use]
    pub fn target(mut self, target: Target) -> Self {
        self.target = Some(target);
        self
    }

    /// The same figure with these values added.
    #[must_use]
    pub fn of(mut self, values: impl IntoIterator<Item = f64>) -> Self {
        self.values.extend(values);
        self
    }

    /// The same figure, marked as not measured because of `why`.
    #[must_use]
    pub fn skipped(mut self, why: impl Into<String>) -> Self {
        self.skipped = Some(why.into());
        self
    }

    /// The median of the values.
    #[must_use]
    pub fn median(&self) -> f64 {
        let mut values = self.values.clone();
        values.sort_by(f64::total_cmp);
        match values.len() {
            0 => f64::NAN,
            many if many % 2 == 1 => values[many / 2],
            many => f64::midpoint(values[many / 2 - 1], values[many / 2]),
        }
    }

    /// The smallest and the largest value.
    #[must_use]
    pub fn spread(&self) -> (f64, f64) {
        let bounds = (f64::INFINITY, f64::NEG_INFINITY);
        self.values.iter().fold(bounds, |(low, high), value| (low.min(*value), high.max(*value)))
    }

    /// Whether the target is met; `None` if there is no target, or nothing was measured.
    #[must_use]
    pub fn met(&self) -> Option<bool> {
        self.target.filter(|_| !self.values.is_empty()).map(|target| match target {
            Target::AtLeast(least) => self.median() >= least,
            Target::AtMost(most) => self.median() <= most,
            Target::Never(most) => self.spread().1 <= most,
        })
    }
}
