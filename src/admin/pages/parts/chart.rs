//! Line charts and sparklines as SVG. Places are in percent, and the lines are in a nested view box, so a chart fits any
//! width and its text keeps its size.

use std::fmt::Write as _;

use maud::{Markup, html};

/// The height of the lines, in pixels, and the space above them.
const HEIGHT: f64 = 134.0;
const TOP: f64 = 14.0;
/// Where the lines begin, in percent of the width: after the labels of the values.
const LEFT: f64 = 9.0;

/// How values become heights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::admin::pages) enum Values {
    /// From 0 to this value.
    Linear(f64),
    /// From the first to the second value, logarithmic.
    Logarithmic(f64, f64),
}

impl Values {
    /// The place of a value, in percent from the top. Values outside are at the border.
    fn percent(self, value: f64) -> f64 {
        let share = match self {
            Self::Linear(top) => value / top.max(f64::MIN_POSITIVE),
            Self::Logarithmic(from, to) => (value.max(from) / from).ln() / (to / from).ln(),
        };
        100.0 * (1.0 - share.clamp(0.0, 1.0))
    }
}

/// A linear scale for values up to `highest`, and the values that have a grid line: 0 and up to four round ones.
pub(in crate::admin::pages) fn linear(highest: f64) -> (Values, Vec<f64>) {
    let rough = highest.max(1.0) / 4.0;
    let magnitude = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|factor| factor * magnitude).find(|step| *step >= rough);
    let step = step.unwrap_or(rough).max(1.0);
    let lines: Vec<f64> =
        (0..=4_u8).map(|line| f64::from(line) * step).take_while(|line| *line <= highest.max(step)).collect();
    (Values::Linear(highest.max(step) * 1.08), lines)
}

/// A line of a chart.
pub(in crate::admin::pages) struct Line {
    /// Its name and its last value, for the key.
    pub(in crate::admin::pages) key: String,
    /// Its values, evenly spaced; `None` leaves a gap.
    pub(in crate::admin::pages) values: Vec<Option<f64>>,
}

/// A chart of two lines. The second one is drawn behind the first, on an area.
pub(in crate::admin::pages) struct Chart<'a> {
    /// Unique on the page.
    pub(in crate::admin::pages) id: &'a str,
    pub(in crate::admin::pages) title: &'a str,
    /// What the lines show, in words.
    pub(in crate::admin::pages) description: String,
    pub(in crate::admin::pages) scale: Values,
    /// Values with a grid line, and their labels.
    pub(in crate::admin::pages) grid: Vec<(f64, String)>,
    /// A limit: its value, the value as text, and its name.
    pub(in crate::admin::pages) limit: Option<(f64, String, &'a str)>,
    /// The labels of the time, evenly spaced from the first to the last point.
    pub(in crate::admin::pages) times: Vec<String>,
    pub(in crate::admin::pages) front: Line,
    pub(in crate::admin::pages) back: Line,
}

impl Chart<'_> {
    /// What the two lines are.
    pub(in crate::admin::pages) fn key(&self) -> Markup {
        html! {
            p.key {
                span { svg width="12" height="8" aria-hidden="true" { line.ln x1="0" x2="12" y1="4" y2="4" {} } (self.front.key) }
                span { svg width="12" height="8" aria-hidden="true" { line.ln2 x1="0" x2="12" y1="4" y2="4" {} } (self.back.key) }
            }
        }
    }

    /// The chart.
    pub(in crate::admin::pages) fn render(&self) -> Markup {
        let (title, description) = (format!("{}-t", self.id), format!("{}-d", self.id));
        let left = format!("{LEFT}%");
        let y = |value| TOP + HEIGHT * self.scale.percent(value) / 100.0;
        html! {
            svg.chart width="100%" height="168" role="img" aria-labelledby={ (title) " " (description) } {
                title id=(title) { (self.title) }
                desc id=(description) { (self.description) }
                @for (value, label) in &self.grid {
                    line.grid-l x1=(left) x2="100%" y1=(short(y(*value))) y2=(short(y(*value))) {}
                    text x="0" y=(short(y(*value) + 4.0)) { (label) }
                }
                svg x=(left) y=(TOP) width={ (100.0 - LEFT) "%" } height=(HEIGHT) viewBox="0 0 100 100"
                    preserveAspectRatio="none" overflow="visible" {
                    path.area d=(area(&self.back.values, self.scale)) {}
                    path.ln2 d=(path(&self.back.values, self.scale)) vector-effect="non-scaling-stroke" {}
                    path.ln d=(path(&self.front.values, self.scale)) vector-effect="non-scaling-stroke" {}
                }
                @if let Some((value, label, name)) = &self.limit {
                    line.limit x1=(left) x2="100%" y1=(short(y(*value))) y2=(short(y(*value))) {}
                    text.hi x="0" y=(short(y(*value) + 4.0)) { (label) }
                    text.e.halo x="100%" y=(short(y(*value) - 5.0)) { (name) }
                }
                @let last = self.times.len().saturating_sub(1);
                @for (index, label) in self.times.iter().enumerate() {
                    @let anchor = if index == 0 { "start" } else if index == last { "end" } else { "middle" };
                    text.wide[index % 2 == 1] x=(time_place(index, last)) y="164" text-anchor=(anchor) { (label) }
                }
            }
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "a chart has few points")]
fn share(index: usize, last: usize) -> f64 {
    if last == 0 { 0.0 } else { index as f64 / last as f64 }
}

