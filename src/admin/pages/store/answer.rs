//! The sentence of the page: whether the store is sound, how long its disk lasts, and whether there is a backup. Pure.

use std::time::Duration;

use maud::{Markup, html};

use super::facts::{Backups, Facts, Size};
use super::forecast::Forecast;
use crate::admin::pages::parts::icon::Icon;
use crate::admin::pages::parts::mark::Tone;
use crate::admin::pages::parts::panel::Answer;
use crate::admin::pages::parts::text::capital;
use crate::admin::pages::parts::{amount, moment};
use crate::admin::store_check::CheckState;
use store::outside::{DatabaseSizes, FileSizes, OldestSnapshot};

const DAY: Duration = Duration::from_secs(86_400);
/// A disk that is full within this time needs an operator now.
const SOON: Duration = Duration::from_secs(3 * 86_400);
/// A log of this length that another process keeps from starting over is worth a warning.
const LONG_LOG: u64 = 256 << 20;
/// A snapshot that is held for longer than this, or for more transactions, is worth a warning.
const LONG_SNAPSHOT: Duration = Duration::from_secs(600);
const MANY_TRANSACTIONS: u64 = 1_000_000;

/// Decides on the sentence: the most urgent news first.
pub(super) fn decide(facts: &Facts) -> Answer {
    let bad = |sentence: String, why: Markup| Answer::new(Tone::Bad, Icon::Warning, sentence, why);
    let warn = |sentence: String, why: Markup| Answer::new(Tone::Warn, Icon::Warning, sentence, why);
    let size = match (&facts.size, &facts.content) {
        (Ok(size), Ok(_)) => size,
        (Err(why), _) | (_, Err(why)) => return bad("The store cannot be read".to_owned(), html! { (why) }),
    };
    if let Some(why) = facts.refuses_because.first() {
        return bad("The store accepts no jobs".to_owned(), html! { (capital(why)) "." });
    }
    match &facts.check {
        CheckState::Ended { found: Ok(found), .. } if !found.problems.is_empty() => {
            let problems = amount::count(found.problems.len() as u64, "problem");
            let why = html! { "Stop the bridge and restore a backup, or save what is readable. The problems are below." };
            return bad(format!("The check found {problems}"), why);
        }
        _ => {}
    }
    if let Forecast::Full { after, bytes_per_day } = facts.forecast {
        let sentence = format!("The disk is full in about {}", amount::age(rounded(after)));
        let why = html! {
            "At the rate of the last day, the store grows by " (amount::bytes(bytes_per_day)) " a day. Give it a larger disk, or \
             shorten " code { "store.retention" } " or " code { "store.body_retention" } "."
        };
        return if after < SOON { bad(sentence, why) } else { warn(sentence, why) };
    }
    if let Some((_, Err(why))) = facts.backups.as_ref().and_then(|backups| backups.state.last.as_ref()) {
        return bad("The last backup failed".to_owned(), html! { (capital(why)) "." });
    }
    if let Some(backups) = facts.backups.as_ref().filter(|backups| is_overdue(facts, backups)) {
        let every = amount::age(backups.state.every);
        let why = html! { "One is due every " (every) " (" code { "store.backup_every" } ")." };
        return warn("The newest backup is too old".to_owned(), why);
    }
    match size {
        Size::File(size) => of_file(&size.sizes, facts),
        Size::Database(size) => of_database(size),
    }
}

fn of_file(size: &FileSizes, facts: &Facts) -> Answer {
    if size.log_bytes > LONG_LOG && !size.readers.is_empty() {
        let why = html! {
            "Another process reads the store in a transaction (" (ids(size)) "), so its write-ahead log of "
            (amount::bytes(size.log_bytes)) " cannot start over. End that process if it hangs."
        };
        return Answer::new(Tone::Warn, Icon::Warning, "The write-ahead log grows".to_owned(), why);
    }
    let free = size.free_bytes.map(|free| format!(", {} free", amount::bytes(free))).unwrap_or_default();
    let sentence = format!("The store is sound: {}{free}", amount::bytes(size.file_bytes));
    Answer::new(Tone::Ok, Icon::Ok, sentence, html! { (outlook(facts)) " " (backed_up(facts)) })
}

