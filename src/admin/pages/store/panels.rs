//! The panels of the page.

use maud::{Markup, html};

use model::StateName;
use store::backup::BackupFile;
use store::outside::{Checked, DatabaseSizes, OldestSnapshot};

use super::answer::ids;
use super::facts::{Backups, Content, Facts, FileSize, Size};
use crate::admin::access::Visitor;
use crate::admin::pages::parts::icon::{Icon, icon};
use crate::admin::pages::parts::mark::{self, Tone};
use crate::admin::pages::parts::table::{self, Column, cell, head, labelled, row};
use crate::admin::pages::parts::{amount, moment, panel};
use crate::admin::store_check::CheckState;

/// The backups that the page lists.
const SHOWN_BACKUPS: usize = 10;

/// Says what a reader cannot do.
pub(super) fn read_only() -> Markup {
    let words =
        html! { "You have the read-only token. A backup and a check need " code { "admin.token" } "." };
    panel::note(Tone::Plain, Icon::Lock, words, "")
}

/// A form with one button.
fn button(action: &str, words: &str, sign: Icon, visitor: &Visitor) -> Markup {
    html! {
        @if visitor.may_change() {
            form method="post" action=(action) {
                (visitor.csrf_field())
                button.btn.s type="submit" { (icon(sign)) (words) }
            }
        }
    }
}

/// The panel of the backups.
pub(super) fn backups(facts: &Facts, visitor: &Visitor) -> Markup {
    if facts.is_database() {
        let why = html! {
            "The bridge does not back up a PostgreSQL database: use " code { "pg_dump" } " or the backups of your provider."
        };
        let empty =
            panel::empty(Tone::Plain, Icon::Info, "Backups are those of the database server.", why, html! {});
        return panel::panel("h-bak", "Backups", html! {}, empty);
    }
    let Some(backups) = &facts.backups else {
        let why = html! {
            "Set " code { "store.backup_folder" } " and restart: the bridge then writes and verifies one every day. \
             Without it, this command writes one now: " code { "salesbot-bridge backup FILE" }
        };
        let empty = panel::empty(Tone::Plain, Icon::Info, "Backups are not scheduled.", why, html! {});
        return panel::panel("h-bak", "Backups", html! {}, empty);
    };
    let is_busy = backups.state.is_asked_for || backups.state.running_since.is_some();
    let aside = html! {
        @if !is_busy { (button("/store/backup", "Back up now", Icon::Copy, visitor)) }
    };
    let body = html! {
        div.in.stack {
            p.m {
                "Every " (amount::age(backups.state.every)) " into " code.wrap { (backups.folder.display()) }
                ", and the newest " (backups.state.keep) " are kept."
            }
            (progress(backups, facts))
        }
        @match &backups.files {
            Err(why) => (panel::unreadable(why)),
            Ok(files) if files.is_empty() => {},
            Ok(files) => {
                (table::table("cards", "Backups, newest first", &COLUMNS, html! {
                    @for file in files.iter().take(SHOWN_BACKUPS) { (row(backup(file, facts))) }
                }))
                @if files.len() > SHOWN_BACKUPS {
                    p.in.m { (amount::number((files.len() - SHOWN_BACKUPS) as u64)) " older" }
                }
            }
        }
    };
    panel::panel("h-bak", "Backups", aside, body)
}

const COLUMNS: [Column; 3] = [Column::new("File", ""), Column::new("Size", "n"), Column::new("Written", "n")];

fn backup(file: &BackupFile, facts: &Facts) -> Markup {
    let name = file.path.file_name().map(|name| name.to_string_lossy().into_owned());
    html! {
        (head("k wrap", html! { code { (name.unwrap_or_default()) } }))
        (labelled("n", "size", amount::bytes(file.bytes)))
        (labelled("n", "written", moment::ago(file.written_at, facts.now)))
    }
}

