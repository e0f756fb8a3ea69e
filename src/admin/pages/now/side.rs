//! Jobs by state, the most frequent errors, and the store.

use maud::{Markup, html};

use model::{StateName, Timestamp};

use super::facts::{Backup, Errors, Facts, StoreFacts};
use crate::admin::pages::parts::icon::Icon;
use crate::admin::pages::parts::mark::{self, Tone};
use crate::admin::pages::parts::table::{Column, cell, head, row, table};
use crate::admin::pages::parts::{amount, chart, moment, panel};
use store::ErrorGroup;
use store::outside::{DatabaseSizes, FileSizes, Sizes};

/// Days as text.
fn days(span: std::time::Duration) -> String {
    amount::age(span)
}

/// The panel of the jobs in each state.
pub(super) fn states(facts: &Facts) -> Markup {
    let kept = html! {
        @if let Ok(store) = &facts.store { span.m { "finished ones are kept for " (days(store.retention)) } }
    };
    let body = match &facts.counts {
        Err(why) => panel::unreadable(why),
        Ok(counts) => {
            let columns = [Column::hidden("State", ""), Column::hidden("Jobs", "n")];
            let line = |state: StateName| {
                let jobs = counts.of(&[state]);
                let link = html! { a href={ "/jobs?q=state%3A" (state.as_str()) } { (mark::state(state)) } };
                row(html! { (head("", link)) (cell("n", amount::number(jobs))) })
            };
            let rows = html! { @for state in StateName::ALL { (line(state)) } };
            table("", "Number of jobs in each state", &columns, rows)
        }
    };
    panel::panel("h-st", "Jobs by state", kept, body)
}

/// The panel of the most frequent errors.
pub(super) fn errors(facts: &Facts) -> Markup {
    let kinds = facts.errors.as_ref().map_or(0, |errors| errors.kinds);
    let all = html! {
        a href="/errors" { @if kinds > 1 { "All " (amount::number(kinds)) " kinds" } @else { "Errors" } }
    };
    let body = match &facts.errors {
        Err(why) => panel::unreadable(why),
        Ok(Errors { top, .. }) if top.is_empty() => {
            let why = "Attempts of handlers and deliveries that fail appear here.";
            panel::empty(Tone::Ok, Icon::Ok, "No errors in 24 hours.", why, html! {})
        }
        Ok(Errors { top, .. }) => {
            let columns = [
                Column::new("Error", ""),
                Column::new("Per hour", "wide w5"),
                Column::new("Failures", "n w2"),
            ];
            let rows = html! { @for (failures, group) in top { (row(error(*failures, group))) } };
            table("fix", "Most frequent errors of the last 24 hours", &columns, rows)
        }
    };
    panel::panel("h-err", "Top errors, 24\u{a0}h", all, body)
}

#[allow(clippy::cast_precision_loss, reason = "a sparkline shows no exact numbers")]
fn error(failures: u64, group: &ErrorGroup) -> Markup {
    let text = match &group.handler {
        Some(handler) => format!("Handler {handler}: {}", group.text),
        None => format!("Delivery: {}", group.text),
    };
    let hours: Vec<Option<f64>> = group.last_day.iter().map(|failures| Some(*failures as f64)).collect();
    html! {
        th.cut role="rowheader" scope="row" title=(text) { a href={ "/errors/" (group.id) } { (text) } }
        (cell("wide", chart::spark(&hours, "failures per hour, last 24 hours")))
        (cell("n", amount::number(failures)))
    }
}

/// The panel of the store.
pub(super) fn store(facts: &Facts) -> Markup {
    let body = match &facts.store {
        Err(why) => panel::unreadable(why),
        Ok(store) => store_facts(store, facts.now),
    };
    panel::panel("h-store", "Store", html! { a href="/store" { "Details" } }, body)
}

fn store_facts(store: &StoreFacts, now: Timestamp) -> Markup {
    html! {
        div.in {
            dl.facts {
                @match &store.sizes {
                    Sizes::File(file) => {
                        (of_file(file))
                        dt { "Last backup" } dd { (backup(store.backup, now)) }
                    },
                    Sizes::Database(database) => (of_database(database)),
                }
            }
        }
    }
}

fn of_file(file: &FileSizes) -> Markup {
    html! {
        dt { "Size" } dd { (amount::bytes(file.file_bytes)) }
        dt { "Disk" }
        dd {
            @match file.free_bytes {
                None => "free space unknown",
                Some(free) if free < file.file_bytes.max(1 << 30) => {
                    (mark::mark(Tone::Warn, Icon::Warning, html! { (amount::bytes(free)) " free" }))
                },
                Some(free) => { (amount::bytes(free)) " free" },
            }
        }
        dt { "WAL" }
        dd {
            (amount::bytes(file.log_bytes)) ", "
            @match file.readers.len() {
                0 => "no other process reads",
                1 => "1 other process reads",
                readers => { (readers) " other processes read" },
            }
        }
    }
}

fn of_database(database: &DatabaseSizes) -> Markup {
    html! {
        dt { "Size" } dd { (amount::bytes(database.database_bytes)) }
        dt { "Server" } dd.mono.wrap { (database.address) }
        dt { "Dead rows" } dd { (amount::number(database.dead_rows)) }
    }
}

fn backup(backup: Option<Backup>, now: Timestamp) -> Markup {
    match backup {
        None => html! { "not scheduled: " code { "store.backup_folder" } " is not set" },
        Some(Backup { last, failed: true }) => {
            let words = html! {
                span {
                    "the last try failed"
                    @if let Some(last) = last { ", written " (moment::ago(last, now)) }
                }
            };
            mark::mark(Tone::Bad, Icon::Warning, words)
        }
        Some(Backup { last: None, .. }) => html! { "none yet" },
        Some(Backup { last: Some(last), .. }) => {
            mark::mark(Tone::Ok, Icon::Ok, html! { span { "verified, " (moment::ago(last, now)) } })
        }
    }
}
