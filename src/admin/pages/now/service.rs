//! The numbers of the service: for 5 minutes, an hour and a day, each with its trend.

use maud::{Markup, html};

use super::charts::{rate, seconds, time};
use super::facts::{Facts, Numbers};
use crate::admin::pages::parts::table::{Column, cell, head, row, table};
use crate::admin::pages::parts::{amount, chart, panel};
use crate::history::{MergedPeriod, Series};

const COLUMNS: [Column; 5] = [
    Column::new("Measure", ""),
    Column::new("5 min", "n"),
    Column::new("1 h", "n"),
    Column::new("24 h", "n"),
    Column::new("Last hour", "wide w5"),
];

/// A measure: its value in a period as a number and as text.
struct Measure {
    name: &'static str,
    value: fn(&MergedPeriod) -> Option<f64>,
    text: fn(f64) -> String,
}

const MEASURES: [Measure; 6] = [
    Measure { name: "Receipt to continue, p50", value: |period| seconds(period, Series::P50Ms), text: time },
    Measure { name: "Receipt to continue, p99", value: |period| seconds(period, Series::P99Ms), text: time },
    Measure { name: "Answered by handler", value: |period| share(period, Series::ByHandler), text: percent },
    Measure {
        name: "Answered by fallback",
        value: |period| share(period, Series::ByFallback),
        text: percent,
    },
    Measure {
        name: "Requests in, per minute",
        value: |period| period.per_minute(Series::Requests),
        text: rate,
    },
    Measure {
        name: "Continues out, per minute",
        value: |period| period.per_minute(Series::Continues),
        text: rate,
    },
];

/// The share of the answers, in percent; `None` without any.
#[allow(clippy::cast_precision_loss, reason = "counts of a window are far below 2^52")]
fn share(period: &MergedPeriod, series: Series) -> Option<f64> {
    let (part, whole) = (period.value(series)?, period.value(Series::Continues)?);
    (whole > 0).then(|| 100.0 * part as f64 / whole as f64)
}

fn percent(share: f64) -> String {
    format!("{share:.1}\u{a0}%")
}

/// The panel.
pub(super) fn render(facts: &Facts) -> Markup {
    let rows = html! { @for measure in &MEASURES { (row(cells(measure, &facts.numbers))) } };
    let day = facts.numbers.day.recorded;
    let aside = html! {
        @if day.as_secs() < 86_000 {
            span.m {
                @if day.is_zero() { "nothing recorded yet" } @else { "recorded for " (amount::age(day)) " of 24\u{a0}h" }
            }
        }
    };
    panel::panel("h-svc", "Service", aside, table("", "How well bots are served", &COLUMNS, rows))
}

fn cells(measure: &Measure, numbers: &Numbers) -> Markup {
    let Measure { name, value, text } = measure;
    let text = |period: &MergedPeriod| value(period).map_or_else(|| "–".to_owned(), text);
    let label = format!("{name}: trend of the last hour, latest value {}", text(&numbers.five_minutes));
    html! {
        (head("", name))
        @for period in [&numbers.five_minutes, &numbers.hour, &numbers.day] { (cell("n", text(period))) }
        (cell("wide", chart::spark(&numbers.line(value), &label)))
    }
}
