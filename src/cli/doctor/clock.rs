//! Checks this machine's clock: the bridge refuses a token more than a minute before or after its validity.

use model::Timestamp;

use super::check::Check;

/// How long before and after its validity a token is accepted, in seconds.
const TOKEN_LEEWAY_SECONDS: u64 = 60;

/// Compares our time with the `Date` header that a host sent at the same moment. `Date` has whole seconds.
pub(super) fn check(ours: Timestamp, theirs: Timestamp, host: &str) -> Check {
    let off = ours.since(theirs).max(theirs.since(ours)).as_secs();
    let direction = if ours > theirs { "ahead of" } else { "behind" };
    let found = format!("{off} s {direction} {host}");
    let todo = "set this machine's clock, and synchronize it with a time server";
    match off {
        0..=5 => Check::ok("clock", format!("matches that of {host}")),
        off if off < TOKEN_LEEWAY_SECONDS / 2 => Check::ok("clock", found),
        off if off < TOKEN_LEEWAY_SECONDS => Check::warning("clock", found, todo),
        _ => Check::failed(
            "clock",
            format!("{found}: the bridge refuses tokens as expired or not yet valid"),
            todo,
        ),
    }
}

/// Parses a `Date` header; `None` if it is not a date.
pub(super) fn date(header: &str) -> Option<Timestamp> {
    let moment = jiff::fmt::rfc2822::parse(header.trim()).ok()?;
    Some(Timestamp::from_millis(moment.timestamp().as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::super::check::Outcome;
    use super::*;

    #[test]
    fn a_clock_may_be_wrong_by_less_than_the_leeway_of_tokens() {
        let at = |seconds: i64| Timestamp::from_millis(seconds * 1_000);
        for (ours, theirs, expected) in [
            (1_000, 1_000, Outcome::Ok),
            (1_000, 1_005, Outcome::Ok),
            (1_029, 1_000, Outcome::Ok),
            (1_030, 1_000, Outcome::Warning),
            (1_000, 1_059, Outcome::Warning),
            (1_060, 1_000, Outcome::Failed),
            (1_000, 9_000, Outcome::Failed),
        ] {
            assert_eq!(check(at(ours), at(theirs), "x").outcome(), expected, "{ours} {theirs}");
        }
    }

    #[test]
    fn a_date_header_is_parsed() {
        assert_eq!(date("Tue, 14 Nov 2023 22:13:20 GMT"), Some(Timestamp::from_millis(1_700_000_000_000)));
        assert_eq!(date("yesterday"), None);
    }
}
