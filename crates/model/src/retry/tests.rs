//! Delays and last attempts, as tables and as properties.

use proptest::prelude::*;

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_000_000);

#[test]
fn ceilings_double_up_to_the_cap() {
    let ceilings: Vec<u128> = (1..=9).map(|n| Backoff::STANDARD.ceiling(n).as_millis()).collect();
    assert_eq!(ceilings, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
    assert_eq!(Backoff::STANDARD.ceiling(u32::MAX), Duration::from_secs(60));
    assert_eq!(Backoff::STANDARD.ceiling(0), Duration::from_millis(500));
}

#[test]
fn full_jitter_scales_the_whole_ceiling() {
    assert_eq!(Backoff::STANDARD.delay(3, 0.0), Duration::ZERO);
    assert_eq!(Backoff::STANDARD.delay(3, 0.5), Duration::from_secs(1));
    assert_eq!(Backoff::STANDARD.delay(3, 1.0), Duration::from_secs(2));
    assert_eq!(Backoff::STANDARD.delay(3, 7.0), Duration::from_secs(2));
}

#[test]
fn handler_delays_are_at_least_half_of_each_ceiling() {
    let backoff = HandlerPolicy::default().backoff();
    let delays = |jitter: f64| (1..=6).map(|n| backoff.delay(n, jitter).as_millis()).collect::<Vec<_>>();
    assert_eq!(delays(0.0), [250, 500, 1_000, 2_000, 4_000, 4_166]);
    assert_eq!(delays(0.5), [375, 750, 1_500, 3_000, 6_000, 6_250]);
    assert_eq!(delays(1.0), [500, 1_000, 2_000, 4_000, 8_000, 8_333]);
}

#[test]
fn the_cap_of_a_handler_grows_with_its_time_to_answer() {
    for (answer_within, cap) in [(1, 8_000), (48, 8_000), (60, 10_000), (600, 100_000)] {
        let policy =
            HandlerPolicy { answer_within: Duration::from_secs(answer_within), ..HandlerPolicy::default() };
        assert_eq!(policy.backoff().cap.as_millis(), cap, "{answer_within} s");
    }
}

#[test]
fn attempt_that_would_be_too_late_starts_at_the_last_moment() {
    // The delay, how much time is left to answer, and when the attempt begins, in milliseconds.
    for (delay, left, begins) in [
        (0, 50_000, Some(0)),
        (500, 50_000, Some(500)),
        (48_999, 50_000, Some(48_999)),
        (49_000, 50_000, Some(49_000)),
        (49_001, 50_000, Some(49_000)),
        (3_600_000, 50_000, Some(49_000)),
        (500, 1_001, Some(1)),
        (500, 1_000, None),
        (0, 1_000, None),
        (0, 0, None),
    ] {
        let millis = Duration::from_millis;
        let begins = begins.map(|begins| NOW + millis(begins));
        assert_eq!(next_attempt(NOW, millis(delay), NOW + millis(left)), begins, "{delay} of {left}");
    }
    assert_eq!(next_attempt(NOW, Duration::ZERO, NOW - Duration::from_secs(9)), None, "long over");
    assert_eq!(
        next_attempt(NOW, Duration::MAX, NOW + Duration::from_secs(9)),
        Some(NOW + Duration::from_secs(8))
    );
}

/// The starts of a job's attempts, counted from receipt, if each takes `takes` and fails.
fn attempts(policy: &HandlerPolicy, jitter: &[f64], takes: Duration) -> Vec<Duration> {
    let answer_by = NOW + policy.answer_within;
    let (mut begins, mut all) = (NOW, Vec::new());
    loop {
        all.push(begins.since(NOW));
        let failures = u32::try_from(all.len()).unwrap();
        let now = begins + takes.min(policy.attempt_timeout);
        let delay = policy.backoff().delay(failures, jitter[all.len() % jitter.len()]);
        match next_attempt(now, delay, answer_by) {
            Some(next) if failures < policy.max_attempts => begins = next,
            _ => return all,
        }
    }
}

proptest! {
    #[test]
    fn attempts_keep_their_number_and_their_deadline(
        jitter in prop::collection::vec(0.0..=1.0, 1..12),
        max_attempts in 1_u32..40,
        answer_within in 1_u64..200_000,
        takes in 0_u64..60_000,
    ) {
        let answer_within = Duration::from_millis(answer_within);
        let policy = HandlerPolicy { max_attempts, answer_within, ..HandlerPolicy::default() };
        let all = attempts(&policy, &jitter, Duration::from_millis(takes));
        prop_assert!(all.len() <= max_attempts as usize);
        prop_assert!(all.is_sorted());
        for begins in &all[1..] {
            prop_assert!(*begins + LAST_ATTEMPT_MARGIN <= answer_within, "{begins:?}");
        }
    }

    #[test]
    fn with_the_defaults_an_attempt_follows_an_outage_of_up_to_24_s(
        jitter in prop::collection::vec(0.0..=1.0, 1..12),
        outage in 0_u64..=24_000,
        takes in 0_u64..30_000,
    ) {
        let (outage, takes) = (Duration::from_millis(outage), Duration::from_millis(takes));
        let all = attempts(&HandlerPolicy::default(), &jitter, takes);
        prop_assert!(all.iter().any(|begins| *begins >= outage), "{outage:?}: {all:?}");
    }
}
