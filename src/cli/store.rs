//! `store`: checks the store, shows its sizes, and gives free space back.

use clap::Subcommand;
use serde_json::json;

use crate::bridge::Error;
use crate::config::Config;
use model::Timestamp;
use store::backup::{Vacuumed, vacuum};
use store::outside::{Checked, DatabaseSizes, Extent, StoreStats, check_until, stats};
use store::{ActionKind, StoreKind};

use super::actor::{NO_LOG, actor, not_logged};
use super::backup::{blocking, refuse_database};
use super::examples;
use super::exit::{Failure, notice, print};
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
            let Checked { problems, notes } = check_until(&url, || false).await.map_err(Error::from)?;
            let text =
                if problems.is_empty() { "the store is sound".to_owned() } else { problems.join("\n") };
            print(&if json { json!({ "problems": problems, "notes": notes }).to_string() } else { text })?;
            if !json {
                notes.iter().for_each(|note| notice(note));
            }
            let advice = match url.kind() {
                StoreKind::Sqlite => "keep a copy of the file, and restore a backup with `restore`",
                StoreKind::Postgres => {
                    "keep a copy of the database with pg_dump, and restore a backup (see docs/postgres.md)"
                }
            };
            match problems.len() {
                0 => Ok(()),
                count => Err(Failure::running(format!("{count} problems: stop the bridge, {advice}"))),
            }
        }
        Command::Stats => {
            let stats = stats(&url, now).await.map_err(Error::from)?;
            Ok(print(&if json { as_json(&stats).to_string() } else { as_text(&stats, now) })?)
        }
        Command::Vacuum => {
            let instead =
                "VACUUM in psql; the server does it on its own, and its space is used again without it";
            refuse_database("store vacuum", instead, config)?;
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
    let mut json = match &stats.extent {
        Extent::File { file_bytes, log_bytes, free_bytes } => {
            json!({ "file_bytes": file_bytes, "log_bytes": log_bytes, "free_bytes": free_bytes })
        }
        Extent::Database(DatabaseSizes { address, database_bytes, dead_rows, .. }) => {
            json!({ "address": address, "database_bytes": database_bytes, "dead_rows": dead_rows })
        }
    };
    json["body_bytes"] = stats.body_bytes.into();
    json["jobs"] = json!(stats.jobs);
    json["oldest_received_at"] = json!(stats.oldest);
    json["received_in_a_day"] = stats.received_in_a_day.into();
    json["growth_in_a_day_bytes"] = growth(stats).into();
    json
}

fn as_text(stats: &StoreStats, now: Timestamp) -> String {
    let mut lines = match &stats.extent {
        Extent::File { file_bytes, log_bytes, free_bytes } => vec![
            format!("file              {}, of which {} are free", size(*file_bytes), size(*free_bytes)),
            format!("write-ahead log   {}", size(*log_bytes)),
        ],
        Extent::Database(database) => vec![
            format!("database          {}, at {}", size(database.database_bytes), database.address),
            format!("dead rows         {}", database.dead_rows),
        ],
    };
    lines.push(format!("bodies of jobs    {}", size(stats.body_bytes)));
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
    let used = match &stats.extent {
        Extent::File { file_bytes, free_bytes, .. } => file_bytes.saturating_sub(*free_bytes),
        Extent::Database(database) => database.database_bytes,
    };
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
            extent: Extent::File { file_bytes: 50_000_000, log_bytes: 4_096, free_bytes: 10_000_000 },
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
        let database = DatabaseSizes {
            address: "postgres://h:5432/bridge".to_owned(),
            database_bytes: 50_000_000,
            dead_rows: 7,
            oldest_snapshot: None,
        };
        let database = StoreStats { extent: Extent::Database(database), ..stats.clone() };
        let text = as_text(&database, now);
        assert!(
            text.contains("database          50 MB, at postgres://h:5432/bridge\ndead rows         7"),
            "{text}"
        );
        assert!(text.contains("5 jobs, about 25 MB") && as_json(&database)["file_bytes"].is_null(), "{text}");
        let none = StoreStats { jobs: BTreeMap::new(), oldest: None, ..stats };
        assert!(as_text(&none, now).contains("oldest job        none"));
        assert_eq!(growth(&none), 0);
    }
}
