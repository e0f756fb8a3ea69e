//! How much of the disk one account may take.
//!
//! The budgets assume a disk that has room for them. On a smaller disk each account gets a share of the room, which is
//! the free space plus the space that the store already takes. So the share stays the same while the store grows, and an
//! account that never stops sending is refused while there is still room for the others.

use model::Budget;

/// The divisor of the room for an account's unfinished jobs.
const UNFINISHED_PART: u64 = 8;
/// The divisor of the room for the bodies of all jobs of an account.
const STORED_PART: u64 = 4;
/// The divisor of the room for the bodies of all accounts together: the log and the rest of the rows need room too.
const TOTAL_PART: u64 = 2;

/// How many bytes an account may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// In bodies of its unfinished jobs.
    pub(crate) unfinished: u64,
    /// In bodies of all its jobs.
    pub(crate) stored: u64,
    /// In bodies of all jobs of all accounts together.
    pub(crate) total: u64,
}

impl Limits {
    /// Returns the budget, or the share of the room if that is smaller.
    pub(crate) fn new(budget: &Budget, room: Option<u64>) -> Self {
        let part = |part| room.map_or(u64::MAX, |room| room / part);
        Self {
            unfinished: budget.unfinished.min(part(UNFINISHED_PART)),
            stored: budget.stored.min(part(STORED_PART)),
            total: part(TOTAL_PART),
        }
    }

    /// Returns the bytes that each of `accounts` may keep if all of them together have `stored` bytes. If `stored`
    /// exceeds `total`, this is an equal share of `total`.
    pub(crate) fn share(&self, stored: u64, accounts: u64) -> u64 {
        if stored > self.total { self.stored.min(self.total / accounts.max(1)) } else { self.stored }
    }
}

/// Returns the bytes to which an account above `share` is reduced. They are somewhat fewer than `share`, so that the
/// next job does not need another pass.
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
    fn accounts_get_a_share_of_a_small_disk_and_their_budget_on_a_large_one() {
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
        assert_eq!(Limits::new(&small, Some(120 * MIB)).unfinished, MIB, "the smaller of the two applies");
    }

    #[test]
    fn accounts_above_the_total_get_equal_shares() {
        let limits = Limits { unfinished: 0, stored: 30, total: 60 };
        for (stored, accounts, share) in [(0, 0, 30), (60, 9, 30), (61, 1, 30), (61, 3, 20), (61, 0, 30)] {
            assert_eq!(limits.share(stored, accounts), share, "{stored} {accounts}");
        }
    }
}
