//! Jobs as text.
//!
//! Texts from outside (data, errors) cannot control the terminal: their control characters are replaced.

use anstyle::{AnsiColor, Style};

use model::{
    Attempt, AttemptResult, JobId, JobRecord, JobSummary, Note, Outcome, PreparedCompletion, StateName,
    Timestamp, WaitsFor,
};
use store::RetriedDead;

use super::screen::{Screen, wrap};
use super::table::{Cell, Column, Table};
use super::text::{clean, colour, span, when};

/// The width of the names before a job's values.
const NAME_WIDTH: usize = 14;
/// Shown instead of data and completion.
const DROPPED: &str = "data and completion were deleted, to free space (budget.stored, store.body_retention) or by `jobs erase`";

/// The note below a search that found nothing.
pub(super) const NO_JOB_FOUND: &str =
    "A request has no job if it was refused or came to a wrong path: the log of `serve` says why";

/// A list of jobs. Each comes with the id to show, whole or shortened.
pub(super) fn list(jobs: &[(String, JobSummary)], now: Timestamp, screen: Screen) -> String {
    if jobs.is_empty() {
        return "No matching jobs.\n".to_owned();
    }
    let mut table = Table::new([
        Column::new("ID"),
        Column::new("STATE"),
        Column::new("HANDLER").cut(8),
        Column::new("ABOUT"),
        Column::new("AGE").right(),
        Column::new("ACCOUNT").right().spare(1),
        Column::new("TRIES").right().spare(2),
        Column::new("OUTCOME").spare(3),
        Column::new("LAST ERROR").cut(16),
    ]);
    for (id, job) in jobs {
        table.row([
            id.as_str().into(),
            Cell::styled(job.state.to_string(), style(job.state)),
            job.handler.to_string().into(),
            job.entity.map(|entity| entity.to_string()).unwrap_or_default().into(),
            span(now.since(job.received_at)).into(),
            job.account_id.to_string().into(),
            format!("{} + {}", job.handler_attempts, job.delivery_attempts).into(),
            job.outcome.map(outcome).unwrap_or_default().into(),
            clean(&error(job)).into(),
        ]);
    }
    format!("{}\n", table.render(screen))
}

/// How to continue a list from `next`. With a reason why the search stopped, the list is incomplete.
pub(super) fn more(next: JobId, because: Option<&str>) -> String {
    if let Some(because) = because {
        format!(
            "The search is incomplete: it stopped at jobs received {}, and older ones may match ({because}). To continue, \
             run the same command with --cursor {next}",
            next.received_at()
        )
    } else {
        format!("There may be more jobs. To continue, run the same command with --cursor {next}")
    }
}

/// The colour of a state: red and yellow for jobs that may need an operator, dim for cancelled ones.
fn style(state: StateName) -> Style {
    match state {
        StateName::Queued => colour(AnsiColor::Blue),
        StateName::Running | StateName::AwaitingCallback | StateName::Delivering => colour(AnsiColor::Cyan),
        StateName::Delivered => colour(AnsiColor::Green),
        StateName::Gone => colour(AnsiColor::Yellow),
        StateName::Dead => colour(AnsiColor::Red),
        StateName::Cancelled => Style::new().dimmed(),
    }
}

/// `handler`, or `fallback: ` and the reason.
fn outcome(outcome: Outcome) -> String {
    let name = outcome.name().as_str();
    outcome.fallback_reason().map_or_else(|| name.to_owned(), |reason| format!("{name}: {reason}"))
}

/// The last error. `earlier:` marks the error of a job that was delivered after it.
fn error(job: &JobSummary) -> String {
    match &job.last_error {
        Some(error) if job.state == StateName::Delivered => format!("earlier: {error}"),
        Some(error) => error.clone(),
        None => String::new(),
    }
}

