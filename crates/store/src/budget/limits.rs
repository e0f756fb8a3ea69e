//! How much of the disk one account may take.
//!
//! The budgets assume a disk that has room for them. On a smaller disk each account gets a share of the room: the free
//! space and the space that the store uses already. So the share stays the same while the store grows, and an account that
//! never stops sending is refused while the others still find room.

use model::Budget;

/// An account's unfinished jobs may take this part of the room.
const UNFINISHED_PART: u64 = 8;
/// The bodies of all its jobs may take this part.
const STORED_PART: u64 = 4;
/// The bodies of all accounts together may take this part: the log and the rest of the rows need room too.
const TOTAL_PART: u64 = 2;

/// How many bytes an account may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Of unfinished jobs.
    pub(crate) unfinished: u64,
    /// Of all jobs.
    pub(crate) stored: u64,
    /// Of all jobs of all accounts together.
    pub(crate) total: u64,
}

impl Limits {
    /// The budget, or the share of the room where that is less.
    pub(crate) fn new(budget: &Budget, room: Option<u64>) -> Self {
        let part = |part| room.map_or(u64::MAX, |room| room / part);
        Self {
            unfinished: budget.unfinished.min(part(UNFINISHED_PART)),
            stored: budget.stored.min(part(STORED_PART)),
            total: part(TOTAL_PART),
        }
    }

    /// The bytes that each of `accounts` may keep if all of them have `stored` bytes together: an equal share if that is
    /// more than `total`.
    pub(crate) fn share(&self, stored: u64, accounts: u64) -> u64 {
        if stored > self.total { self.stored.min(self.total / accounts.max(1)) } else { self.stored }
    }
}

/// Down to here an account's bodies are dropped, so that it is not looked at again for each further job.
pub(crate) const fn low_water(share: u64) -> u64 {
    share / 16 * 15
}

impl Default for Limits {
    fn default() -> Self {
        Self::new(&Budget::default(), None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_disk_is_shared_and_a_large_one_gives_the_budgets() {
        const MIB: u64 = 1 << 20;
        let budget = Budget::default();
        for (room, unfinished, stored, total) in [
            (None, 1_024 * MIB, 4_096 * MIB, u64::MAX),
            (Some(0), 0, 0, 0),
            (Some(120 * MIB), 15 * MIB, 30 * MIB, 60 * MIB),
            (Some(8_192 * MIB), 1_024 * MIB, 2_048 * MIB, 4_096 * MIB),
            (Some(u64::MAX), 1_024 * MIB, 4_096 * MIB, u64::MAX / 2),
        ] {
            assert_eq!(Limits::new(&budget, room), Limits { unfinished, stored, total }, "{room:?}");
        }
        let small = Budget { unfinished: MIB, ..budget };
        assert_eq!(Limits::new(&small, Some(120 * MIB)).unfinished, MIB, "the smaller one holds");
    }

    #[test]
    fn accounts_that_have_too_much_together_get_equal_shares() {
        let limits = Limits { unfinished: 0, stored: 30, total: 60 };
        for (stored, accounts, share) in [(0, 0, 30), (60, 9, 30), (61, 1, 30), (61, 3, 20), (61, 0, 30)] {
            assert_eq!(limits.share(stored, accounts), share, "{stored} {accounts}");
        }
    }
}