fn of_database(size: &DatabaseSizes) -> Answer {
    if let Some(oldest) = size.oldest_snapshot.as_ref().filter(|oldest| is_old(oldest)) {
        let why = html! {
            (capital(&oldest.holder)) " holds an old snapshot, so a vacuum cannot remove the dead rows since then. End it if it hangs."
        };
        return Answer::new(
            Tone::Warn,
            Icon::Warning,
            "An old snapshot makes the database grow".to_owned(),
            why,
        );
    }
    let sentence = format!("The database has {}", amount::bytes(size.database_bytes));
    let why = html! {
        "Back it up with " code { "pg_dump" } " or with the backups of your provider, and watch the disk of its server there."
    };
    Answer::new(Tone::Ok, Icon::Ok, sentence, why)
}

/// Whether a snapshot has been held for so long that dead rows pile up.
fn is_old(oldest: &OldestSnapshot) -> bool {
    oldest.held.is_some_and(|held| held > LONG_SNAPSHOT) || oldest.transactions > MANY_TRANSACTIONS
}

/// Whether the newest backup is older than two intervals, or there is none though one has ended.
fn is_overdue(facts: &Facts, backups: &Backups) -> bool {
    let limit = backups.state.every * 2;
    facts.newest_backup().is_some_and(|newest| facts.now.since(newest) > limit)
}

fn outlook(facts: &Facts) -> Markup {
    html! {
        @match facts.forecast {
            Forecast::Unknown => "How fast it grows is not known yet.",
            Forecast::Settles { bytes } => {
                "At the rate of the last day, it has about " (amount::bytes(bytes)) " when the oldest jobs are deleted, and no longer grows."
            }
            Forecast::Full { .. } => {},
        }
    }
}

fn backed_up(facts: &Facts) -> Markup {
    html! {
        @match (&facts.backups, facts.newest_backup()) {
            (None, _) => { "Backups are not scheduled: " code { "store.backup_folder" } " is not set." }
            (Some(_), None) => "There is no backup yet.",
            (Some(_), Some(newest)) => { "The newest backup is verified, " (moment::ago(newest, facts.now)) "." }
        }
    }
}

/// Whole days, or hours if it is less than one.
fn rounded(span: Duration) -> Duration {
    let unit = if span < DAY { 3_600 } else { DAY.as_secs() };
    Duration::from_secs(span.as_secs() / unit * unit)
}

/// The ids of the processes that read the store.
pub(super) fn ids(size: &FileSizes) -> String {
    let ids: Vec<String> = size.readers.iter().map(u32::to_string).collect();
    let processes = if ids.len() == 1 { "process" } else { "processes" };
    format!("{processes} {}", ids.join(", "))
}

#[cfg(test)]
pub(super) mod tests {
    use model::Timestamp;
    use store::backup::BackupFile;

    use store::outside::Checked;

    use super::super::facts::{Content, FileSize};
    use super::*;
    use crate::admin::BackupsState;

    pub(in crate::admin::pages::store) const NOW: Timestamp = Timestamp::from_millis(1_795_789_928_000);

    /// A file with a log of this length, and the processes that read it.
    fn file(log_bytes: u64, readers: &[u32]) -> Size {
        let sizes = FileSizes {
            path: "/data/bridge.db".into(),
            file_bytes: 1 << 30,
            log_bytes,
            free_bytes: Some(40 << 30),
            readers: readers.iter().copied().collect(),
        };
        Size::File(FileSize { sizes, reusable_bytes: Some(5 << 20) })
    }

    /// A database whose oldest snapshot has been held for this time.
    pub(in crate::admin::pages::store) fn database(held: Duration) -> Size {
        let oldest = OldestSnapshot { holder: "session 7 (psql)".into(), held: Some(held), transactions: 9 };
        Size::Database(DatabaseSizes {
            address: "postgres://db.example:5432/bridge".into(),
            database_bytes: 3 << 30,
            dead_rows: 12_345,
            oldest_snapshot: Some(oldest),
        })
    }

