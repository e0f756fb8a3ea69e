//! The partitions: which day each one holds, its name and its bounds. Nothing here touches the database.

use std::fmt;

use model::{JobId, Timestamp};
use uuid::Uuid;

const DAY_MS: i64 = 24 * HOUR_MS;
const HOUR_MS: i64 = 60 * 60 * 1000;
/// Options of the partitions of jobs. A third of each page stays free for the next versions of its rows. Autovacuum looks
/// at them early, because a day's partition is the hottest table of the store.
const HOT: &str =
    " WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05)";

/// A day of the calendar, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Day(i64);

impl Day {
    /// The day that contains `moment`.
    pub(crate) const fn of(moment: Timestamp) -> Self {
        Self(moment.as_millis().div_euclid(DAY_MS))
    }

    /// The day that is `days` later, or earlier if negative.
    pub(crate) const fn plus(self, days: i64) -> Self {
        Self(self.0 + days)
    }

    /// Its first moment.
    pub(crate) const fn start(self) -> Timestamp {
        Timestamp::from_millis(self.0 * DAY_MS)
    }

    /// The day that the end of a partition's name shows; `None` if it shows none.
    fn parse(shown: &str) -> Option<Self> {
        let number = |range: std::ops::Range<usize>| shown.get(range)?.parse::<i64>().ok();
        let (year, month, day) = (number(0..4)?, number(4..6)?, number(6..8)?);
        let found = Self(days_since_1970(year, month, day));
        // Rejects days such as 20260231, and names with signs or more digits.
        (found.to_string() == shown).then_some(found)
    }
}

/// Shows a day as in the names of partitions: 20261231.
impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = date(self.0);
        write!(f, "{year:04}{month:02}{day:02}")
    }
}

/// A table with a partition for each day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Table {
    /// Jobs, by the day of their receipt.
    Jobs,
    /// Bodies, by the day on which their job was received.
    JobBodies,
    /// Attempts, in the same way.
    OtherAttempts,
    /// Notes, in the same way.
    Notes,
    /// Idempotency keys, by the day on which their token expires.
    IdempotencyKeys,
}

impl Table {
    /// All such tables.
    pub(crate) const ALL: [Self; 5] =
        [Self::Jobs, Self::JobBodies, Self::OtherAttempts, Self::Notes, Self::IdempotencyKeys];

    /// Its name in SQL.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Jobs => "jobs",
            Self::JobBodies => "job_bodies",
            Self::OtherAttempts => "other_attempts",
            Self::Notes => "notes",
            Self::IdempotencyKeys => "idempotency_keys",
        }
    }

    /// The column that decides to which partition a row belongs.
    pub(crate) const fn key(self) -> &'static str {
        match self {
            Self::Jobs | Self::JobBodies => "id",
            Self::OtherAttempts | Self::Notes => "job_id",
            Self::IdempotencyKeys => "bucket",
        }
    }

    /// The name of the partition for rows of no other partition.
    pub(crate) fn default_partition(self) -> String {
        format!("{}_default", self.name())
    }

    /// The storage options of its partitions, as in `CREATE TABLE`.
    pub(crate) const fn options(self) -> &'static str {
        match self {
            Self::Jobs => HOT,
            Self::JobBodies | Self::OtherAttempts | Self::Notes | Self::IdempotencyKeys => "",
        }
    }
}

/// The partition of a table for a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Partition {
    pub(crate) table: Table,
    pub(crate) day: Day,
}

impl Partition {
    /// Its name in SQL.
    pub(crate) fn name(self) -> String {
        format!("{}_{}", self.table.name(), self.day)
    }

    /// Its first key, as a literal in SQL.
    pub(crate) fn from(self) -> String {
        bound(self.table, self.day)
    }

    /// The first key after it, as a literal in SQL.
    pub(crate) fn to(self) -> String {
        bound(self.table, self.day.plus(1))
    }

