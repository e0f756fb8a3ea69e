//! What is beside the job: facts, other jobs of the same lead, and the group of its error.

use maud::{Markup, html};

use model::{JobSummary, Note, Outcome};
use store::ErrorGroup;

use super::super::actions::{COLUMNS as ACTION_COLUMNS, row as action_row};
use super::super::parts::icon::{Icon, icon};
use super::super::parts::mark::state;
use super::super::parts::panel::{panel, unreadable};
use super::super::parts::table::{Column, cell, head, row, table};
use super::super::parts::{amount, moment};
use super::path;
use super::read::Seen;
use super::text::{about, host, kommo_link, same_link};
use crate::admin::access::Bodies;
use crate::admin::masked;

/// The maximum number of notes on the page.
const MAX_NOTES: usize = 20;

/// All panels beside the job.
pub(super) fn render(seen: &Seen) -> Markup {
    html! {
        aside.grid aria-label="About this job" {
            (facts(seen))
            (same_lead(seen))
            @if let Some(group) = &seen.group { (same_error(group, seen)) }
        }
    }
}

fn facts(seen: &Seen) -> Markup {
    let Seen { summary, now, settings, .. } = seen;
    let time = |at| moment::moment(at, *now);
    let outcome = match summary.outcome {
        _ if summary.joined_into.is_some() => "joined into a later job".to_owned(),
        Some(Outcome::Handler) => "answered by the handler".to_owned(),
        Some(Outcome::Fallback(reason)) => format!("fallback ({reason})"),
        None => "none yet".to_owned(),
    };
    let url = &summary.return_url;
    let body = html! {
        div.in { dl.facts {
            dt { "About" }
            dd {
                @match kommo_link(summary) {
                    Some(link) => a href=(link) rel="noreferrer" { (about(summary)) " " (icon(Icon::External)) },
                    None => (about(summary)),
                }
            }
            dt { "Account" } dd { (host(summary)) " " span.m { (summary.account_id.0) } }
            dt { "Handler" }
            dd {
                (summary.handler) " "
                span.m { @match settings { Some(known) => (known.kind), None => "no longer exists" } }
            }
            dt { "Bot" } dd { (url.bot_type().as_str()) " " (url.bot_id()) ", continue " (url.continue_id()) }
            dt { "Received" } dd { (time(summary.received_at)) }
            dt { "Finished" } dd { @match summary.finished_at { Some(at) => (time(at)), None => "not yet" } }
            dt { "Outcome" } dd { (outcome) }
            @if let Some(later) = summary.joined_into {
                dt { "Joined into" } dd.mono { a href=(path(later)) { (later) } }
            }
            dt { "Trace" } dd.mono { (summary.id.as_uuid().simple()) }
            dt { "Job" } dd.mono { (summary.id) }
        } }
    };
    panel("h-f", "Facts", html! {}, body)
}

fn same_lead(seen: &Seen) -> Markup {
    let Seen { summary, now, .. } = seen;
    let Some(entity) = summary.entity else { return html! {} };
    let all = html! { @if let Some(link) = same_link(summary) { a href=(link) { "All" } } };
    let title = format!("Other jobs of {entity}");
    let body = match &seen.same {
        Ok((others, _)) if others.is_empty() => html! { div.in { p.m { "This is the only one." } } },
        Ok((others, is_more)) => {
            let columns =
                [Column::hidden("State", ""), Column::hidden("Received", "n"), Column::hidden("Took", "n")];
            let rows = html! { @for other in others { (line(other, *now)) } };
            html! {
                (table("", &title, &columns, rows))
                @if *is_more { p.in.m { "The newest ones." } }
            }
        }
        Err(why) => unreadable(why),
    };
    panel("h-o", title.as_str(), all, body)
}

fn line(other: &JobSummary, now: model::Timestamp) -> Markup {
    row(html! {
        (head("", html! { a href=(path(other.id)) { (state(other.state)) } }))
        (cell("n", moment::moment(other.received_at, now)))
        (cell("n", other.finished_at.map_or_else(
            || "waits".to_owned(),
            |end| amount::duration(end.since(other.received_at)),
        )))
    })
}

fn same_error(group: &Result<ErrorGroup, String>, seen: &Seen) -> Markup {
    let now = seen.now;
    match group {
        Ok(group) => {
            let link = html! { a href={ "/errors/" (group.id) } { "Group" } };
            let body = html! {
                div.in { p.m {
                    (amount::count(group.failures, "failure"))
                    " between " (moment::moment(group.first_at, now)) " and " (moment::moment(group.last_at, now)) ":"
                } p { (group.text) } }
            };
            panel("h-s", "Same error", link, body)
        }
        Err(why) => panel("h-s", "Same error", html! {}, unreadable(why)),
    }
}

/// What operators did with the job, if they did anything.
pub(super) fn actions(seen: &Seen) -> Markup {
    let all = html! { a href={ "/actions?job=" (seen.summary.id) } { "All" } };
    match &seen.actions {
        Ok(page) if page.actions.is_empty() => html! {},
        Ok(page) => {
            let rows = html! { @for action in &page.actions { (action_row(action, seen.now)) } };
            let table =
                table("cards", "What operators did with this job, newest first", &ACTION_COLUMNS, rows);
            panel("h-op", "Actions of operators", all, table)
        }
        Err(why) => panel("h-op", "Actions of operators", html! {}, unreadable(why)),
    }
}

/// The notes on the job, if there are any.
pub(super) fn notes(seen: &Seen, seen_as: Bodies) -> Markup {
    let now = seen.now;
    match &seen.notes {
        Ok(notes) if notes.is_empty() => html! {},
        Ok(notes) => {
            let aside = html! { @if notes.len() > MAX_NOTES { span.m { "the newest " (MAX_NOTES) " of " (notes.len()) } } };
            let columns = [Column::hidden("At", "n"), Column::hidden("Note", "")];
            let newest = notes.get(notes.len().saturating_sub(MAX_NOTES)..).unwrap_or_default();
            let rows = html! { @for note in newest { (noted(note, seen_as, now)) } };
            panel("h-n", "Notes", aside, table("", "Notes in order of time", &columns, rows))
        }
        Err(why) => panel("h-n", "Notes", html! {}, unreadable(why)),
    }
}

fn noted(note: &Note, seen_as: Bodies, now: model::Timestamp) -> Markup {
    let text = masked::note(&note.text, seen_as);
    let text = html! { @match &text { Some(text) => (text), None => span.m { "hidden" } } };
    row(html! { (head("n w5", moment::moment(note.noted_at, now))) (cell("wrap", text)) })
}
