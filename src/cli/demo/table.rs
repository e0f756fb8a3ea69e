//! The result of the demo as a table.

use std::time::Duration;

use anstyle::AnsiColor;

use crate::cli::screen::Screen;
use crate::cli::table::{Cell, Column, Table};
use crate::cli::text::{clean, colour};
use simulator::{BotReport, What};

/// How many bots received every continue that they waited for.
pub(super) fn continued(reports: &[BotReport]) -> usize {
    reports.iter().filter(|report| report.is_done()).count()
}

/// A table with one row per bot, and a summary.
pub(super) fn render(reports: &[BotReport], screen: Screen) -> String {
    let mut table = Table::new([
        Column::new("BOT"),
        Column::new("CALLED").right().spare(1),
        Column::new("BRIDGE ANSWERED").right(),
        Column::new("KOMMO ANSWERED THE CONTINUE").cut(27),
        Column::new("CONTINUED AFTER").right(),
    ]);
    for report in reports {
        table.row(row(report));
    }
    let retried = reports.iter().filter(|report| report.attempts > 1).count();
    format!(
        "{}\n\n{} of {} bots continued, {retried} of them after retries.",
        table.render(screen),
        continued(reports),
        reports.len()
    )
}

fn row(report: &BotReport) -> [Cell; 5] {
    let (mut called, mut bridge, mut kommo, mut continued) =
        (None, String::from("no response"), Vec::new(), None);
    for event in &report.events {
        match &event.what {
            What::Asked => called = called.or(Some(event.at)),
            What::Acknowledged { status, elapsed } => bridge = format!("{status} in {}", short(*elapsed)),
            What::Unanswered { reason } => bridge.clone_from(reason),
            What::Continue { status, fault } => {
                let since = event.at.saturating_sub(called.unwrap_or_default());
                kommo.push(format!("{} at {}", response(*status, fault.as_deref()), short(since)));
            }
            What::Continued => continued = Some(event.at.saturating_sub(called.unwrap_or_default())),
        }
    }
    [
        report.id.to_string().into(),
        format!("{:.2} s", called.unwrap_or_default().as_secs_f64()).into(),
        clean(&bridge).into(),
        kommo.join(" · ").into(),
        continued.map_or_else(
            || Cell::styled("still waiting", colour(AnsiColor::Red)),
            |after| Cell::styled(short(after), colour(AnsiColor::Green)),
        ),
    ]
}

fn response(status: Option<u16>, fault: Option<&str>) -> String {
    match (status, fault) {
        (Some(status), Some(fault)) if fault != status.to_string() => format!("{status} ({fault})"),
        (Some(status), _) => status.to_string(),
        (None, fault) => fault.unwrap_or("nothing").to_owned(),
    }
}

fn short(span: Duration) -> String {
    match span.as_millis() {
        ms @ 0..1_000 => format!("{ms} ms"),
        _ => format!("{:.1} s", span.as_secs_f64()),
    }
}
