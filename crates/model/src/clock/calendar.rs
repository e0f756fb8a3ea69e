//! Detects jumps of the calendar: an operator or a time server sets the machine's clock, or the machine sleeps.

use std::time::Duration;

use super::Clock;

/// The smallest difference that counts as a jump. A time server causes smaller ones when it slows the clock down or speeds
/// it up.
pub const MIN_JUMP: Duration = Duration::from_secs(1);

/// A jump of the calendar, compared with the time that passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Jump {
    /// The calendar was set forward by this much.
    Forward(Duration),
    /// The calendar was set back by this much.
    Back(Duration),
}

/// Compares the calendar with the steady clock.
#[derive(Debug)]
pub struct CalendarWatch {
    clock: Clock,
    /// How far the calendar was ahead of the steady clock at the last poll, in milliseconds.
    ahead: i64,
}

impl CalendarWatch {
    /// Starts the comparison with the current calendar.
    pub fn new(clock: Clock) -> Self {
        let (ahead, _) = ahead(&clock);
        Self { clock, ahead }
    }

    /// The jump since the last poll, if there was one. Each jump is returned once.
    pub fn poll(&mut self) -> Option<Jump> {
        let (least, most) = ahead(&self.clock);
        let jump = jump(self.ahead, least, most);
        // Follow a slow drift, so that it does not add up to a jump.
        self.ahead = self.ahead.clamp(least, most);
        jump
    }
}

/// How far the calendar is ahead of the steady clock, in milliseconds, as a minimum and a maximum. They differ if the
/// thread was suspended between two readings.
fn ahead(clock: &Clock) -> (i64, i64) {
    let before = clock.steady().as_millis();
    let calendar = clock.now().as_millis();
    let after = clock.steady().as_millis();
    (calendar.saturating_sub(after), calendar.saturating_sub(before))
}

/// The jump between a calendar that was ahead by `before` and one that is ahead by `least` to `most`.
fn jump(before: i64, least: i64, most: i64) -> Option<Jump> {
    let forward = Duration::from_millis(u64::try_from(least.saturating_sub(before)).unwrap_or(0));
    let back = Duration::from_millis(u64::try_from(before.saturating_sub(most)).unwrap_or(0));
    if forward >= MIN_JUMP {
        Some(Jump::Forward(forward))
    } else if back >= MIN_JUMP {
        Some(Jump::Back(back))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Timestamp;
    use crate::clock::ManualClock;

    #[test]
    fn a_jump_is_a_second_or_more_in_either_direction() {
        let seconds = Duration::from_secs;
        for (before, least, most, expected) in [
            (0, 0, 0, None),
            (0, 999, 999, None),
            (0, -999, -999, None),
            (0, 1_000, 1_000, Some(Jump::Forward(seconds(1)))),
            (0, -1_000, -1_000, Some(Jump::Back(seconds(1)))),
            (5_000, 7_205_000, 7_205_000, Some(Jump::Forward(seconds(7_200)))),
            (7_205_000, 5_000, 5_000, Some(Jump::Back(seconds(7_200)))),
            // The thread was suspended for 5 s between the two clocks.
            (0, -5_000, 0, None),
            (0, -3_000, 2_000, None),
            (0, -12_000, -7_000, Some(Jump::Back(seconds(7)))),
        ] {
            assert_eq!(jump(before, least, most), expected, "{before} {least} {most}");
        }
    }

    #[test]
    fn each_jump_is_reported_once_and_drift_never() {
        let manual = ManualClock::new(Timestamp::from_millis(9_000_000));
        let mut watch = CalendarWatch::new(manual.clock());
        let hours = Duration::from_secs(7_200);
        manual.set(manual.now() + hours);
        assert_eq!((watch.poll(), watch.poll()), (Some(Jump::Forward(hours)), None));
        manual.set(manual.now() - hours);
        assert_eq!((watch.poll(), watch.poll()), (Some(Jump::Back(hours)), None));
        for _ in 0..100 {
            manual.advance(Duration::from_secs(1));
            manual.set(manual.now() + Duration::from_millis(80));
            assert_eq!(watch.poll(), None);
        }
    }
}
