//! Jobs as a person reads them.
//!
//! Texts from outside (data, errors) cannot steer the terminal: control characters are replaced.

use crate::model::{Attempt, JobRecord, Outcome, Prepared, Timestamp};
use crate::store::Page;

use super::text::{clean, short, table, when};

/// The most letters of an error in a list; `show` has them all.
const SHORT: usize = 60;
/// Instead of data and completion.
const DROPPED: &str = "data and completion were dropped to make room (budget.stored, store.body_retention)";

/// A list of jobs.
pub(super) fn page(page: &Page, now: Timestamp) -> String {
    let mut table =
        table(&["ID", "STATE", "HANDLER", "ACCOUNT", "RECEIVED", "TRIES", "OUTCOME", "LAST ERROR"]);
    for job in &page.jobs {
        table.add_row([
            job.id.to_string(),
            job.state.to_string(),
            job.handler.to_string(),
            job.account_id.to_string(),
            when(job.received_at, now),
            format!("{} + {}", job.handler_attempts, job.delivery_attempts),
            job.outcome.map(outcome).unwrap_or_default(),
            short(&clean(job.last_error.as_deref().unwrap_or_default()), SHORT),
        ]);
    }
    let more = page.next.map(|next| format!("There may be more: add --cursor {next}\n"));
    let rows = if page.jobs.is_empty() { "No such jobs.".to_owned() } else { table.trim_fmt() };
    format!("{rows}\n{}", more.unwrap_or_default())
}

/// `handler`, or `fallback: ` and why.
fn outcome(outcome: Outcome) -> String {
    let name = outcome.name().as_str();
    outcome.fallback_reason().map_or_else(|| name.to_owned(), |reason| format!("{name}: {reason}"))
}

/// One job and its attempts.
pub(super) fn job(record: &JobRecord, attempts: &[Attempt], now: Timestamp) -> String {
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
    lines.extend(job.last_error.map(|error| ("last error", error)));
    let head: String = lines.iter().map(|(name, value)| format!("{name:<11} {}\n", clean(value))).collect();
    if attempts.is_empty() { head } else { format!("{head}\n{}\n", history(attempts)) }
}

fn bodies(record: &JobRecord) -> Vec<(&'static str, String)> {
    match record {
        JobRecord::Whole(job) => {
            let mut lines = vec![("data", job.request.data.to_string())];
            lines.extend(job.state.prepared().map(|Prepared { completion, outcome }| {
                ("completion", format!("{} (of the {})", completion.as_json(), outcome.name().as_str()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_list_says_so() {
        let none = Page { jobs: Vec::new(), next: None };
        assert_eq!(page(&none, Timestamp::default()), "No such jobs.\n");
    }
}
