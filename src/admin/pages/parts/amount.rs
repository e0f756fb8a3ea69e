//! Amounts as text: durations, sizes, numbers. A no-break space keeps a number and its unit on one line.

use std::time::Duration;

const SPACE: char = '\u{a0}';

/// A duration with at most three digits that matter: `38 ms`, `1.4 s`, `12.4 s`, `4 min 12 s`, `2 h 24 min`, `6 d 4 h`.
pub(in crate::admin::pages) fn duration(span: Duration) -> String {
    let ms = span.as_millis();
    match ms {
        0..=999 => format!("{ms}{SPACE}ms"),
        1_000..=59_949 => tenths(ms, 1_000, "s"),
        _ => long((ms + 500) / 1_000),
    }
}

/// The age of something, in whole seconds from ten on: `0.4 s`, `12 s`, `4 min 12 s`.
pub(in crate::admin::pages) fn age(span: Duration) -> String {
    let ms = span.as_millis();
    match ms {
        0..=9_949 => tenths(ms, 1_000, "s"),
        _ => long((ms + 500) / 1_000),
    }
}

/// `value / unit` with one digit behind the point, unless that digit is 0.
fn tenths(value: u128, unit: u128, name: &str) -> String {
    let tenths = (value * 10 + unit / 2) / unit;
    match tenths % 10 {
        0 => format!("{}{SPACE}{name}", tenths / 10),
        tenth => format!("{}.{tenth}{SPACE}{name}", tenths / 10),
    }
}

/// The two largest units of a number of seconds. Zeros are left out.
fn long(seconds: u128) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    let (large, small) = match seconds {
        0..=59 => return format!("{seconds}{SPACE}s"),
        60..=3_599 => ((minutes, "min"), (seconds % 60, "s")),
        3_600..=86_399 => ((hours, "h"), (minutes % 60, "min")),
        _ => ((days, "d"), (hours % 24, "h")),
    };
    let one = |(number, unit): (u128, &str)| format!("{number}{SPACE}{unit}");
    if small.0 == 0 { one(large) } else { format!("{}{SPACE}{}", one(large), one(small)) }
}

/// A size: `214 B`, `1.8 GiB`.
pub(in crate::admin::pages) fn bytes(bytes: u64) -> String {
    let large = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
    let unit = large.into_iter().find(|(_, bits)| bytes >> bits > 0);
    unit.map_or_else(|| format!("{bytes}{SPACE}B"), |(name, bits)| tenths(u128::from(bytes), 1 << bits, name))
}

/// A whole number, in groups of three digits: `18,204`.
pub(in crate::admin::pages) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of things: `1 job`, `2 jobs`. The plural must end with `s`.
pub(in crate::admin::pages) fn count(number_of: u64, thing: &str) -> String {
    let plural = if number_of == 1 { "" } else { "s" };
    format!("{}{SPACE}{thing}{plural}", number(number_of))
}

/// A share in percent: `98.5 %`; `None` if the whole is 0.
pub(in crate::admin::pages) fn share(part: u64, whole: u64) -> Option<String> {
    let tenths = (u128::from(part) * 1_000 + u128::from(whole) / 2).checked_div(u128::from(whole))?;
    Some(format!("{}.{}{SPACE}%", tenths / 10, tenths % 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: String) -> String {
        text.replace(SPACE, " ")
    }

    #[test]
    fn durations_have_the_digits_that_matter() {
        for (ms, expected) in [
            (0, "0 ms"),
            (38, "38 ms"),
            (999, "999 ms"),
            (1_000, "1 s"),
            (1_449, "1.4 s"),
            (12_400, "12.4 s"),
            (59_949, "59.9 s"),
            (59_950, "1 min"),
            (61_000, "1 min 1 s"),
            (252_000, "4 min 12 s"),
            (3_600_000, "1 h"),
            (8_640_000, "2 h 24 min"),
            (86_400_000, "1 d"),
            (532_800_000, "6 d 4 h"),
        ] {
            assert_eq!(plain(duration(Duration::from_millis(ms))), expected);
        }
        assert!(plain(duration(Duration::MAX)).contains(" d"));
    }

    #[test]
    fn ages_are_whole_seconds_from_ten_on() {
        for (ms, expected) in [
            (0, "0 s"),
            (400, "0.4 s"),
            (9_949, "9.9 s"),
            (9_950, "10 s"),
            (12_400, "12 s"),
            (60_000, "1 min"),
        ] {
            assert_eq!(plain(age(Duration::from_millis(ms))), expected);
        }
    }

    #[test]
    fn sizes_are_in_binary_units() {
        for (size, expected) in [
            (0, "0 B"),
            (1_023, "1023 B"),
            (1_024, "1 KiB"),
            (6_500_000, "6.2 MiB"),
            (1_975_684_956, "1.8 GiB"),
            (u64::MAX, "16777216 TiB"),
        ] {
            assert_eq!(plain(bytes(size)), expected);
        }
    }

    #[test]
    fn numbers_are_grouped_and_counted() {
        for (value, expected) in [(0, "0"), (999, "999"), (1_000, "1,000"), (5_000_000, "5,000,000")] {
            assert_eq!(number(value), expected);
        }
        assert_eq!(
            (plain(count(1, "job")), plain(count(1_200, "job"))),
            ("1 job".into(), "1,200 jobs".into())
        );
        assert_eq!(share(197, 200).map(plain), Some("98.5 %".into()));
        assert_eq!(share(0, 0), None);
    }
}
