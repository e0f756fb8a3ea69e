//! The attempts of a job as a table. Equal results in a row share a line, because an outage gives a hundred of them.

use std::time::Duration;

use http::StatusCode;
use maud::{Markup, html};

use model::{Attempt, AttemptResult, JobId, JobSummary, Stage, StateName, Timestamp};

use super::super::parts::icon::Icon;
use super::super::parts::mark::{Tone, mark};
use super::super::parts::panel::{empty, panel};
use super::super::parts::table::{Column, cell, head, labelled, row, table};
use super::super::parts::text::cut;
use super::super::parts::{amount, moment};
use super::path;
use super::query::Query;

/// As many equal results in a row share a line.
const SHARED: usize = 3;
/// The maximum number of rows.
const ROWS: usize = 60;
/// The maximum length of an error in the table, in characters.
const MAX_ERROR: usize = 300;

/// A line of the table: one attempt, or several in a row with the same result.
#[derive(Debug, PartialEq, Eq)]
struct Row<'a> {
    first: &'a Attempt,
    last: u32,
    count: usize,
    /// The shortest and the longest duration.
    took: (Duration, Duration),
}

/// The lines of the table.
fn rows(attempts: &[Attempt], each: bool) -> Vec<Row<'_>> {
    let shared = attempts.chunk_by(|a, b| !each && is_same(a, b)).flat_map(|run| {
        // Two attempts are clearer as two lines.
        if run.len() < SHARED { run.chunks(1) } else { run.chunks(run.len()) }
    });
    shared
        .filter_map(|run| {
            let (first, last) = (run.first()?, run.last()?);
            let took = run.iter().map(|attempt| attempt.duration);
            let took = (took.clone().min()?, took.max()?);
            Some(Row { first, last: last.number, count: run.len(), took })
        })
        .collect()
}

fn is_same(a: &Attempt, b: &Attempt) -> bool {
    (a.stage, a.result, a.status, &a.error) == (b.stage, b.result, b.status, &b.error)
}

/// The panel.
pub(super) fn render(job: &JobSummary, attempts: &[Attempt], query: Query, now: Timestamp) -> Markup {
    let of = |stage| attempts.iter().filter(|attempt| attempt.stage == stage).count();
    let counts = format!(
        "{} by the handler, {} to Kommo",
        amount::number(wide(of(Stage::Handler))),
        amount::number(wide(of(Stage::Delivery)))
    );
    let body = if attempts.is_empty() { none(job, now) } else { listed(job, attempts, query) };
    panel("h-at", "Attempts", html! { span.m { (counts) } }, body)
}

fn none(job: &JobSummary, now: Timestamp) -> Markup {
    let why = html! {
        @match job.due_at {
            Some(due_at) if due_at > now => {
                "The first attempt is due at " (moment::moment(due_at, now)) ", in " (moment::countdown(due_at, now)) "."
            }
            _ if job.state == StateName::Running => "The first attempt runs now.",
            _ if job.state.is_finished() => "It ended before its handler ran.",
            _ => "The first attempt is due now.",
        }
    };
    let what = if job.state == StateName::Running { "No attempt has ended yet." } else { "Not tried yet." };
    empty(Tone::Plain, Icon::Queued, what, why, html! {})
}

fn listed(job: &JobSummary, attempts: &[Attempt], query: Query) -> Markup {
    let rows = rows(attempts, query.each_attempt);
    let skip = if query.skip < rows.len() { query.skip } else { 0 };
    let columns = [
        Column::new("Stage", ""),
        Column::new("No.", "n"),
        Column::new("Started after", "n"),
        Column::new("Took", "n"),
        Column::new("Result", ""),
        Column::new("Status", "n"),
        Column::new("What happened", ""),
    ];
    let shown = html! { @for one in rows.iter().skip(skip).take(ROWS) { (line(job, one)) } };
    let caption = "Attempts in order of time";
    html! {
        (table("cards", caption, &columns, shown))
        (pages(job.id, query, skip, rows.len()))
    }
}

/// Links to the other rows.
fn pages(id: JobId, query: Query, skip: usize, rows: usize) -> Markup {
    let all = if query.each_attempt { "attempts=all&" } else { "" };
    let link = |skip: usize| format!("{}?{all}skip={skip}#h-at", path(id));
    html! {
        @if rows > ROWS || query.each_attempt {
            p.bulk.m {
                span { "Rows " (skip + 1) " to " (rows.min(skip + ROWS)) " of " (amount::number(wide(rows))) }
                @if skip > 0 { a.btn.s href=(link(skip.saturating_sub(ROWS))) { "Earlier" } }
                @if rows > skip + ROWS { a.btn.s href=(link(skip + ROWS)) { "Later" } }
                @if query.each_attempt { a href={ (path(id)) "#h-at" } { "Join equal results" } }
            }
        }
    }
}