fn time_place(index: usize, last: usize) -> String {
    format!("{}%", short(LEFT + (100.0 - LEFT) * share(index, last)))
}

/// A number with at most two digits behind the point.
fn short(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}

/// The parts of a line without gaps, as places in the view box.
fn pieces(values: &[Option<f64>], scale: Values) -> Vec<Vec<(f64, f64)>> {
    let last = values.len().saturating_sub(1);
    let places = values.iter().enumerate().map(|(index, value)| {
        value.map(|value| (short(100.0 * share(index, last)), short(scale.percent(value))))
    });
    let places: Vec<Option<(f64, f64)>> = places.collect();
    let pieces =
        places.split(Option::is_none).map(|piece| piece.iter().copied().flatten().collect::<Vec<_>>());
    pieces.filter(|piece| !piece.is_empty()).collect()
}

fn path(values: &[Option<f64>], scale: Values) -> String {
    let mut path = String::new();
    for piece in pieces(values, scale) {
        push(&mut path, &piece);
    }
    path
}

fn area(values: &[Option<f64>], scale: Values) -> String {
    let mut path = String::new();
    for piece in pieces(values, scale) {
        push(&mut path, &piece);
        if let (Some((first, _)), Some((last, _))) = (piece.first(), piece.last()) {
            let _infallible = write!(path, "L{last} 100 {first} 100Z");
        }
    }
    path
}

/// Draws one piece. A single point becomes a short line, so that it can be seen.
fn push(path: &mut String, piece: &[(f64, f64)]) {
    let mut command = 'M';
    for (x, y) in piece {
        let _infallible = write!(path, "{command}{x} {y}");
        command = 'L';
    }
    if piece.len() == 1 {
        path.push_str("h.5");
    }
}

/// A line without axes, as high as a line of text. `label` says what it shows.
pub(in crate::admin::pages) fn spark(values: &[Option<f64>], label: &str) -> Markup {
    let highest = values.iter().flatten().copied().fold(0.0, f64::max);
    // The view box is 100 × 100; the margin keeps the line's width inside.
    let scale = Values::Linear(highest * 1.05);
    html! {
        svg.spark viewBox="0 -2 100 104" preserveAspectRatio="none" role="img" aria-label=(label) {
            path.area d=(area(values, scale)) {}
            path.ln d=(path(values, scale)) vector-effect="non-scaling-stroke" {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_in_the_values_is_a_gap_in_the_line() {
        let values = [Some(0.0), Some(5.0), None, Some(10.0), None];
        assert_eq!(path(&values, Values::Linear(10.0)), "M0 100L25 50M75 0h.5");
        assert_eq!(area(&values, Values::Linear(10.0)), "M0 100L25 50L25 100 0 100ZM75 0h.5L75 100 75 100Z");
        assert_eq!(
            (path(&[], Values::Linear(1.0)), path(&[None], Values::Linear(1.0))),
            (String::new(), String::new())
        );
    }

    #[test]
    fn values_outside_the_scale_are_at_its_border() {
        let scale = Values::Logarithmic(0.2, 60.0);
        for (value, expected) in [(0.0, 100.0), (0.2, 100.0), (60.0, 0.0), (600.0, 0.0)] {
            assert_eq!(short(scale.percent(value)), expected, "{value}");
        }
        assert_eq!(short(Values::Linear(0.0).percent(0.0)), 100.0);
    }

    #[test]
    fn grid_lines_are_round_numbers() {
        for (highest, expected) in [
            (0.0, vec![0.0, 1.0]),
            (3.0, vec![0.0, 1.0, 2.0, 3.0]),
            (33.0, vec![0.0, 10.0, 20.0, 30.0]),
            (18_000.0, vec![0.0, 5_000.0, 10_000.0, 15_000.0]),
        ] {
            assert_eq!(linear(highest).1, expected, "{highest}");
        }
    }
}
