//! Checks the store: whether it exists and opens, the jobs in it, its write-ahead log, and the free space of its disk.

use std::path::{Path, PathBuf};

use crate::cli::text::span;
use model::{StateName, Timestamp};
use store::file::{self, LogState, MAX_LOG_BYTES, log_state};
use store::{Stats, Store, StoreError, StoreKind, StoreUrl};

use super::check::Check;
use super::permissions;

const MB: u64 = 1_000_000;
/// Free bytes. Below the first number an operator should act; below the second the bridge is about to refuse requests.
const FREE_SPACE_LIMITS: (u64, u64) = (500 * MB, 20 * MB);
/// The longest normal wait for a worker. A longer one means too few workers, or none.
const LONG_WAIT: std::time::Duration = std::time::Duration::from_secs(60);

/// Checks a store that was opened as an observer.
pub(super) async fn checks(
    url: &StoreUrl,
    opened: &Result<Option<Store>, StoreError>,
    now: Timestamp,
) -> Vec<Check> {
    if url.kind() == StoreKind::Postgres {
        return of_database(url, opened, now).await;
    }
    let file = match file::path_of(url) {
        Ok(file) => file,
        Err(error) => return vec![unreadable(&error)],
    };
    let (folder, shown) = (nearest(&file), file.display().to_string());
    let path = shown.as_str();
    let mut checks = match opened {
        Ok(Some(store)) => match store.jobs().stats().await {
            Ok(stats) => contents(path, &stats, now),
            Err(error) => vec![unreadable(&error)],
        },
        Ok(None) => {
            vec![absent(path, &folder, tempfile::tempfile_in(&folder).err().map(|error| error.to_string()))]
        }
        Err(error) => vec![unreadable(error)],
    };
    if let (Ok(Some(_)), Ok(state)) = (opened, log_state(url)) {
        checks.extend(log(&state));
        checks.extend(permissions::checks(&file));
    }
    if let Ok(disk) = rustix::fs::statvfs(&folder) {
        checks.push(room(&folder, disk.f_bavail.saturating_mul(disk.f_frsize)));
    }
    checks
}

async fn of_database(
    url: &StoreUrl,
    opened: &Result<Option<Store>, StoreError>,
    now: Timestamp,
) -> Vec<Check> {
    let address = url.to_string();
    match opened {
        Ok(Some(store)) => match store.jobs().stats().await {
            Ok(stats) => contents(&address, &stats, now),
            Err(error) => vec![unreadable(&error)],
        },
        Ok(None) => vec![Check::ok("store", format!("{address} contains no store yet: `serve` creates it"))],
        Err(error) => vec![unreadable(error)],
    }
}

/// The folder of `path`, or the nearest existing folder above it.
fn nearest(path: &Path) -> PathBuf {
    let there = path.ancestors().skip(1).find(|folder| folder.is_dir());
    there.filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
}

fn unreadable(error: &StoreError) -> Check {
    Check::failed("store", error.to_string(), "fix the cause, or correct store.url")
}

fn absent(path: &str, folder: &Path, refused: Option<String>) -> Check {
    match refused {
        None => Check::ok("store", format!("{path} does not exist yet: `serve` creates it")),
        Some(why) => Check::failed(
            "store",
            format!(
                "{path} does not exist, and cannot be created in {}: {why}; {}",
                folder.display(),
                paths::ownership(folder)
            ),
            "allow the bridge's user to write there, or set store.url to a folder where it may",
        ),
    }
}

fn contents(path: &str, stats: &Stats, now: Timestamp) -> Vec<Check> {
    let count = |state| stats.jobs.get(&state).copied().unwrap_or(0);
    let unfinished = count(StateName::Queued) + count(StateName::Running) + count(StateName::Delivering);
    let jobs = if unfinished == 1 { "job" } else { "jobs" };
    let mut checks = vec![Check::ok("store", format!("{path}: {unfinished} unfinished {jobs}"))];
    let dead = count(StateName::Dead);
    if dead > 0 {
        checks.push(Check::warning(
            "jobs",
            format!("{dead} dead: their bots were not continued"),
            "see the reasons with `jobs list --state dead`, then deliver them again with `jobs retry --dead`",
        ));
    }
    let waits = stats.oldest_queued.map(|oldest| now.since(oldest)).filter(|waits| *waits > LONG_WAIT);
    if let Some(waits) = waits {
        checks.push(Check::warning(
            "jobs",
            format!("the oldest queued job has waited {} for a worker", span(waits)),
            "run `serve`; if it is running, raise workers.concurrency or make the handler faster",
        ));
    }
    checks
}