fn line(job: &JobSummary, row_of: &Row<'_>) -> Markup {
    let Row { first, last, count, took } = row_of;
    let number = if *count == 1 { first.number.to_string() } else { format!("{} to {last}", first.number) };
    let (tone, sign, word) = look(first.stage, first.result);
    let status = first.status.map_or_else(|| "none".to_owned(), |status| status.to_string());
    let text = what(first);
    row(html! {
        (cell("", first.stage.as_str()))
        (head("n", number))
        (labelled("n", "after", amount::duration(first.started_at.since(job.received_at))))
        (labelled("n", "took", span(*took, *count)))
        (cell("k", mark(tone, sign, word)))
        (labelled("n r", "status", status))
        (cell("all", html! {
            @if *count > 1 {
                (amount::number(wide(*count))) " attempts, all the same: "
            }
            (text)
            @if *count > 1 { " " a href={ (path(job.id)) "?attempts=all#h-at" } { "Show each" } }
        }))
    })
}

/// How long attempts took: one time if they are alike, otherwise the shortest and the longest.
fn span((shortest, longest): (Duration, Duration), count: usize) -> String {
    let (from, to) = (amount::duration(shortest), amount::duration(longest));
    let each = if count > 1 { " each" } else { "" };
    if from == to { format!("{from}{each}") } else { format!("{from} to {to}") }
}

/// How the result of an attempt looks.
pub(super) const fn look(stage: Stage, result: AttemptResult) -> (Tone, Icon, &'static str) {
    match (result, stage) {
        (AttemptResult::Ok, Stage::Handler) => (Tone::Ok, Icon::Delivered, "answered"),
        (AttemptResult::Ok, Stage::Delivery) => (Tone::Ok, Icon::Delivered, "accepted"),
        (AttemptResult::Accepted, _) => (Tone::Active, Icon::AwaitingCallback, "calls back"),
        (AttemptResult::Gone, _) => (Tone::Warn, Icon::Gone, "no bot"),
        (AttemptResult::Retry, Stage::Handler) => (Tone::Warn, Icon::X, "retry"),
        (AttemptResult::Timeout, Stage::Handler) => (Tone::Warn, Icon::X, "timeout"),
        (AttemptResult::Retry, Stage::Delivery) => (Tone::Bad, Icon::X, "retry"),
        (AttemptResult::Timeout, Stage::Delivery) => (Tone::Bad, Icon::X, "timeout"),
        (AttemptResult::Fail, Stage::Handler) => (Tone::Bad, Icon::X, "failed"),
        (AttemptResult::Fail, Stage::Delivery) => (Tone::Bad, Icon::X, "refused"),
        (AttemptResult::Panic, _) => (Tone::Bad, Icon::X, "panic"),
    }
}

/// What happened in an attempt.
fn what(attempt: &Attempt) -> String {
    if let Some(error) = &attempt.error {
        return cut(error, MAX_ERROR).into_owned();
    }
    let phrase = attempt.status.and_then(|status| StatusCode::from_u16(status).ok()?.canonical_reason());
    match (attempt.result, attempt.stage) {
        (AttemptResult::Ok, Stage::Handler) => "its completion is saved".to_owned(),
        (AttemptResult::Ok, Stage::Delivery) => "Kommo accepted the continue".to_owned(),
        (AttemptResult::Accepted, _) => "the handler accepted the job, and calls back".to_owned(),
        _ => phrase.unwrap_or_default().to_owned(),
    }
}

fn wide(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    fn attempt(stage: Stage, number: u32, status: u16, seconds: u64) -> Attempt {
        let result = if status == 200 { AttemptResult::Ok } else { AttemptResult::Retry };
        let error = (status != 200).then(|| format!("Kommo returned {status}"));
        Attempt {
            stage,
            number,
            started_at: START + Duration::from_secs(u64::from(number)),
            duration: Duration::from_secs(seconds),
            result,
            status: Some(status),
            error,
        }
    }

    fn numbers(attempts: &[Attempt], each: bool) -> Vec<(u32, u32)> {
        rows(attempts, each).iter().map(|row| (row.first.number, row.last)).collect()
    }

    #[test]
    fn equal_results_in_a_row_share_a_line() {
        let mut attempts = vec![attempt(Stage::Handler, 1, 503, 1), attempt(Stage::Handler, 2, 200, 1)];
        attempts.extend((1..=4).map(|number| attempt(Stage::Delivery, number, 504, u64::from(number))));
        attempts.extend((5..=6).map(|number| attempt(Stage::Delivery, number, 502, 1)));
        attempts.push(attempt(Stage::Delivery, 7, 504, 10));
        assert_eq!(numbers(&attempts, false), [(1, 1), (2, 2), (1, 4), (5, 5), (6, 6), (7, 7)]);
        assert_eq!(numbers(&attempts, true).len(), attempts.len());
        let shared = &rows(&attempts, false)[2];
        assert_eq!(span(shared.took, shared.count).replace('\u{a0}', " "), "1 s to 4 s");
        let alike = (Duration::from_secs(10), Duration::from_millis(10_020));
        assert_eq!(span(alike, 2).replace('\u{a0}', " "), "10 s each");
        assert_eq!(numbers(&[], false), []);
    }

    #[test]
    fn a_long_error_is_cut() {
        let attempt = Attempt { error: Some("ä".repeat(400)), ..attempt(Stage::Delivery, 1, 400, 1) };
        assert_eq!(what(&attempt), format!("{}…", "ä".repeat(300)));
    }
}
