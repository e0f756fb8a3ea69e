//! What a job waits for, or how it ended, in one line: from the job's row and what the running bridge knows, without a
//! query for each job. The page of the job explains more.

use model::{AccountPause, AccountWait, JobSummary, Outcome, StateName, Timestamp};

use crate::admin::pages::Icon;
use crate::admin::pages::parts::mark::Tone;

/// The longest text, in bytes.
const MAX_BYTES: usize = 160;

/// The facts beside the job.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Facts<'a> {
    /// The account, as the page calls it.
    pub(super) account: &'a str,
    /// Why deliveries to the account wait.
    pub(super) wait: Option<&'a AccountWait>,
    /// Why all deliveries wait.
    pub(super) all_wait: Option<&'a AccountWait>,
    /// The pause of the account's calls.
    pub(super) pause: Option<AccountPause>,
    /// Until when no call goes to the handler, because it cannot be reached.
    pub(super) unreachable_until: Option<Timestamp>,
}

/// The line: a text, in which the time until something happens comes first, because the end may be cut off.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) tone: Tone,
    pub(super) sign: Option<Icon>,
    pub(super) text: String,
    /// A moment, and the text after the time until then.
    pub(super) until: Option<(Timestamp, String)>,
}

impl Line {
    fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    fn warn(sign: Icon, text: impl Into<String>) -> Self {
        Self { tone: Tone::Warn, sign: Some(sign), ..Self::plain(text) }
    }

    /// A line that says when something happens and why it waits: `what in 42 s: why`. If that is over or unknown:
    /// `that: why`.
    fn timed(
        sign: Icon,
        (what, that): (&str, &str),
        until: Option<Timestamp>,
        why: Option<String>,
        now: Timestamp,
    ) -> Self {
        let why = why.map(|why| format!(": {why}")).unwrap_or_default();
        match until.filter(|until| *until > now) {
            Some(until) => Self { until: Some((until, why)), ..Self::warn(sign, format!("{what} in ")) },
            None => Self::warn(sign, format!("{that}{why}")),
        }
    }
}

/// Decides on the line of a job.
pub(super) fn line(job: &JobSummary, facts: Facts<'_>, now: Timestamp) -> Line {
    let error = job.last_error.as_deref().map(clean);
    match job.state {
        StateName::Queued => queued(job, facts, error, now),
        StateName::Running => {
            Line::plain(format!("its handler, attempt {}", job.handler_attempts.saturating_add(1)))
        }
        StateName::AwaitingCallback => Line::plain("the callback of its handler"),
        StateName::Delivering => delivering(job, facts, error, now),
        StateName::Delivered => delivered(job),
        StateName::Gone => Line::plain(error.unwrap_or_else(|| "Kommo: no one is waiting".to_owned())),
        StateName::Dead => Line::plain(error.unwrap_or_else(|| "the bridge gave up".to_owned())),
        StateName::Cancelled => Line::plain(error.unwrap_or_else(|| "cancelled".to_owned())),
    }
}

fn queued(job: &JobSummary, facts: Facts<'_>, error: Option<String>, now: Timestamp) -> Line {
    let Some(due_at) = job.due_at else {
        return Line::plain("the answer to an earlier message of its conversation");
    };
    if facts.unreachable_until.is_some() {
        return Line::warn(Icon::Warning, "its handler, which cannot be reached");
    }
    if due_at <= now {
        return Line::plain("a free worker");
    }
    if job.handler_attempts == 0 && error.is_none() {
        return Line { until: Some((due_at, String::new())), ..Line::plain("further messages, for ") };
    }
    Line::timed(Icon::Warning, ("handler retry", "its handler"), Some(due_at), error, now)
}

fn delivering(job: &JobSummary, facts: Facts<'_>, error: Option<String>, now: Timestamp) -> Line {
    let account = facts.account;
    // The job may wait longer than its account, because Kommo also refused the job in particular.
    let until = |until: Timestamp| job.due_at.map_or(until, |due_at| until.max(due_at));
    let wait = |wait: &AccountWait, resumes: &str, is_paused: &str| {
        let sign = if wait.until.is_some() { Icon::Paused } else { Icon::Key };
        Line::timed(sign, (resumes, is_paused), wait.until.map(until), Some(clean(&wait.why)), now)
    };
    if let Some(paused) = facts.wait {
        return wait(paused, &format!("{account} resumes"), &format!("{account} is paused"));
    }
    if let Some(AccountPause { cause, until }) = facts.pause {
        let (resumes, is_paused) = (format!("{account} resumes"), format!("{account} is paused"));
        let why = Some(cause.what().to_owned());
        return Line::timed(Icon::Paused, (&resumes, &is_paused), Some(until), why, now);
    }
    if let Some(paused) = facts.all_wait {
        return wait(paused, "all accounts resume", "all accounts are paused");
    }
    match job.due_at.filter(|due_at| *due_at > now) {
        Some(due_at) => Line::timed(Icon::Warning, ("retry", "its delivery"), Some(due_at), error, now),
        None => Line::plain("its turn to be delivered"),
    }
}

fn delivered(job: &JobSummary) -> Line {
    if job.joined_into.is_some() {
        return Line::plain("answered with a later message of its conversation");
    }
    match job.outcome {
        Some(Outcome::Fallback(reason)) => Line::warn(Icon::Fallback, format!("fallback: {}", reason.what())),
        Some(Outcome::Handler) | None => Line::default(),
    }
}

/// A text on one line, of limited length.
pub(super) fn clean(text: &str) -> String {
    let spaced = text.split(|letter: char| letter.is_control() || letter.is_whitespace());
    let words: Vec<&str> = spaced.filter(|word| !word.is_empty()).collect();
    let line = words.join(" ");
    let end = line.floor_char_boundary(MAX_BYTES);
    match line.get(..end) {
        Some(kept) if end < line.len() => format!("{kept}…"),
        _ => line,
    }
}

#[cfg(test)]
mod tests;
