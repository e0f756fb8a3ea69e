//! Jobs as a person reads them.
//!
//! Texts from outside (data, errors) cannot steer the terminal: control characters are replaced.

use crate::model::{
    Attempt, Entity, EntityKind, JobRecord, JobSummary, Prepared, StateName, Timestamp, WaitsFor,
};
use crate::store::Page;

use super::text::{clean, short, span, table, when};

/// The most letters of an error in a list; `show` has them all.
const SHORT: usize = 60;
/// Instead of data and completion.
const DROPPED: &str = "data and completion were dropped to make room (budget.stored, store.body_retention)";

/// A list of jobs.
pub(super) fn page(page: &Page, now: Timestamp) -> String {
    let mut table = table(&["ID", "STATE", "HANDLER", "ACCOUNT", "RECEIVED", "TRIES", "LAST ERROR"]);
    for job in &page.jobs {
        table.add_row([
            job.id.to_string(),
            job.state.to_string(),
            job.handler.to_string(),
            job.account_id.to_string(),
            when(job.received_at, now),
            format!("{} + {}", job.handler_attempts, job.delivery_attempts),
            short(&clean(&error(job)), SHORT),
        ]);
    }
    let more = page.next.map(|next| format!("There may be more: add --cursor {next}\n"));
    let rows = if page.jobs.is_empty() { "No such jobs.".to_owned() } else { table.trim_fmt() };
    format!("{rows}\n{}", more.unwrap_or_default())
}

/// What went wrong last. That of a delivered job is history.
fn error(job: &JobSummary) -> String {
    match &job.last_error {
        Some(error) if job.state == StateName::Delivered => format!("earlier: {error}"),
        Some(error) => error.clone(),
        None => String::new(),
    }
}

/// One job and its attempts, and what it waits for.
pub(super) fn job(
    record: &JobRecord,
    attempts: &[Attempt],
    waits_for: Option<&WaitsFor>,
    now: Timestamp,
) -> String {
    let both = |moment: Timestamp| format!("{moment} ({})", when(moment, now));
    let job = record.summary();
    let mut lines = vec![
        ("id", job.id.to_string()),
        ("state", job.state.to_string()),
        ("handler", job.handler.to_string()),
        ("account", job.account_id.to_string()),
    ];
    lines.extend(job.entity.map(|entity| ("about", about(entity))));
    lines.push(("return_url", job.return_url.to_string()));
    lines.push(("received", both(job.received_at)));
    lines.extend(job.due_at.map(|due_at| ("due", both(due_at))));
    lines.extend(job.finished_at.map(|finished_at| ("finished", both(finished_at))));
    lines.extend(bodies(record));
    let error = if job.state == StateName::Delivered { "earlier error" } else { "last error" };
    lines.extend(job.last_error.map(|text| (error, text)));
    lines.extend(waits_for.iter().flat_map(|waits_for| {
        [("waits for", waited_for(waits_for, now)), ("what to do", waits_for.advice.clone())]
    }));
    let head: String = lines.iter().map(|(name, value)| format!("{name:<13} {}\n", clean(value))).collect();
    if attempts.is_empty() { head } else { format!("{head}\n{}\n", history(attempts)) }
}

fn waited_for(waits_for: &WaitsFor, now: Timestamp) -> String {
    let next = match waits_for.cause {
        "handler" | "no_handler" => "fallback",
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
            let mut lines = vec![("data", job.request.data.to_string())];
            lines.extend(job.state.prepared().map(|Prepared { completion, outcome }| {
                ("completion", format!("{} (of the {})", completion.as_json(), outcome.as_str()))
            }));
            lines
        }
        JobRecord::WithoutBodies(job) => {
            let mut lines = vec![("bodies", DROPPED.to_owned())];
            lines.extend(job.outcome.map(|outcome| ("outcome", outcome.as_str().to_owned())));
            lines
        }
    }
}

fn history(attempts: &[Attempt]) -> String {
    let mut table = table(&["ATTEMPT", "STARTED", "TOOK", "RESULT", "STATUS", "ERROR"]);
    for attempt in attempts {
        table.add_row([
            format!("{} {}", attempt.stage.as_str(), attempt.number),
            attempt.started_at.to_string(),
            format!("{} ms", attempt.duration.as_millis()),
            attempt.result.as_str().to_owned(),
            attempt.status.map(|status| status.to_string()).unwrap_or_default(),
            clean(attempt.error.as_deref().unwrap_or_default()),
        ]);
    }
    table.trim_fmt()
}

/// The jobs that were moved, and where they are now.
pub(super) fn moved(jobs: &[JobRecord]) -> String {
    let jobs = jobs.iter().map(JobRecord::summary);
    jobs.map(|job| format!("{} is {} now\n", job.id, job.state)).collect()
}

/// How many dead jobs were retried at once.
pub(super) fn retried(jobs: u64) -> String {
    match jobs {
        1 => "1 dead job is delivered again\n".to_owned(),
        jobs => format!("{jobs} dead jobs are delivered again\n"),
    }
}

fn about(Entity { kind, id }: Entity) -> String {
    match kind {
        EntityKind::Contact => format!("contact {id}"),
        EntityKind::Lead => format!("lead {id}"),
        EntityKind::Customer => format!("customer {id}"),
        EntityKind::Other(code) => format!("{id}, of Kommo's kind {code}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_job_waits_for_is_told_with_its_times() {
        let at = |seconds: i64| Timestamp::from_millis(seconds * 1_000);
        for (cause, since, until, expected) in [
            ("turn", None, None, "why"),
            ("unauthorized", Some(3), Some(40), "why (for 7 s, next try in 30 s)"),
            ("handler", None, Some(50), "why (fallback in 40 s)"),
            ("not_connected", Some(3), None, "why (for 7 s)"),
        ] {
            let (since, until) = (since.map(at), until.map(at));
            let waits_for = WaitsFor { cause, why: "why".into(), advice: String::new(), since, until };
            assert_eq!(waited_for(&waits_for, at(10)), expected);
        }
    }

    #[test]
    fn an_empty_list_says_so() {
        let none = Page { jobs: Vec::new(), next: None };
        assert_eq!(page(&none, Timestamp::default()), "No such jobs.\n");
    }
}