/// One job with its attempts and the reason it waits.
pub(super) fn job(
    record: &JobRecord,
    (attempts, notes): (&[Attempt], &[Note]),
    waits_for: Option<&WaitsFor>,
    now: Timestamp,
    screen: Screen,
) -> String {
    let both = |moment: Timestamp| format!("{moment} ({})", when(moment, now));
    let job = record.summary();
    let mut lines = vec![
        ("id", job.id.to_string()),
        ("state", job.state.to_string()),
        ("handler", job.handler.to_string()),
        ("account", job.account_id.to_string()),
    ];
    lines.extend(job.entity.map(|entity| ("about", entity.to_string())));
    lines.push(("return_url", job.return_url.to_string()));
    lines.push(("received", both(job.received_at)));
    lines.extend(job.due_at.map(|due_at| ("due", both(due_at))));
    lines.extend(job.finished_at.map(|finished_at| ("finished", both(finished_at))));
    lines.extend(bodies(record));
    let fallback = job.outcome.and_then(Outcome::fallback_reason);
    lines.extend(fallback.map(|reason| ("fallback", format!("{reason}: {}", reason.what()))));
    lines.extend(
        job.joined_into.map(|newer| ("joined into", format!("{newer}: that job answers this message too"))),
    );
    let error = if job.state == StateName::Delivered { "earlier error" } else { "last error" };
    lines.extend(job.last_error.map(|text| (error, text)));
    lines.extend(waits_for.iter().flat_map(|waits_for| {
        [("waits for", waited_for(waits_for, now)), ("what to do", waits_for.advice.clone())]
    }));
    let state = style(job.state);
    let line = |(name, value): &(&str, String)| {
        let value = clean(value);
        match *name {
            "state" => field(name, &screen.paint(state, &value), None),
            // An operator copies these values, so they must not contain line breaks.
            "data" | "earlier data" | "completion" | "return_url" => field(name, &value, None),
            _ => field(name, &value, screen.width),
        }
    };
    let head: String = lines.iter().map(line).collect();
    let mut text = head;
    if !attempts.is_empty() {
        text.push_str(&format!("\n{}\n", history(attempts, screen)));
    }
    if !notes.is_empty() {
        text.push_str(&format!("\n{}\n", noted(notes, screen)));
    }
    text
}

fn noted(notes: &[Note], screen: Screen) -> String {
    let mut table = Table::new([Column::new("NOTED"), Column::new("NOTE").below()]);
    for note in notes {
        table.row([note.noted_at.to_string().into(), clean(&note.text).into()]);
    }
    table.render(screen)
}

/// A name and its value, broken between words if it is wider than `width`.
pub(super) fn field(name: &str, value: &str, width: Option<usize>) -> String {
    let name = format!("{name:<NAME_WIDTH$}");
    let lines = wrap(value, width.unwrap_or(usize::MAX), &name, &" ".repeat(NAME_WIDTH));
    format!("{}\n", lines.join("\n"))
}

fn waited_for(waits_for: &WaitsFor, now: Timestamp) -> String {
    let next = match waits_for.cause.as_str() {
        "handler" | "no_handler" | "callback" | "conversation" => "fallback",
        "messages" => "runs",
        _ => "next try",
    };
    let since = waits_for.since.map(|since| format!("for {}", span(now.since(since))));
    let until = waits_for.until.map(|until| format!("{next} {}", when(until, now)));
    let times: Vec<String> = since.into_iter().chain(until).collect();
    let times = if times.is_empty() { String::new() } else { format!(" ({})", times.join(", ")) };
    format!("{}{times}", waits_for.why)
}

fn bodies(record: &JobRecord) -> Vec<(&'static str, String)> {
    match record {
        JobRecord::Whole(job) => {
            let mut lines: Vec<_> =
                job.request.earlier.iter().map(|data| ("earlier data", data.to_string())).collect();
            lines.push(("data", job.request.data.to_string()));
            lines.extend(job.state.prepared().map(|PreparedCompletion { completion, outcome }| {
                ("completion", format!("{} (from the {})", completion.as_json(), outcome.name().as_str()))
            }));
            lines.extend(job.handler_completion.as_ref().map(|completion| {
                (
                    "from handler",
                    format!("{} (`jobs retry ID --send handler` sends it)", completion.as_json()),
                )
            }));
            lines
        }
        JobRecord::WithoutBodies(job) => {
            let mut lines = vec![("bodies", DROPPED.to_owned())];
            lines.extend(job.outcome.map(|outcome| ("outcome", outcome.name().as_str().to_owned())));
            lines
        }
    }
}

fn history(attempts: &[Attempt], screen: Screen) -> String {
    let mut table = Table::new([
        Column::new("ATTEMPT"),
        Column::new("STARTED"),
        Column::new("TOOK").right(),
        Column::new("RESULT"),
        Column::new("STATUS"),
        Column::new("ERROR").below(),
    ]);
    for attempt in attempts {
        let result = match attempt.result {
            AttemptResult::Ok | AttemptResult::Accepted => colour(AnsiColor::Green),
            AttemptResult::Retry | AttemptResult::Gone => colour(AnsiColor::Yellow),
            _ => colour(AnsiColor::Red),
        };
        table.row([
            format!("{} {}", attempt.stage.as_str(), attempt.number).into(),
            attempt.started_at.to_string().into(),
            format!("{} ms", attempt.duration.as_millis()).into(),
            Cell::styled(attempt.result.as_str(), result),
            attempt.status.map(|status| status.to_string()).unwrap_or_default().into(),
            clean(attempt.error.as_deref().unwrap_or_default()).into(),
        ]);
    }
    table.render(screen)
}

/// A number of things: `1 job`, `2 jobs`.
pub(super) fn counted(count: u64, thing: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {thing}{plural}")
}

/// The jobs that were changed, and their states.
pub(super) fn changed(jobs: &[JobRecord]) -> String {
    let jobs = jobs.iter().map(JobRecord::summary);
    jobs.map(|job| format!("{} is now {}\n", job.id, job.state)).collect()
}

