//! The rows of a list.

use std::collections::HashMap;
use std::time::Duration;

use maud::{Markup, html};

use model::{ALL_ACCOUNTS, AccountWait, Entity, EntityKind, JobId, JobSummary, Timestamp};

use super::waiting::{Facts, Line, line};
use crate::admin::pages::icon;
use crate::admin::pages::parts::table::{Column, cell, head, row, table};
use crate::admin::pages::parts::{amount, mark, moment};
use crate::admin::{AccountNames, Shared};

/// A job with the number of digits that identify it.
pub(super) struct Row {
    job: JobSummary,
    digits: usize,
    account: String,
    line: Line,
}

/// Why deliveries wait, by address.
pub(super) type WaitsByOrigin = HashMap<String, AccountWait>;

/// Puts together what the rows show. Reads only memory.
pub(super) fn rows(
    jobs: Vec<JobSummary>,
    digits: &[usize],
    waits: &WaitsByOrigin,
    shared: &Shared,
    now: Timestamp,
) -> Vec<Row> {
    let one = |(place, job): (usize, JobSummary)| {
        let (origin, account) = (job.return_url.origin(), account_of(&job, &shared.account_names));
        let facts = if job.state.is_finished() {
            Facts::default()
        } else {
            Facts {
                account: &account,
                wait: waits.get(origin),
                all_wait: waits.get(ALL_ACCOUNTS),
                pause: shared.live.pause(origin),
                unreachable_until: shared.live.load(&job.handler).and_then(|load| load.unreachable_until),
            }
        };
        let line = line(&job, facts, now);
        let digits = digits.get(place).copied().unwrap_or(usize::MAX).max(JobId::SHORT_DIGITS);
        Row { job, digits, account, line }
    };
    jobs.into_iter().enumerate().map(one).collect()
}

/// What the page calls the account of a job: its name in the configuration, the first part of its host, or the whole host if
/// that is an address.
pub(super) fn account_of(job: &JobSummary, names: &AccountNames) -> String {
    let host = host_of(job);
    if let Some(name) = names.name_of(host) {
        return name.to_owned();
    }
    let is_address = host.starts_with('[')
        || host.split(':').next().is_some_and(|host| host.parse::<std::net::Ipv4Addr>().is_ok());
    let name = if is_address { host } else { host.split('.').next().unwrap_or(host) };
    name.to_owned()
}

/// The host of a job's account, with the port unless it is the default.
fn host_of(job: &JobSummary) -> &str {
    let origin = job.return_url.origin();
    origin.split_once("://").map_or(origin, |(_, host)| host)
}

/// The address of an entity in Kommo; `None` if Kommo has no page for it.
pub(super) fn in_kommo(job: &JobSummary, entity: Entity) -> Option<String> {
    let origin = job.return_url.origin();
    let is_web = origin.starts_with("https://") || origin.starts_with("http://");
    let kind = match entity.kind {
        EntityKind::Lead => "leads",
        EntityKind::Contact => "contacts",
        EntityKind::Customer => "customers",
        EntityKind::Other(_) => return None,
    };
    is_web.then(|| format!("{origin}/{kind}/detail/{}", entity.id))
}

/// The table. With `selects`, each row has a checkbox.
pub(super) fn list(rows: &[Row], caption: &str, selects: bool, now: Timestamp) -> Markup {
    let mut columns = vec![
        Column::new("State", "w5"),
        Column::new("Job", "w7"),
        Column::new("Lead", "w3"),
        Column::new("Handler", "w3 mid nar"),
        Column::new("Account", "w3"),
        Column::new("Waits for, or last error", ""),
        Column::new("Attempts", "n w2 wide mid"),
        Column::new("Age", "n w4"),
    ];
    if selects {
        columns.insert(0, Column::hidden("Select", "w1"));
    }
    let class = if selects { "cards sel fix" } else { "cards fix" };
    table(class, caption, &columns, html! { @for row in rows { (of(row, selects, now)) } })
}

fn of(Row { job, digits, account, line }: &Row, selects: bool, now: Timestamp) -> Markup {
    let short = job.id.short(*digits);
    let handler = job.handler.as_str();
    row(html! {
        @if selects {
            td.pick role="cell" { label.hit {
                span.hide { "Select job " (short) }
                input type="checkbox" name="id" value=(job.id);
            } }
        }
        (cell("k", mark::state(job.state)))
        (head("nw", html! { a.mono href={ "/jobs/" (job.id) } { (short) } }))
        (cell("cut", html! { (entity(job)) span.two { "bot " (job.return_url.bot_id()) } }))
        td.cut.mid.nar role="cell" title=[(handler.len() > 10).then_some(handler)] { (handler) }
        td.cut role="cell" title=(host_of(job)) { (account) span.two { (job.account_id) } }
        (cell("all", says(line, now)))
        (cell("n wide mid", html! { (job.handler_attempts) " + " (job.delivery_attempts) }))
        (cell("n r", html! {
            time datetime=(job.received_at) title=(moment::full(job.received_at)) { (age(now.since(job.received_at))) }
            span.two { (moment::clock(job.received_at)) }
        }))
    })
}

/// An age without seconds from a minute to an hour, so that it fits.
fn age(span: Duration) -> String {
    let seconds = span.as_secs();
    let is_minutes = (60..3_600).contains(&seconds);
    amount::age(if is_minutes { Duration::from_secs(seconds / 60 * 60) } else { span })
}

fn entity(job: &JobSummary) -> Markup {
    let Some(entity) = job.entity else { return html! { span.m { "none" } } };
    let address = in_kommo(job, entity);
    let text = match entity.kind {
        EntityKind::Lead => entity.id.to_string(),
        _ => entity.to_string(),
    };
    html! {
        @match address {
            Some(address) => a href=(address) rel="noreferrer" { (text) },
            None => (text),
        }
    }
}

fn says(Line { tone, sign, text, until }: &Line, now: Timestamp) -> Markup {
    html! {
        @if !text.is_empty() {
            span.why.(tone.class()) {
                @if let Some(sign) = sign { (icon(*sign)) }
                span.cut {
                    (text) @if let Some((until, after)) = until { (moment::countdown(*until, now)) (after) }
                }
            }
        }
    }
}
