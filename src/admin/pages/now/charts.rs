//! The two charts of the last hour, each also as a table.

use std::time::Duration;

use maud::{Markup, html};

use super::facts::{Facts, Numbers, Setup};
use crate::admin::pages::parts::chart::{self, Chart, Line, Values};
use crate::admin::pages::parts::icon::Icon;
use crate::admin::pages::parts::mark::Tone;
use crate::admin::pages::parts::table::{Column, cell, head, row, table};
use crate::admin::pages::parts::{amount, moment, panel};
use crate::history::{MergedPeriod, Series};

/// Two labels of a logarithmic scale need this factor between them.
const LABEL_FACTOR: f64 = 2.5;
/// The time between two labels, in points.
const LABEL_POINTS: usize = 15;

/// Seconds of a series of milliseconds.
pub(super) fn seconds(period: &MergedPeriod, series: Series) -> Option<f64> {
    period.value(series).map(|ms| Duration::from_millis(ms).as_secs_f64())
}

/// A time as text.
pub(super) fn time(seconds: f64) -> String {
    amount::duration(Duration::from_secs_f64(seconds.max(0.0)))
}

/// A rate as text: one digit behind the point.
pub(super) fn rate(per_minute: f64) -> String {
    format!("{per_minute:.1}")
}

/// The panel about the time from receipt to continue.
pub(super) fn latency(facts: &Facts) -> Markup {
    let Numbers { minutes, five_minutes, .. } = &facts.numbers;
    let of = |series| facts.numbers.line(|period| seconds(period, series));
    let (p50, p99) = (of(Series::P50Ms), of(Series::P99Ms));
    let key = |name: &str, series| match seconds(five_minutes, series) {
        Some(value) => format!("{name} {}", time(value)),
        None => name.to_owned(),
    };
    let (scale, grid) = times_scale(&p50, &p99, &facts.setup);
    let limit = facts.setup.answer_within.map(|(shortest, _)| shortest.as_secs_f64());
    let chart = Chart {
        id: "lat",
        title: "Receipt to continue, last hour",
        description: describe(minutes, &[("p50", &p50), ("p99", &p99)], time) + " Logarithmic scale.",
        scale,
        grid,
        limit: limit.map(|limit| (limit, time(limit), "answer_within")),
        times: times(minutes),
        front: Line { key: key("p99", Series::P99Ms), values: p99 },
        back: Line { key: key("p50", Series::P50Ms), values: p50 },
    };
    let columns = [Column::new("Time", ""), Column::new("p50", "n"), Column::new("p99", "n")];
    let values =
        |period: &MergedPeriod| [Series::P50Ms, Series::P99Ms].map(|one| seconds(period, one).map(time));
    let rows = table_rows(&facts.numbers.fives, values);
    render(facts, "h-lat", "Receipt to continue", &chart, &columns, &rows)
}

/// The panel about requests and continues.
pub(super) fn traffic(facts: &Facts) -> Markup {
    let Numbers { minutes, five_minutes, .. } = &facts.numbers;
    let of = |series| facts.numbers.line(|period| period.per_minute(series));
    let (requests, continues) = (of(Series::Requests), of(Series::Continues));
    let highest = requests.iter().chain(&continues).flatten().copied().fold(0.0, f64::max);
    let (scale, lines) = chart::linear(highest);
    let key = |name: &str, series| match five_minutes.per_minute(series) {
        Some(value) => format!("{name} {}", rate(value)),
        None => name.to_owned(),
    };
    let chart = Chart {
        id: "io",
        title: "Requests in and continues out per minute, last hour",
        description: describe(minutes, &[("Requests", &requests), ("continues", &continues)], rate),
        scale,
        grid: lines.into_iter().map(|line| (line, short_number(line))).collect(),
        limit: None,
        times: times(minutes),
        front: Line { key: key("out", Series::Continues), values: continues },
        back: Line { key: key("in", Series::Requests), values: requests },
    };
    let columns = [Column::new("Time", ""), Column::new("In", "n"), Column::new("Out", "n")];
    let values = |period: &MergedPeriod| {
        [Series::Requests, Series::Continues].map(|one| period.per_minute(one).map(rate))
    };
    let rows = table_rows(&facts.numbers.fives, values);
    render(facts, "h-io", "In and out, per minute", &chart, &columns, &rows)
}

fn render(
    facts: &Facts,
    id: &str,
    title: &str,
    chart: &Chart<'_>,
    columns: &[Column],
    rows: &Markup,
) -> Markup {
    let is_recorded = facts.numbers.minutes.iter().any(|period| !period.recorded.is_zero());
    if !is_recorded {
        let why = "The bridge counts every 5 seconds. Charts survive a restart.";
        let empty = panel::empty(Tone::Plain, Icon::Now, "First point in a few seconds.", why, html! {});
        return panel::panel(id, title, html! {}, empty);
    }
    let details = format!("{id}-table");
    let body = html! {
        div.in {
            (chart.render())
            details.more id=(details) {
                summary { "Show as a table" }
                (table("", html! { (chart.title) ", every five minutes" }, columns, rows))
            }
        }
    };
    panel::panel(id, title, chart.key(), body)
}