/// What happens to the backup that is due or was asked for.
fn progress(backups: &Backups, facts: &Facts) -> Markup {
    let now = facts.now;
    let state = &backups.state;
    html! {
        p {
            @match (state.running_since, state.is_asked_for, &state.last) {
                (Some(since), ..) => {
                    (mark::sentence(Tone::Active, Icon::Running, html! {
                        "A backup is being written since " (moment::moment(since, now)) ". " a href="/store" { "Look again" }
                    }))
                }
                (None, true, _) => {
                    (mark::sentence(Tone::Active, Icon::Queued, html! { "A backup begins in a moment. " a href="/store" { "Look again" } }))
                }
                (None, false, Some((at, Err(why)))) => {
                    (mark::sentence(Tone::Bad, Icon::X, html! { "The last one failed " (moment::ago(*at, now)) ": " (why) }))
                }
                (None, false, _) => @match facts.newest_backup() {
                    Some(newest) => {
                        (mark::sentence(Tone::Ok, Icon::Ok, html! { "The newest one was opened and checked, " (moment::ago(newest, now)) "." }))
                    }
                    None => { "There is none yet." }
                },
            }
        }
    }
}

/// The panel of the check.
pub(super) fn check(facts: &Facts, visitor: &Visitor) -> Markup {
    let is_running = matches!(facts.check, CheckState::Running(_));
    let aside = html! {
        @if !is_running { (button("/store/check", "Check now", Icon::Search, visitor)) }
    };
    let body = html! {
        div.in.stack {
            p.m {
                @if facts.is_database() {
                    "Compares the counts and the texts with the jobs, and reads every index if the database has the extension "
                    code { "amcheck" } ". The bridge keeps working; no vacuum removes dead rows until the check ends."
                } @else {
                    "Reads every page, index and reference, and compares the counts with the jobs. The bridge keeps working; the \
                     write-ahead log grows until the check ends."
                }
            }
            @match &facts.check {
                CheckState::Never => p { "Not checked since the bridge started." },
                CheckState::Running(since) => p {
                    (mark::sentence(Tone::Active, Icon::Running, html! {
                        "Runs since " (moment::moment(*since, facts.now)) ". " a href="/store" { "Look again" }
                    }))
                },
                CheckState::Ended { at, took, found } => {
                    p { (ended(found)) " " span.m { (moment::ago(*at, facts.now)) ", took " (amount::duration(*took)) } }
                    @if let Ok(found) = found {
                        @let found = found.problems.iter().chain(&found.notes);
                        @if found.clone().next().is_some() { ul { @for line in found { li.wrap { (line) } } } }
                    }
                }
            }
        }
    };
    panel::panel("h-chk", "Check of the integrity", aside, body)
}

fn ended(found: &Result<Checked, String>) -> Markup {
    match found {
        Ok(found) if found.problems.is_empty() => mark::sentence(Tone::Ok, Icon::Ok, "Nothing is wrong."),
        Ok(_) => mark::sentence(Tone::Bad, Icon::Warning, "These are wrong:"),
        Err(why) => mark::sentence(Tone::Bad, Icon::X, html! { "It did not end: " (why) }),
    }
}

/// The panel of the sizes.
pub(super) fn size(facts: &Facts) -> Markup {
    let body = match &facts.size {
        Err(why) => panel::unreadable(why),
        Ok(Size::File(size)) => files(size),
        Ok(Size::Database(size)) => database(size, facts),
    };
    let title = if facts.is_database() { "Database" } else { "Files" };
    panel::panel("h-size", title, html! {}, body)
}

fn database(size: &DatabaseSizes, facts: &Facts) -> Markup {
    html! {
        div.in {
            dl.facts {
                dt { "Address" } dd.mono.wrap { (size.address) }
                dt { "Size" } dd { (amount::bytes(size.database_bytes)) }
                dt { "Dead rows" } dd { (amount::number(size.dead_rows)) }
                dt { "Oldest snapshot" }
                dd.wrap {
                    @match &size.oldest_snapshot {
                        None => "none",
                        Some(OldestSnapshot { holder, held: Some(held), .. }) => {
                            (holder) ", since " (moment::moment(facts.now - *held, facts.now))
                        },
                        Some(OldestSnapshot { holder, transactions, .. }) => {
                            (holder) ", " (amount::number(*transactions)) " transactions ago"
                        },
                    }
                }
            }
        }
    }
}

