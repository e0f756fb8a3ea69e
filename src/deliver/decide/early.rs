//! How long a 404 may mean that the bot is not waiting yet: a pure function of the job's age.
//!
//! Kommo receives our 200 before its bot starts to wait for the continue. A handler that answers within milliseconds can
//! be faster than the bot, and its continue then meets a 404 that means "not yet" instead of "no longer".

use std::time::Duration;

use model::Timestamp;

/// Up to each age of the job (first), the delay before the next continue (second).
const DELAYS: [(Duration, Duration); 3] = [
    (Duration::from_millis(500), Duration::from_millis(500)),
    (Duration::from_millis(1_500), Duration::from_secs(1)),
    (Duration::from_secs(3), Duration::from_secs(2)),
];

/// When to send the continue again after a 404 at `now`; `None` if the bot has had enough time. A job from the future
/// (the clock was set back) may have any age, and counts as late.
pub(super) fn retry_at(waiting_since: Timestamp, now: Timestamp) -> Option<Timestamp> {
    let age = (waiting_since <= now).then(|| now.since(waiting_since))?;
    DELAYS.into_iter().find(|(until, _)| age < *until).map(|(_, delay)| now + delay)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECEIVED: i64 = 1_000_000;

    fn delay(age: i64) -> Option<u64> {
        let now = Timestamp::from_millis(RECEIVED + age);
        let at = retry_at(Timestamp::from_millis(RECEIVED), now)?;
        Some(u64::try_from(at.since(now).as_millis()).unwrap())
    }

    #[test]
    fn the_delay_grows_with_the_age_and_ends_at_three_seconds() {
        for (age, expected) in [
            (0, Some(500)),
            (499, Some(500)),
            (500, Some(1_000)),
            (1_499, Some(1_000)),
            (1_500, Some(2_000)),
            (2_999, Some(2_000)),
            (3_000, None),
            (86_400_000, None),
            (-1, None),
            (-86_400_000, None),
        ] {
            assert_eq!(delay(age), expected, "at an age of {age} ms");
        }
    }

    #[test]
    fn a_bot_that_never_waits_gets_three_more_calls() {
        let (mut age, mut calls) = (20, 1);
        while let Some(delay) = delay(age) {
            age += i64::try_from(delay).unwrap() + 20;
            calls += 1;
        }
        assert_eq!(calls, 4);
        assert!(age < 4_000);
    }
}
