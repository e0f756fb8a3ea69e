//! Figures with and without something, measured in turns: the values with it, and the ratio of each pair of runs.

use super::figure::{Figure, Target};

/// The name, unit and value of a figure in one run.
pub type Value = (&'static str, &'static str, f64);

/// The figures of all pairs so far.
pub struct Pairs {
    with: String,
    without: &'static str,
    values: Vec<Figure>,
    ratios: Vec<Figure>,
}

impl Pairs {
    /// No pairs yet. `with` and `without` name the two sides, like `1000 accounts` and `one account`.
    pub fn new(with: String, without: &'static str) -> Self {
        Self { with, without, values: Vec::new(), ratios: Vec::new() }
    }

    /// Adds a pair of runs with the same figures in the same order.
    pub fn add(&mut self, with: &[Value], without: &[Value]) {
        for (index, ((name, unit, with), (_, _, without))) in with.iter().zip(without).enumerate() {
            if self.values.len() == index {
                // The target is the same everywhere: within a tenth. A rate may not fall, anything else may not rise.
                let target = if *unit == "/s" { Target::AtLeast(0.9) } else { Target::AtMost(1.1) };
                self.values.push(Figure::new(format!("{name}, {}", self.with), unit));
                let ratio = Figure::new(format!("{name}, with / {}", self.without), "×");
                self.ratios.push(ratio.target(target));
            }
            self.values[index].values.push(*with);
            self.ratios[index].values.push(with / without);
        }
    }

    /// The values with it, then the ratios.
    pub fn figures(self) -> Vec<Figure> {
        self.values.into_iter().chain(self.ratios).collect()
    }
}