    /// The partition of `table` with this name; `None` if the name has another form, as that of the default partition.
    pub(crate) fn named(table: Table, name: &str) -> Option<Self> {
        let day = Day::parse(name.strip_prefix(table.name())?.strip_prefix('_')?)?;
        Some(Self { table, day })
    }
}

/// The least id of a job that was received at `moment` or later. Ids of earlier jobs are less.
pub(crate) fn first_id(moment: Timestamp) -> Uuid {
    JobId::first_at(moment).as_uuid()
}

/// The hour in which a token expires: the bucket of its idempotency key.
pub(crate) const fn bucket(expires_at: Timestamp) -> i64 {
    expires_at.as_millis().div_euclid(HOUR_MS)
}

fn bound(table: Table, day: Day) -> String {
    match table {
        Table::IdempotencyKeys => bucket(day.start()).to_string(),
        Table::Jobs | Table::JobBodies | Table::OtherAttempts | Table::Notes => {
            format!("'{}'", first_id(day.start()))
        }
    }
}

/// The date of a day since 1970, in the Gregorian calendar. From "chrono-Compatible Low-Level Date Algorithms" by Howard
/// Hinnant: years begin in March, so that a leap day is the last day of its year.
const fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

/// The reverse of [`date`].
const fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_of_jobs_holds_exactly_the_ids_of_its_day() {
        let day = Day::of(Timestamp::from_millis(1_700_000_000_000));
        let partition = Partition { table: Table::Jobs, day };
        assert_eq!(partition.name(), "jobs_20231114");
        assert_eq!(partition.from(), "'018bcb20-b400-0000-0000-000000000000'");
        assert_eq!(partition.to(), format!("'{}'", first_id(day.plus(1).start())));
        let last = Timestamp::from_millis(day.plus(1).start().as_millis() - 1);
        for (moment, is_inside) in [(day.start(), true), (last, true), (day.plus(1).start(), false)] {
            for random in [0, u128::MAX] {
                let id = JobId::new(moment, random).as_uuid();
                let inside = id >= first_id(day.start()) && id < first_id(day.plus(1).start());
                assert_eq!(inside, is_inside, "{id}");
            }
        }
    }

    #[test]
    fn a_partition_of_keys_holds_the_hours_of_its_day() {
        let day = Day::of(Timestamp::from_millis(1_700_000_000_000));
        let partition = Partition { table: Table::IdempotencyKeys, day };
        assert_eq!(
            (partition.name().as_str(), partition.from(), partition.to()),
            ("idempotency_keys_20231114", "472200".to_owned(), "472224".to_owned())
        );
        let last = Timestamp::from_millis(day.plus(1).start().as_millis() - 1);
        assert_eq!((bucket(day.start()), bucket(last)), (472_200, 472_223));
    }

    #[test]
    fn days_and_names_are_the_same_in_both_directions() {
        for (days, shown) in [
            (0, "19700101"),
            (-1, "19691231"),
            (11_016, "20000229"),
            (19_675, "20231114"),
            (47_541, "21000301"),
        ] {
            assert_eq!(Day(days).to_string(), shown);
        }
        for days in (-800_000..2_900_000).step_by(97) {
            let day = Day(days);
            assert_eq!(days_since_1970(date(days).0, date(days).1, date(days).2), days);
            assert_eq!(Day::of(day.start()), day);
        }
        for days in 0..80_000 {
            let partition = Partition { table: Table::OtherAttempts, day: Day(days) };
            assert_eq!(Partition::named(Table::OtherAttempts, &partition.name()), Some(partition));
        }
    }

    #[test]
    fn other_names_are_not_partitions() {
        for name in [
            "jobs_default",
            "jobs_20230230",
            "jobs_2023111",
            "jobs_202311140",
            "jobs_+0231114",
            "notes_20231114",
            "jobs",
        ] {
            assert_eq!(Partition::named(Table::Jobs, name), None, "{name}");
        }
    }
}
