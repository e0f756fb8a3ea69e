//! The table of the bots that have waited longest.

use maud::{Markup, html};

use model::{Entity, EntityKind, ExplainCode, JobSummary, Timestamp};

use super::facts::{Facts, Reason, Waiting, WaitingJob};
use crate::admin::pages::parts::icon::{Icon, icon};
use crate::admin::pages::parts::mark::{self, Tone};
use crate::admin::pages::parts::table::{Column, cell, head, labelled, row, table};
use crate::admin::pages::parts::text::cut;
use crate::admin::pages::parts::{amount, moment, panel};

/// The longest reason, in characters.
const MAX_REASON: usize = 160;
/// The digits at the end of an id that identify it for people.
const SHORT_ID: usize = 8;

const COLUMNS: [Column; 7] = [
    Column::new("State", "w5"),
    Column::new("Job", "w3"),
    Column::new("Lead", "w3"),
    Column::new("Handler", "w4"),
    Column::new("Account", "w4"),
    Column::new("Waits for", ""),
    Column::new("Waited", "n w4"),
];

/// The panel.
pub(super) fn render(facts: &Facts) -> Markup {
    let body = match &facts.waiting {
        Err(why) => panel::unreadable(why),
        Ok(waiting) if waiting.jobs.is_empty() => panel::empty(
            Tone::Ok,
            Icon::Ok,
            "No bot is waiting.",
            "A bot appears here from its request until Kommo has accepted its continue.",
            html! {},
        ),
        Ok(waiting) => rows(waiting, facts),
    };
    let all = html! { a href="/jobs?q=is%3Aunfinished" { "All unfinished jobs" } };
    panel::panel("h-wait", "Waiting now", all, body)
}

fn rows(waiting: &Waiting, facts: &Facts) -> Markup {
    let note = html! {
        p.in.m { "There are too many unfinished jobs to compare all of them: another one may have waited longer." }
    };
    html! {
        (table(
            "cards fix",
            "Bots that wait for an answer, oldest first",
            &COLUMNS,
            html! { @for one in &waiting.jobs { (row(cells(one, facts))) } },
        ))
        @if !waiting.is_exact { (note) }
    }
}

fn cells(one: &WaitingJob, facts: &Facts) -> Markup {
    let (job, now) = (&one.job.job, facts.now);
    let names = facts.accounts.as_ref().ok().map(|accounts| &accounts.names);
    let account = names.and_then(|names| names.get(host(job))).map_or_else(|| host(job), String::as_str);
    let id = job.id.to_string();
    let digits = id.get(id.len().saturating_sub(SHORT_ID)..).unwrap_or(&id);
    let handler = job.handler.as_str();
    let link = html! { a.mono href={ "/jobs/" (id) } title={ "Job " (id) } { (digits) } };
    html! {
        (cell("k", mark::state(job.state)))
        (head("", link))
        (cell("", entity(job)))
        td.cut role="cell" title=(handler) { (handler) }
        td.cut role="cell" title=(host(job)) { (account) }
        (cell("all", reason(job, one.reason.as_ref(), now)))
        (labelled("n r", "", amount::age(now.since(one.job.since))))
    }
}

/// The lead, contact or customer, with a link into Kommo.
fn entity(job: &JobSummary) -> Markup {
    let Some(Entity { kind, id }) = job.entity else { return html! {} };
    let page = match kind {
        EntityKind::Lead => "leads",
        EntityKind::Contact => "contacts",
        EntityKind::Customer => "customers",
        EntityKind::Other(_) => return html! { (id) },
    };
    let title = format!("Open {} in Kommo", Entity { kind, id });
    html! { a href={ (job.return_url.origin()) "/" (page) "/detail/" (id) } rel="noreferrer" title=(title) { (id) } }
}

/// The host of the job's account, with its port if it has one.
pub(super) fn host(job: &JobSummary) -> &str {
    let origin = job.return_url.origin();
    origin.split_once("://").map_or(origin, |(_, host)| host)
}

fn reason(job: &JobSummary, reason: Option<&Reason>, now: Timestamp) -> Markup {
    let Some(reason) = reason else {
        return html! { span.m { "not read in time: open the job" } };
    };
    let is_of_account = matches!(reason.code, ExplainCode::Account(_) | ExplainCode::AllAccounts);
    html! {
        span.why.warn[is_of_account] {
            @if is_of_account { (icon(Icon::Paused)) }
            span.cut title=(cut(&reason.text, MAX_REASON)) { (words(job, reason)) }
            @if let Some(until) = reason.until.filter(|until| *until > now) {
                span.m.nw { (what_then(reason.code)) " in " (moment::countdown(until, now)) }
            }
        }
    }
}

/// The reason in few words: one row is one line.
fn words(job: &JobSummary, reason: &Reason) -> String {
    let error = || job.last_error.as_deref().unwrap_or("no response");
    let text = match reason.code {
        ExplainCode::Handler => format!("handler, attempt {}", job.handler_attempts + 1),
        ExplainCode::Callback => "a callback of its handler".to_owned(),
        ExplainCode::HandlerRetry => format!("attempt {} failed: {}", job.handler_attempts.max(1), error()),
        ExplainCode::DeliveryRetry => {
            format!("delivery {} failed: {}", job.delivery_attempts.max(1), error())
        }
        ExplainCode::Account(cause) => format!("account paused: {}", cause.what()),
        ExplainCode::AllAccounts => "all accounts are paused".to_owned(),
        _ => reason.text.clone(),
    };
    cut(&text, MAX_REASON).into_owned()
}

/// What happens when the reason ends.
pub(in crate::admin::pages) const fn what_then(code: ExplainCode) -> &'static str {
    match code {
        ExplainCode::Account(_) | ExplainCode::AllAccounts | ExplainCode::HandlerUnreachable => "next try",
        ExplainCode::HandlerRetry | ExplainCode::DeliveryRetry => "next attempt",
        ExplainCode::Messages => "its handler runs",
        ExplainCode::Pace => "next call",
        _ => "fallback",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_says_what_happens_when_a_wait_ends() {
        for (code, expected) in [
            (ExplainCode::Handler, "fallback"),
            (ExplainCode::Account(model::WaitCause::TooMany), "next try"),
            (ExplainCode::DeliveryRetry, "next attempt"),
            (ExplainCode::Messages, "its handler runs"),
            (ExplainCode::Pace, "next call"),
        ] {
            assert_eq!(what_then(code), expected, "{code:?}");
        }
    }
}
