//! The first digits of a job's id, which people type instead of the whole id.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use super::JobId;

/// The number of hex digits in an id.
const ALL_DIGITS: usize = 32;

/// A job's id, or its first hex digits. Parsing ignores hyphens and case.
///
/// Ids are ordered, so the ids with the same prefix form a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobPrefix {
    low: u128,
    digits: usize,
}

impl JobPrefix {
    /// The minimum number of hex digits.
    pub const MIN_DIGITS: usize = 4;

    /// The first and the last id that have this prefix.
    pub const fn range(self) -> (JobId, JobId) {
        let free = u128::MAX.checked_shr(4 * truncated(self.digits));
        let high = match free {
            Some(free) => self.low | free,
            None => self.low,
        };
        (JobId::from_uuid(Uuid::from_u128(self.low)), JobId::from_uuid(Uuid::from_u128(high)))
    }

    /// The id, if the prefix is a whole id.
    pub fn whole(self) -> Option<JobId> {
        (self.digits == ALL_DIGITS).then(|| self.range().0)
    }
}

/// Converts a number of digits, which is at most [`ALL_DIGITS`].
#[allow(clippy::cast_possible_truncation, reason = "at most 32")]
const fn truncated(digits: usize) -> u32 {
    digits as u32
}

impl From<JobId> for JobPrefix {
    fn from(id: JobId) -> Self {
        Self { low: id.as_uuid().as_u128(), digits: ALL_DIGITS }
    }
}

impl FromStr for JobPrefix {
    type Err = JobPrefixError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // `JobId` also parses the forms with braces and as a URN.
        if let Ok(id) = text.parse::<JobId>() {
            return Ok(id.into());
        }
        let (mut low, mut digits) = (0, 0);
        for letter in text.chars().filter(|letter| *letter != '-') {
            let digit = letter.to_digit(16).filter(|_| digits < ALL_DIGITS).ok_or(JobPrefixError)?;
            low = low << 4 | u128::from(digit);
            digits += 1;
        }
        if digits < Self::MIN_DIGITS {
            return Err(JobPrefixError);
        }
        Ok(Self { low: low << (4 * (ALL_DIGITS - digits)), digits })
    }
}

/// Writes the digits with the hyphens of an id.
impl fmt::Display for JobPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.range().0.short(self.digits))
    }
}

impl JobId {
    /// The fewest digits of an id that are shown: its time of receipt, so only jobs received in the same millisecond need
    /// more. A filter recognizes a text with this many digits as an id.
    pub const SHORT_DIGITS: usize = 12;

    /// The first [`SHORT_DIGITS`](Self::SHORT_DIGITS), with the hyphen between them.
    pub fn shortened(self) -> String {
        self.short(Self::SHORT_DIGITS)
    }

    /// The first `digits` hex digits, with the hyphens between them.
    pub fn short(self, digits: usize) -> String {
        let mut left = digits;
        let whole = self.to_string();
        let kept = whole.chars().take_while(|letter| {
            let keep = left > 0;
            left -= usize::from(keep && *letter != '-');
            keep
        });
        kept.collect()
    }

    /// The number of leading hex digits that distinguish this id from `other`, at most 32.
    pub fn digits_from(self, other: Self) -> usize {
        let same = (self.as_uuid().as_u128() ^ other.as_uuid().as_u128()).leading_zeros() / 4;
        (same as usize + 1).min(ALL_DIGITS)
    }
}

/// The text is not a [`JobPrefix`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid job id (expected 32 hex digits, or a unique prefix of at least 4)")]
pub struct JobPrefixError;

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "018bcfe5-687b-7000-8000-0000000000ab";

    #[test]
    fn prefix_is_a_range_of_ids() {
        for (text, shown, low, high) in [
            ("018b", "018b", "018b0000-0000-0000-0000-000000000000", "018bffff-ffff-ffff-ffff-ffffffffffff"),
            (
                "018BCFE568",
                "018bcfe5-68",
                "018bcfe5-6800-0000-0000-000000000000",
                "018bcfe5-68ff-ffff-ffff-ffffffffffff",
            ),
            (
                "018bcfe5-",
                "018bcfe5",
                "018bcfe5-0000-0000-0000-000000000000",
                "018bcfe5-ffff-ffff-ffff-ffffffffffff",
            ),
            (
                "018bcfe5-687b-7000-8000-0000000000a",
                "018bcfe5-687b-7000-8000-0000000000a",
                "018bcfe5-687b-7000-8000-0000000000a0",
                "018bcfe5-687b-7000-8000-0000000000af",
            ),
            (ID, ID, ID, ID),
            ("018bcfe5687b700080000000000000ab", ID, ID, ID),
        ] {
            let prefix: JobPrefix = text.parse().unwrap();
            assert_eq!(prefix.to_string(), shown, "{text}");
            assert_eq!(prefix.range(), (low.parse().unwrap(), high.parse().unwrap()), "{text}");
            assert_eq!(prefix.whole().is_some(), low == high, "{text}");
        }
        let too_long = format!("{ID}0");
        for text in ["", "018", "0-1-8", "018g", "lead 7", "----", &too_long] {
            assert_eq!(text.parse::<JobPrefix>(), Err(JobPrefixError), "{text}");
        }
    }

    #[test]
    fn shortened_id_differs_from_the_other_id() {
        let id: JobId = ID.parse().unwrap();
        for (other, digits, short) in [
            ("118bcfe5-687b-7000-8000-0000000000ab", 1, "0"),
            ("018bcfe5-687c-7000-8000-0000000000ab", 12, "018bcfe5-687b"),
            ("018bcfe5-687b-7100-8000-0000000000ab", 14, "018bcfe5-687b-70"),
            ("018bcfe5-687b-7000-8000-0000000000aa", 32, ID),
            (ID, 32, ID),
        ] {
            assert_eq!(id.digits_from(other.parse().unwrap()), digits, "{other}");
            assert_eq!(id.short(digits), short);
        }
    }
}
