//! How much of a disk one account may take.
//!
//! The budgets are made for a disk that has room for them. On a smaller one, each account gets a share of the room that
//! there is: what is free, and what the store takes already. So the share stays the same while the store fills its disk, and
//! an account that sends without end is refused while the others still find room.

use std::path::Path;

use crate::model::Budget;

use super::Store;

/// An account's unfinished jobs may take this part of the room.
const UNFINISHED_PART: u64 = 8;
/// The bodies of all its jobs may take this part.
const STORED_PART: u64 = 4;

/// How many bytes an account may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    /// Of unfinished jobs.
    pub(super) unfinished: u64,
    /// Of all jobs.
    pub(super) stored: u64,
}

impl Limits {
    /// The budget, or the share of the room where that is less.
    pub(super) fn new(budget: &Budget, room: Option<u64>) -> Self {
        let part = |part| room.map_or(u64::MAX, |room| room / part);
        Self {
            unfinished: budget.unfinished.min(part(UNFINISHED_PART)),
            stored: budget.stored.min(part(STORED_PART)),
        }
    }

    /// Down to here an account's bodies are dropped, so that it is not looked at again for each further job.
    pub(super) const fn low_water(&self) -> u64 {
        self.stored / 16 * 15
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::new(&Budget::default(), None)
    }
}

impl Store {
    /// Gives each account this budget; until then it is the default one.
    pub fn set_budget(&self, budget: Budget) {
        self.0.budgets.set(budget);
    }

    /// Measures the room of the disk, which may allow an account less than its budget. The log tells when that begins and
    /// when it ends.
    pub(super) fn measure_room(&self) {
        let Some(room) = self.0.place.as_ref().and_then(|place| room(place.path())) else { return };
        match self.0.budgets.set_room(room) {
            Some((limits, true)) => tracing::info!(
                room,
                unfinished = limits.unfinished,
                stored = limits.stored,
                "the disk is small: each account gets a share of it in place of its budget (bytes)"
            ),
            Some((_, false)) => tracing::info!("the disk has room for the budget of an account again"),
            None => {}
        }
    }
}

/// The room for the store at `path`, in bytes; `None` if the system does not say.
pub(super) fn room(path: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(super::files::folder_of(path)).ok()?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let log = super::place::with(path, "-wal");
    let own = [path, &log].map(|file| std::fs::metadata(file).map_or(0, |file| file.len()));
    Some(own.into_iter().fold(free, u64::saturating_add))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_disk_is_shared_and_a_large_one_gives_the_budgets() {
        const MIB: u64 = 1 << 20;
        let budget = Budget::default();
        for (room, unfinished, stored) in [
            (None, 1_024 * MIB, 4_096 * MIB),
            (Some(0), 0, 0),
            (Some(120 * MIB), 15 * MIB, 30 * MIB),
            (Some(8_192 * MIB), 1_024 * MIB, 2_048 * MIB),
            (Some(u64::MAX), 1_024 * MIB, 4_096 * MIB),
        ] {
            assert_eq!(Limits::new(&budget, room), Limits { unfinished, stored }, "{room:?}");
        }
        let small = Budget { unfinished: MIB, ..budget };
        assert_eq!(Limits::new(&small, Some(120 * MIB)).unfinished, MIB, "the smaller one holds");
    }

    #[test]
    fn the_room_counts_what_the_store_takes_already() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bridge.db");
        let empty = room(&path).unwrap();
        assert!(empty > 0);
        let file = std::fs::File::create(&path).unwrap();
        // A file with a hole takes nothing from the disk, so the room grows by its length.
        file.set_len(empty).unwrap();
        assert!(room(&path).unwrap() > empty);
        assert_eq!(room(Path::new("/nowhere/bridge.db")), None);
    }
}