fn files(FileSize { sizes: size, reusable_bytes }: &FileSize) -> Markup {
    let bytes = |bytes: Option<u64>| bytes.map_or_else(|| "unknown".to_owned(), amount::bytes);
    html! {
        div.in {
            dl.facts {
                dt { "Path" } dd.mono.wrap { (size.path.display()) }
                dt { "Database" } dd { (amount::bytes(size.file_bytes)) }
                dt { "Free inside" } dd { (bytes(*reusable_bytes)) }
                dt { "Free on disk" } dd { (bytes(size.free_bytes)) }
                dt { "WAL" }
                dd {
                    (amount::bytes(size.log_bytes))
                    @if size.readers.is_empty() { ", no other process reads" } @else { ", read by " (ids(size)) }
                }
            }
        }
    }
}

/// The panel of the content.
pub(super) fn content(facts: &Facts) -> Markup {
    let body = match &facts.content {
        Err(why) => panel::unreadable(why),
        Ok(content) => contents(content, facts),
    };
    panel::panel("h-con", "Content", html! {}, body)
}

fn contents(content: &Content, facts: &Facts) -> Markup {
    let columns = [Column::hidden("State", ""), Column::hidden("Jobs", "n")];
    let line = |state: StateName| {
        let link = html! { a href={ "/jobs?q=state%3A" (state.as_str()) } { (mark::state(state)) } };
        row(html! {
            (head("", link)) (cell("n", amount::number(content.jobs.get(&state).copied().unwrap_or(0))))
        })
    };
    html! {
        (table::table("", "Number of jobs in each state", &columns, html! { @for state in StateName::ALL { (line(state)) } }))
        div.in {
            dl.facts {
                dt { "Texts" } dd { (amount::bytes(content.stored_bytes)) }
                dt { "Unfinished" } dd { (amount::bytes(content.unfinished_bytes)) " of them" }
                dt { "Jobs kept" } dd { (amount::age(facts.retention)) " " code { "store.retention" } }
                dt { "Texts kept" } dd { (amount::age(facts.body_retention)) " " code { "store.body_retention" } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use model::Timestamp;

    use super::super::answer::tests::{NOW, backups as some, facts};
    use super::*;
    use crate::admin::access::Role;

    #[test]
    fn only_an_operator_can_start_what_does_not_run() {
        let day = std::time::Duration::from_secs(86_400);
        let (operator, reader) = (Visitor::for_test(Role::Operator), Visitor::for_test(Role::Reader));
        let mut facts = Facts { backups: some(day), ..facts() };
        let shown = |facts: &Facts, visitor| {
            backups(facts, visitor).into_string() + &check(facts, visitor).into_string()
        };
        let html = shown(&facts, &operator);
        assert!(
            html.contains("action=\"/store/backup\"") && html.contains("action=\"/store/check\""),
            "{html}"
        );
        assert!(!shown(&facts, &reader).contains("<form"));
        facts.backups.as_mut().unwrap().state.running_since = Some(NOW);
        facts.check = CheckState::Running(NOW);
        let html = shown(&facts, &operator);
        assert!(!html.contains("<form") && html.contains("is being written since"), "{html}");
    }

    #[test]
    fn results_and_paths_are_shown_and_escaped() {
        let mut facts = Facts { backups: some(std::time::Duration::ZERO), ..facts() };
        let bad = facts.backups.as_mut().unwrap();
        bad.folder = "/<b>".into();
        bad.state.last = Some((Timestamp::from_millis(0), Err("<script>".to_owned())));
        facts.check = CheckState::Ended {
            at: NOW,
            took: std::time::Duration::from_secs(3),
            found: Ok(Checked { problems: vec!["row <i> is wrong".to_owned()], notes: Vec::new() }),
        };
        let operator = Visitor::for_test(Role::Operator);
        let html = backups(&facts, &operator).into_string() + &check(&facts, &operator).into_string();
        for part in
            ["/&lt;b&gt;", "&lt;script&gt;", "row &lt;i&gt; is wrong", "bridge-1.db", "These are wrong:"]
        {
            assert!(html.contains(part), "{part} in {html}");
        }
    }
}
