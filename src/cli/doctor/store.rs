//! The store: whether it is there, how it opens, what waits in it, and how much room its disk has.

use std::path::{Path, PathBuf};

use crate::cli::text::span;
use model::{StateName, Timestamp};
use store::file::{self, LogState, MAX_LOG_BYTES, log_state};
use store::{Stats, Store, StoreError};

use super::check::Check;
use super::permissions;

const MB: u64 = 1_000_000;
/// Below that somebody should look, and below that requests are about to be refused.
const FREE_SPACE_LIMITS: (u64, u64) = (500 * MB, 20 * MB);
/// A job that waits longer for a worker finds too few of them, or none.
const LONG_WAIT: std::time::Duration = std::time::Duration::from_secs(60);

/// Looks at a store that was visited.
pub(super) async fn checks(
    url: &str,
    visited: &Result<Option<Store>, StoreError>,
    now: Timestamp,
) -> Vec<Check> {
    let file = match file::path_of(url) {
        Ok(file) => file,
        Err(error) => return vec![unreadable(&error)],
    };
    let (folder, shown) = (nearest(&file), file.display().to_string());
    let path = shown.as_str();
    let mut checks = match visited {
        Ok(Some(store)) => match store.jobs().stats().await {
            Ok(stats) => contents(path, &stats, now),
            Err(error) => vec![unreadable(&error)],
        },
        Ok(None) => {
            vec![absent(path, &folder, tempfile::tempfile_in(&folder).err().map(|error| error.to_string()))]
        }
        Err(error) => vec![unreadable(error)],
    };
    if let (Ok(Some(_)), Ok(state)) = (visited, log_state(url)) {
        checks.extend(log(&state));
        checks.extend(permissions::checks(&file));
    }
    if let Ok(disk) = rustix::fs::statvfs(&folder) {
        checks.push(room(&folder, disk.f_bavail.saturating_mul(disk.f_frsize)));
    }
    checks
}

/// The folder of `path`, or the nearest above it that exists.
fn nearest(path: &Path) -> PathBuf {
    let there = path.ancestors().skip(1).find(|folder| folder.is_dir());
    there.filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
}

fn unreadable(error: &StoreError) -> Check {
    Check::failed("store", error.to_string(), "fix that, or set store.url to another file")
}

fn absent(path: &str, folder: &Path, refused: Option<String>) -> Check {
    match refused {
        None => Check::ok("store", format!("{path} is not there yet: `serve` makes it")),
        Some(why) => Check::failed(
            "store",
            format!(
                "{path} is not there, and nothing can be made in {}: {why}; {}",
                folder.display(),
                paths::ownership(folder)
            ),
            "let the bridge's user write there, or set store.url to a place where it may",
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
            format!("{dead} dead: their bots were never continued"),
            "see why with `jobs list --state dead`, and deliver them again with `jobs retry --dead`",
        ));
    }
    let waits = stats.oldest_queued.map(|oldest| now.since(oldest)).filter(|waits| *waits > LONG_WAIT);
    if let Some(waits) = waits {
        checks.push(Check::warning(
            "jobs",
            format!("the oldest has waited {} for a worker", span(waits)),
            "run `serve`; if it runs, raise workers.concurrency or make the handler faster",
        ));
    }
    checks
}

/// A log that no one holds is short: it is only told of where it is not.
fn log(state: &LogState) -> Option<Check> {
    if state.bytes <= MAX_LOG_BYTES {
        return None;
    }
    let pids: Vec<String> = state.readers.iter().map(ToString::to_string).collect();
    let todo = if pids.is_empty() {
        "find the process that reads the database in one long transaction, and end it; without one, `serve` cuts the log"
            .to_owned()
    } else {
        format!("end what reads the database in one long transaction: process {}", pids.join(", "))
    };
    Some(Check::warning("log", format!("the write-ahead log has grown to {} MB", state.bytes / MB), todo))
}

fn room(folder: &Path, bytes: u64) -> Check {
    let found = format!("{} MB free in {}", bytes / MB, folder.display());
    match bytes {
        bytes if bytes < FREE_SPACE_LIMITS.1 => {
            Check::failed("disk", found, "free some space: a full disk refuses requests")
        }
        bytes if bytes < FREE_SPACE_LIMITS.0 => {
            Check::warning("disk", found, "free some space before it is full")
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
    fn dead_and_waiting_jobs_are_told() {
        let now = Timestamp::from_millis(1_000_000);
        let outcomes = |dead: u64, waited: Option<u64>| {
            let jobs = BTreeMap::from([(StateName::Dead, dead), (StateName::Queued, 2)]);
            let oldest_queued = waited.map(|seconds| now - std::time::Duration::from_secs(seconds));
            contents("x", &Stats { jobs, oldest_queued, unfinished_bytes: 0, stored_bytes: 0 }, now)
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
    fn a_long_log_is_told_with_who_holds_it() {
        let state = |bytes, readers: &[u32]| LogState { bytes, readers: readers.iter().copied().collect() };
        assert_eq!(log(&state(MAX_LOG_BYTES, &[7])), None);
        let told = |readers: &[u32]| {
            serde_json::to_value(log(&state(227 * MB, readers)).unwrap()).unwrap().to_string()
        };
        assert!(
            told(&[7, 8]).contains("227 MB") && told(&[7, 8]).contains("process 7, 8"),
            "{}",
            told(&[7, 8])
        );
        assert!(told(&[]).contains("find the process"), "{}", told(&[]));
    }

    #[test]
    fn room_is_judged_before_it_is_gone() {
        let outcome = |bytes| room(Path::new("x"), bytes).outcome();
        assert_eq!(
            [outcome(19 * MB), outcome(499 * MB), outcome(500 * MB)],
            [Outcome::Failed, Outcome::Warning, Outcome::Ok]
        );
    }

    #[test]
    fn a_store_that_cannot_be_made_is_told() {
        assert_eq!(absent("x", Path::new("."), None).outcome(), Outcome::Ok);
        assert_eq!(absent("x", Path::new("."), Some("read-only".into())).outcome(), Outcome::Failed);
        assert_eq!(nearest(Path::new("bridge.db")), Path::new("."));
        assert_eq!(nearest(Path::new("/nowhere/at/all/bridge.db")), Path::new("/"));
    }
}