    /// A calm store without scheduled backups.
    pub(in crate::admin::pages::store) fn facts() -> Facts {
        Facts {
            now: NOW,
            refuses_because: Vec::new(),
            size: Ok(file(4 << 20, &[])),
            content: Ok(Content::default()),
            forecast: Forecast::Unknown,
            retention: DAY * 14,
            body_retention: DAY * 7,
            backups: None,
            check: CheckState::Never,
        }
    }

    /// Backups every day, whose newest one is `age` old.
    pub(in crate::admin::pages::store) fn backups(age: Duration) -> Option<Backups> {
        let file = BackupFile { path: "/backups/bridge-1.db".into(), bytes: 1 << 30, written_at: NOW - age };
        let state =
            BackupsState { every: DAY, keep: 7, is_asked_for: false, running_since: None, last: None };
        Some(Backups { folder: "/backups".into(), state, files: Ok(vec![file]) })
    }

    #[test]
    fn the_answer_names_the_most_urgent_trouble() {
        let full = |days: u32| Forecast::Full { after: DAY * days, bytes_per_day: 1 << 30 };
        let ended = |found: &[&str]| CheckState::Ended {
            at: NOW,
            took: DAY,
            found: Ok(Checked {
                problems: found.iter().map(|text| (*text).to_owned()).collect(),
                notes: Vec::new(),
            }),
        };
        let failed = || {
            let mut failed = backups(DAY).unwrap();
            failed.state.last = Some((NOW, Err("no space".to_owned())));
            Some(failed)
        };
        let read = Facts { size: Ok(file(1 << 30, &[])), ..facts() };
        let held = Facts { size: Ok(file(1 << 30, &[17, 4])), ..facts() };
        let of_database = |held: u64| Facts { size: Ok(database(Duration::from_secs(held))), ..facts() };
        let settles = Facts { forecast: Forecast::Settles { bytes: 2 << 30 }, ..facts() };
        let sound = "The store is sound: 1 GiB, 40 GiB free";
        for (facts, tone, said, part) in [
            (facts(), Tone::Ok, sound, "store.backup_folder"),
            (settles, Tone::Ok, sound, "about 2 GiB when the oldest jobs are deleted"),
            (read, Tone::Ok, sound, "not known yet"),
            (held, Tone::Warn, "The write-ahead log grows", "processes 4, 17"),
            (of_database(599), Tone::Ok, "The database has 3 GiB", "pg_dump"),
            (
                of_database(601),
                Tone::Warn,
                "An old snapshot makes the database grow",
                "Session 7 (psql) holds",
            ),
            (Facts { backups: backups(DAY), ..facts() }, Tone::Ok, sound, "The newest backup is verified"),
            (
                Facts { backups: backups(DAY * 3), ..facts() },
                Tone::Warn,
                "The newest backup is too old",
                "every 1 d",
            ),
            (Facts { backups: failed(), ..facts() }, Tone::Bad, "The last backup failed", "No space."),
            (
                Facts { forecast: full(9), backups: failed(), ..facts() },
                Tone::Warn,
                "The disk is full in about 9 d",
                "grows by 1 GiB a day",
            ),
            (
                Facts { forecast: full(2), ..facts() },
                Tone::Bad,
                "The disk is full in about 2 d",
                "store.retention",
            ),
            (Facts { check: ended(&[]), ..facts() }, Tone::Ok, sound, "not scheduled"),
            (
                Facts { check: ended(&["a", "b"]), forecast: full(1), ..facts() },
                Tone::Bad,
                "The check found 2 problems",
                "restore a backup",
            ),
            (
                Facts { refuses_because: vec!["the disk is full".into()], check: ended(&["a"]), ..facts() },
                Tone::Bad,
                "The store accepts no jobs",
                "The disk is full.",
            ),
            (
                Facts { size: Err("It is gone.".into()), ..facts() },
                Tone::Bad,
                "The store cannot be read",
                "It is gone.",
            ),
            (
                Facts { content: Err("Late.".into()), ..facts() },
                Tone::Bad,
                "The store cannot be read",
                "Late.",
            ),
        ] {
            let answer = decide(&facts);
            let sentence = answer.sentence.replace('\u{a0}', " ");
            assert_eq!((answer.tone, &*sentence), (tone, said));
            let why = answer.why.into_string().replace('\u{a0}', " ");
            assert!(why.contains(part), "{part} in {why}");
        }
    }
}
