//! `store`: checks the store, shows its sizes, and gives free space back.

use clap::Subcommand;
use serde_json::json;

use crate::config::Config;
use model::Timestamp;
use store::ActionKind;
use store::backup::{Vacuumed, vacuum};
use store::inspect::{StoreStats, check, stats};

use super::actor::{NO_LOG, actor, not_logged};
use super::backup::blocking;
use super::examples;
use super::exit::{Failure, print};
use super::text::when;

/// The subcommands of `store`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub(super) enum Command {
    /// Check every page, index, reference and count of the store
    #[command(after_help = examples::STORE_CHECK)]
    Check,
    /// Show the sizes of the store, its jobs by state, and how fast it grows
    #[command(after_help = examples::STORE_STATS)]
    Stats,
    /// Remove the free pages from the store's file, while no bridge runs
    #[command(after_help = examples::STORE_VACUUM)]
    Vacuum,
}

/// Runs the command and prints its result.
///
/// # Errors
/// The store cannot be read or written, or `check` found a problem.
pub(super) async fn run(
    command: Command,
    config: &Config,
    now: Timestamp,
    json: bool,
) -> Result<(), Failure> {
    let url = config.store.url.clone();
    match command {
        Command::Check => {
            let problems = blocking(move || check(&url)).await?;
            let text =
                if problems.is_empty() { "the store is sound".to_owned() } else { problems.join("\n") };
            print(&if json { json!({ "problems": problems }).to_string() } else { text })?;
            match problems.len() {
                0 => Ok(()),
                count => Err(Failure::running(format!(
                    "{count} problems: stop the bridge, keep a copy of the file, and restore a backup with `restore`"
                ))),
            }
        }
        Command::Stats => {
            let stats = blocking(move || stats(&url, now)).await?;
            Ok(print(&if json { as_json(&stats).to_string() } else { as_text(&stats, now) })?)
        }
        Command::Vacuum => {
            let Vacuumed { before, after, is_logged } = blocking(move || vacuum(&url, now, &actor())).await?;
            if !is_logged {
                not_logged(ActionKind::StoreVacuum, NO_LOG);
            }
            Ok(print(&if json {
                json!({ "before": before, "after": after }).to_string()
            } else {
                vacuumed(before, after)
            })?)
        }
    }
}

fn vacuumed(before: u64, after: u64) -> String {
    if after < before {
        format!("the store's file shrank from {} to {}", size(before), size(after))
    } else {
        format!("the store's file had no free space to give back: it has {}", size(after))
    }
}

fn as_json(stats: &StoreStats) -> serde_json::Value {
    json!({
        "file_bytes": stats.file_bytes,
        "log_bytes": stats.log_bytes,
        "free_bytes": stats.free_bytes,
        "body_bytes": stats.body_bytes,
        "jobs": stats.jobs,
        "oldest_received_at": stats.oldest,
        "received_in_a_day": stats.received_in_a_day,
        "growth_in_a_day_bytes": growth(stats),
    })
}

fn as_text(stats: &StoreStats, now: Timestamp) -> String {
    let mut lines = vec![
        format!("file              {}, of which {} are free", size(stats.file_bytes), size(stats.free_bytes)),
        format!("write-ahead log   {}", size(stats.log_bytes)),
        format!("bodies of jobs    {}", size(stats.body_bytes)),
    ];
    for (state, jobs) in stats.jobs.iter().filter(|(_, jobs)| **jobs > 0) {
        lines.push(format!("{state:<17} {jobs}"));
    }
    lines.push(match stats.oldest {
        Some(oldest) => format!("oldest job        received {}", when(oldest, now)),
        None => "oldest job        none".to_owned(),
    });
    lines.push(format!("last 24 hours     {} jobs, about {}", stats.received_in_a_day, size(growth(stats))));
    lines.join("\n")
}

/// The bytes that the jobs of the last 24 hours take, if each takes as much as the average job.
fn growth(stats: &StoreStats) -> u64 {
    let jobs: u64 = stats.jobs.values().sum();
    let used = stats.file_bytes.saturating_sub(stats.free_bytes);
    used.checked_div(jobs).unwrap_or(0).saturating_mul(stats.received_in_a_day)
}

fn size(bytes: u64) -> String {
    match bytes {
        bytes if bytes < 10_000_000 => format!("{} kB", bytes / 1_000),
        bytes => format!("{} MB", bytes / 1_000_000),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_vacuum_says_whether_the_file_shrank() {
        assert_eq!(vacuumed(52_000_000, 40_000_000), "the store's file shrank from 52 MB to 40 MB");
        for before in [290_816, 286_720] {
            let text = vacuumed(before, 290_816);
            assert_eq!(text, "the store's file had no free space to give back: it has 290 kB");
        }
    }

    #[test]
    fn the_growth_of_a_day_is_that_of_its_jobs() {
        let now = Timestamp::from_millis(1_700_000_000_000);
        let stats = StoreStats {
            file_bytes: 50_000_000,
            log_bytes: 4_096,
            free_bytes: 10_000_000,
            jobs: BTreeMap::from([
                ("queued".to_owned(), 3),
                ("delivered".to_owned(), 7),
                ("dead".to_owned(), 0),
            ]),
            body_bytes: 1_000,
            oldest: Some(now - std::time::Duration::from_secs(7_200)),
            received_in_a_day: 5,
        };
        let text = as_text(&stats, now);
        assert!(text.contains("file              50 MB, of which 10 MB are free"), "{text}");
        assert!(text.contains("oldest job        received 2 h ago") && !text.contains("dead"), "{text}");
        assert!(text.contains("last 24 hours     5 jobs, about 20 MB"), "{text}");
        let none = StoreStats { jobs: BTreeMap::new(), oldest: None, ..stats };
        assert!(as_text(&none, now).contains("oldest job        none"));
        assert_eq!(growth(&none), 0);
    }
}