/// A logarithmic scale for these times and `answer_within`, with a line at each power of ten that has room for its label.
fn times_scale(p50: &[Option<f64>], p99: &[Option<f64>], setup: &Setup) -> (Values, Vec<(f64, String)>) {
    let all = || p50.iter().chain(p99).flatten().copied();
    let lowest = all().fold(0.1, f64::min);
    let limit = setup.answer_within.map(|(shortest, _)| shortest.as_secs_f64());
    let highest = all().chain(limit).fold(1.0, f64::max);
    let powers = [0.001, 0.01, 0.1, 1.0, 10.0, 100.0, 1_000.0];
    let bottom = powers.into_iter().rfind(|power| *power <= lowest).unwrap_or(0.001);
    let has_room = |line: f64| limit.is_none_or(|limit| (line / limit).max(limit / line) >= LABEL_FACTOR);
    let lines = powers.into_iter().filter(|line| (bottom..=highest).contains(line) && has_room(*line));
    let label = |line: f64| if line < 0.1 { time(line) } else { format!("{line}\u{a0}s") };
    (Values::Logarithmic(bottom, highest * 1.3), lines.map(|line| (line, label(line))).collect())
}

/// A number that fits beside the chart.
fn short_number(number: f64) -> String {
    match number {
        number if number >= 1e6 => format!("{}\u{a0}M", number / 1e6),
        number if number >= 1e4 => format!("{}\u{a0}k", number / 1e3),
        number => format!("{number}"),
    }
}

/// The labels of the time: every quarter of an hour, and the last minute.
fn times(minutes: &[MergedPeriod]) -> Vec<String> {
    let last = minutes.len().saturating_sub(1);
    (0..=4)
        .filter_map(|label| minutes.get((label * LABEL_POINTS).min(last)))
        .map(|period| moment::minute(period.from))
        .collect()
}

/// What the lines show, in words: from where to where each one goes, and when it is highest.
fn describe(
    minutes: &[MergedPeriod],
    lines: &[(&str, &[Option<f64>])],
    text: impl Fn(f64) -> String,
) -> String {
    let sentences: Vec<String> = lines
        .iter()
        .map(|(name, values)| {
            let known = || values.iter().zip(minutes).filter_map(|(value, at)| Some(((*value)?, at.from)));
            let lowest = known().map(|(value, _)| value).reduce(f64::min);
            let highest = known().reduce(|a, b| if b.0 > a.0 { b } else { a });
            match lowest.zip(highest) {
                None => format!("{name}: no values."),
                Some((lowest, (highest, at))) => format!(
                    "{name}: between {} and {}, highest at {}.",
                    text(lowest),
                    text(highest),
                    moment::minute(at)
                ),
            }
        })
        .collect();
    sentences.join(" ")
}

fn table_rows(periods: &[MergedPeriod], values: impl Fn(&MergedPeriod) -> [Option<String>; 2]) -> Markup {
    html! {
        @for period in periods {
            (row(html! {
                (head("", moment::minute(period.from)))
                @for value in values(period) { (cell("n", value.unwrap_or_else(|| "–".to_owned()))) }
            }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setup(answer_within: u64) -> Setup {
        let within = Duration::from_secs(answer_within);
        Setup { answer_within: Some((within, within)), ..Setup::default() }
    }

    #[test]
    fn the_scale_begins_at_a_power_of_ten_and_its_labels_do_not_overlap() {
        let labels = |values: &[f64], within| {
            let values: Vec<Option<f64>> = values.iter().copied().map(Some).collect();
            let (_, grid) = times_scale(&values, &[], &setup(within));
            grid.into_iter().map(|(_, label)| label.replace('\u{a0}', " ")).collect::<Vec<_>>()
        };
        assert_eq!(labels(&[0.62, 12.4], 50), ["0.1 s", "1 s", "10 s"]);
        assert_eq!(labels(&[0.004, 0.2], 50), ["1 ms", "10 ms", "0.1 s", "1 s", "10 s"]);
        assert_eq!(labels(&[], 10), ["0.1 s", "1 s"], "10 s is the limit's own label");
        assert_eq!(labels(&[400.0], 50), ["0.1 s", "1 s", "10 s"], "100 s is too close to 50 s");
    }

    #[test]
    fn a_description_says_when_a_line_is_highest() {
        let history = crate::history::History::default();
        let now = model::Timestamp::from_millis(1_700_000_100_000);
        let minutes = history.merged(crate::history::Window::Hour, Duration::from_secs(60), now);
        let mut values = vec![None; 60];
        values[1] = Some(2.0);
        values[3] = Some(7.5);
        let text = describe(&minutes, &[("In", &values), ("out", &vec![None; 60])], rate);
        let at = moment::minute(minutes[3].from);
        assert_eq!(text, format!("In: between 2.0 and 7.5, highest at {at}. out: no values."));
    }
}
