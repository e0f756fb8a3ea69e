//! Moments: the clock time in UTC, with the whole date for those who point at it.

use std::time::Duration;

use maud::{Markup, html};

use model::Timestamp;

use super::amount;

/// The parts of a moment in UTC.
fn civil(moment: Timestamp) -> Option<jiff::civil::DateTime> {
    let moment = jiff::Timestamp::from_millisecond(moment.as_millis()).ok()?;
    Some(moment.to_zoned(jiff::tz::TimeZone::UTC).datetime())
}

fn written(moment: Timestamp, format: &str) -> String {
    civil(moment).map_or_else(|| moment.to_string(), |civil| civil.strftime(format).to_string())
}

/// The time of day: `14:32:08`.
pub(in crate::admin::pages) fn clock(moment: Timestamp) -> String {
    written(moment, "%H:%M:%S")
}

/// The time of day without seconds, for charts: `14:32`.
pub(in crate::admin::pages) fn minute(moment: Timestamp) -> String {
    written(moment, "%H:%M")
}

/// Date and time: `2026-11-27 14:32:08 UTC`.
pub(in crate::admin::pages) fn full(moment: Timestamp) -> String {
    written(moment, "%Y-%m-%d %H:%M:%S UTC")
}

/// The time of day on the day of `now`, otherwise with the date: `27 Nov, 14:32:08`.
fn near(moment: Timestamp, now: Timestamp) -> String {
    let same_day = civil(moment).map(|civil| civil.date()) == civil(now).map(|civil| civil.date());
    if same_day { clock(moment) } else { written(moment, "%-d %b, %H:%M:%S") }
}

/// A moment, as short as it can be without being ambiguous.
pub(in crate::admin::pages) fn moment(moment: Timestamp, now: Timestamp) -> Markup {
    html! { time datetime=(moment) title=(full(moment)) { (near(moment, now)) } }
}

/// How long ago something happened: `4 min 12 s ago`.
pub(in crate::admin::pages) fn ago(moment: Timestamp, now: Timestamp) -> Markup {
    html! { time datetime=(moment) title=(full(moment)) { (amount::age(now.since(moment))) " ago" } }
}

/// How long it takes until something happens: `42 s`. The script counts it down.
pub(in crate::admin::pages) fn countdown(until: Timestamp, now: Timestamp) -> Markup {
    let left = whole_seconds(until.since(now));
    html! { time datetime=(until) title={ "at " (full(until)) } data-until=(until.as_millis()) { (amount::age(left)) } }
}

/// Rounded up, so that nothing counts down to 0 before it happens.
fn whole_seconds(span: Duration) -> Duration {
    Duration::from_secs(span.as_secs() + u64::from(span.subsec_nanos() > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_795_789_928_123);

    #[test]
    fn a_moment_names_the_day_unless_it_is_today() {
        let text = |ms_ago| near(Timestamp::from_millis(NOW.as_millis() - ms_ago), NOW);
        assert_eq!(full(NOW), "2026-11-27 14:32:08 UTC");
        assert_eq!(text(60_000), "14:31:08");
        assert_eq!(text(86_400_000), "26 Nov, 14:32:08");
        assert_eq!(near(Timestamp::from_millis(i64::MAX), NOW), format!("{} ms", i64::MAX));
    }

    #[test]
    fn a_countdown_ends_when_the_thing_happens() {
        let html = countdown(NOW + Duration::from_millis(41_001), NOW).into_string();
        assert!(html.contains("42\u{a0}s"), "{html}");
        assert!(html.contains("at 2026-11-27 14:32:49 UTC"), "{html}");
    }
}