/// Checks the length of the write-ahead log; `None` if it is short, as it is unless a reader holds it.
fn log(state: &LogState) -> Option<Check> {
    if state.bytes <= MAX_LOG_BYTES {
        return None;
    }
    let pids: Vec<String> = state.readers.iter().map(ToString::to_string).collect();
    let todo = if pids.is_empty() {
        "find the process that reads the database in one long transaction, and end it; if there is none, `serve` shortens the log"
            .to_owned()
    } else {
        format!("end the process that reads the database in one long transaction: {}", pids.join(", "))
    };
    Some(Check::warning("log", format!("the write-ahead log has grown to {} MB", state.bytes / MB), todo))
}

fn room(folder: &Path, bytes: u64) -> Check {
    let found = format!("{} MB free in {}", bytes / MB, folder.display());
    match bytes {
        bytes if bytes < FREE_SPACE_LIMITS.1 => {
            Check::failed("disk", found, "free some space: the bridge refuses requests when the disk is full")
        }
        bytes if bytes < FREE_SPACE_LIMITS.0 => {
            Check::warning("disk", found, "free some space before the disk is full")
        }
        _ => Check::ok("disk", found),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::check::Outcome;
    use super::*;

    #[test]
    fn dead_and_long_waiting_jobs_are_warnings() {
        let now = Timestamp::from_millis(1_000_000);
        let outcomes = |dead: u64, waited: Option<u64>| {
            let jobs = BTreeMap::from([(StateName::Dead, dead), (StateName::Queued, 2)]);
            let oldest_queued = waited.map(|seconds| now - std::time::Duration::from_secs(seconds));
            contents(
                "x",
                &Stats { jobs, oldest_queued, waiting_for_turn: 0, unfinished_bytes: 0, stored_bytes: 0 },
                now,
            )
            .iter()
            .map(Check::outcome)
            .collect::<Vec<_>>()
        };
        assert_eq!(outcomes(0, None), [Outcome::Ok]);
        assert_eq!(outcomes(0, Some(60)), [Outcome::Ok]);
        assert_eq!(outcomes(1, None), [Outcome::Ok, Outcome::Warning]);
        assert_eq!(outcomes(1, Some(61)), [Outcome::Ok, Outcome::Warning, Outcome::Warning]);
    }

    #[test]
    fn a_long_log_is_reported_with_the_processes_that_hold_it() {
        let state = |bytes, readers: &[u32]| LogState { bytes, readers: readers.iter().copied().collect() };
        assert_eq!(log(&state(MAX_LOG_BYTES, &[7])), None);
        let found_with = |readers: &[u32]| {
            serde_json::to_value(log(&state(227 * MB, readers)).unwrap()).unwrap().to_string()
        };
        assert!(
            found_with(&[7, 8]).contains("227 MB") && found_with(&[7, 8]).contains("transaction: 7, 8"),
            "{}",
            found_with(&[7, 8])
        );
        assert!(found_with(&[]).contains("find the process"), "{}", found_with(&[]));
    }

    #[test]
    fn low_disk_space_is_reported_before_the_disk_is_full() {
        let outcome = |bytes| room(Path::new("x"), bytes).outcome();
        assert_eq!(
            [outcome(19 * MB), outcome(499 * MB), outcome(500 * MB)],
            [Outcome::Failed, Outcome::Warning, Outcome::Ok]
        );
    }

    #[test]
    fn a_store_that_cannot_be_created_is_a_failure() {
        assert_eq!(absent("x", Path::new("."), None).outcome(), Outcome::Ok);
        assert_eq!(absent("x", Path::new("."), Some("read-only".into())).outcome(), Outcome::Failed);
        assert_eq!(nearest(Path::new("bridge.db")), Path::new("."));
        assert_eq!(nearest(Path::new("/nowhere/at/all/bridge.db")), Path::new("/"));
    }
}