/// How many dead jobs `jobs retry --dead` retried.
pub(super) fn retried(done: RetriedDead) -> String {
    let retried = match done.retried {
        0 => "No dead job was retried\n".to_owned(),
        1 => "1 dead job is being delivered again\n".to_owned(),
        jobs => format!("{jobs} dead jobs are being delivered again\n"),
    };
    let left = match done.superseded {
        0 => return retried,
        1 => "1 was skipped: a newer job has its return_url".to_owned(),
        jobs => format!("{jobs} were skipped: newer jobs have their return_urls"),
    };
    format!("{retried}{left} (--force retries such jobs too)\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Entity, EntityKind};

    fn summary(number: i64, state: StateName, error: Option<&str>) -> JobSummary {
        JobSummary {
            id: JobId::new(Timestamp::from_millis(1_700_000_000_000), number.unsigned_abs().into()),
            state,
            handler: "support".parse().unwrap(),
            account_id: model::AccountId(31_000_001),
            entity: Some(Entity { kind: EntityKind::Lead, id: 777_000 + number }),
            return_url: "https://a.kommo.com/api/v4/salesbot/1/continue/2".parse().unwrap(),
            outcome: None,
            received_at: Timestamp::from_millis(1_700_000_000_000),
            due_at: None,
            finished_at: None,
            handler_attempts: 1,
            delivery_attempts: 2,
            last_error: error.map(str::to_owned),
            error_group: None,
            joined_into: None,
            bodies_dropped: false,
        }
    }

    #[test]
    fn a_job_is_one_line_of_80_columns_and_a_file_gets_it_whole() {
        let now = Timestamp::from_millis(1_700_000_200_000);
        let error = "400 Bad Request: TooLong at execute_handlers.params.value: more than 80 characters";
        let jobs = [
            ("018bcfe5-6800".to_owned(), summary(2, StateName::Dead, Some(error))),
            ("018bcfe5-67ff".to_owned(), summary(1, StateName::Delivering, None)),
        ];
        let text = list(&jobs, now, Screen { width: Some(80), colours: false });
        assert_eq!(
            text,
            "ID             STATE       HANDLER  ABOUT          AGE  LAST ERROR\n\
             018bcfe5-6800  dead        support  lead 777002  3 min  400 Bad Request: TooLon…\n\
             018bcfe5-67ff  delivering  support  lead 777001  3 min  -\n"
        );
        let text = list(&jobs, now, Screen { width: Some(120), colours: false });
        assert!(text.contains("ACCOUNT  TRIES  OUTCOME  LAST ERROR") && text.contains('…'), "{text}");
        let text = list(&jobs, now, Screen::FILE);
        assert!(text.contains(error) && text.lines().count() == 3, "{text}");
        assert_eq!(list(&[], now, Screen::FILE), "No matching jobs.\n");
    }

    #[test]
    fn the_reason_a_job_waits_is_shown_with_its_times() {
        let at = |seconds: i64| Timestamp::from_millis(seconds * 1_000);
        for (cause, since, until, expected) in [
            ("turn", None, None, "why"),
            ("unauthorized", Some(3), Some(40), "why (for 7 s, next try in 30 s)"),
            ("handler", None, Some(50), "why (fallback in 40 s)"),
            ("not_connected", Some(3), None, "why (for 7 s)"),
        ] {
            let (since, until) = (since.map(at), until.map(at));
            let cause = model::ExplainCode::all().find(|code| code.as_str() == cause).unwrap();
            let waits_for = WaitsFor { cause, why: "why".into(), advice: String::new(), since, until };
            assert_eq!(waited_for(&waits_for, at(10)), expected);
        }
    }

    #[test]
    fn states_are_coloured_only_on_a_screen_with_colours() {
        let job = [("018bcfe5-6800".to_owned(), summary(2, StateName::Dead, None))];
        let colours = Screen { width: Some(80), colours: true };
        let text = list(&job, Timestamp::default(), colours);
        assert!(text.contains("\u{1b}[31mdead\u{1b}[0m"), "{text:?}");
        assert!(!list(&job, Timestamp::default(), Screen::FILE).contains('\u{1b}'));
    }

    #[test]
    fn a_list_shows_how_to_continue_and_whether_it_is_incomplete() {
        let next = JobId::new(Timestamp::from_millis(1_700_000_000_000), 1);
        assert_eq!(
            more(next, None),
            format!("There may be more jobs. To continue, run the same command with --cursor {next}")
        );
        let stopped = more(next, Some("it took too long"));
        for part in [
            "is incomplete",
            "received 2023-11-14T22:13:20",
            "(it took too long)",
            &format!("--cursor {next}"),
        ] {
            assert!(stopped.contains(part), "{part} in {stopped}");
        }
    }
}
