//! A range of numbers: `429`, `>2`, `>=2`, `<5`, `<=5`, `2..5`, and `5xx` for a class of HTTP statuses.

use std::fmt;
use std::str::FromStr;

/// The numbers from `min` to `max`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NumberRange {
    /// The smallest number.
    pub min: u32,
    /// The largest number.
    pub max: u32,
}

impl NumberRange {
    /// Only this number.
    pub const fn only(number: u32) -> Self {
        Self { min: number, max: number }
    }
}

/// The text is not a range of numbers, or no number is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotARange;

impl FromStr for NumberRange {
    type Err = NotARange;

    fn from_str(text: &str) -> Result<Self, NotARange> {
        let range = if let Some(least) = text.strip_prefix(">=") {
            Self { min: number(least)?, max: u32::MAX }
        } else if let Some(below) = text.strip_prefix('>') {
            Self { min: number(below)?.checked_add(1).ok_or(NotARange)?, max: u32::MAX }
        } else if let Some(most) = text.strip_prefix("<=") {
            Self { min: 0, max: number(most)? }
        } else if let Some(above) = text.strip_prefix('<') {
            Self { min: 0, max: number(above)?.checked_sub(1).ok_or(NotARange)? }
        } else if let Some((first, last)) = text.split_once("..") {
            Self { min: number(first)?, max: number(last)? }
        } else if let Some(class) = text.strip_suffix("xx") {
            let class = number(class).ok().filter(|class| (1..=5).contains(class)).ok_or(NotARange)?;
            Self { min: class * 100, max: class * 100 + 99 }
        } else {
            Self::only(number(text)?)
        };
        if range.min <= range.max { Ok(range) } else { Err(NotARange) }
    }
}

/// Digits alone: `u32::from_str` would also accept a plus.
fn number(text: &str) -> Result<u32, NotARange> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_plain).ok_or(NotARange)
}

impl fmt::Display for NumberRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.min, self.max) {
            (min, u32::MAX) => write!(f, ">={min}"),
            (min, max) if min == max => write!(f, "{min}"),
            (min, max) => write!(f, "{min}..{max}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_parsed_and_written() {
        for (text, min, max) in [
            ("429", 429, 429),
            (">2", 3, u32::MAX),
            (">=2", 2, u32::MAX),
            ("<5", 0, 4),
            ("<=5", 0, 5),
            ("2..5", 2, 5),
            ("5xx", 500, 599),
            ("0", 0, 0),
        ] {
            let range = NumberRange { min, max };
            assert_eq!(text.parse(), Ok(range), "{text}");
            assert_eq!(range.to_string().parse(), Ok(range), "{text}");
        }
        for text in
            ["", "x", "<0", "5..2", "+1", "-1", ">", "..", "1..", "6xx", "0xx", "xx", "1.5", "99999999999"]
        {
            assert_eq!(text.parse::<NumberRange>(), Err(NotARange), "{text}");
        }
    }
}
