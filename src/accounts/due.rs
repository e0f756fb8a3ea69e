//! When to renew tokens: a pure decision about times.

use std::time::Duration;

use model::{Backoff, Jitter, Timestamp};

/// A token that expires within this time is not sent: it might expire on the way.
const MIN_LIFE_LEFT: Duration = Duration::from_secs(30);

/// The delay between attempts to renew. It may be long, because tokens are renewed long before they expire.
const RENEWAL_BACKOFF: Backoff =
    Backoff { base: Duration::from_secs(5), cap: Duration::from_secs(10 * 60), jitter: Jitter::Full };

/// Returns when to renew a token ahead of its expiry: at the start of the last sixth of its life. For a token that is
/// valid for a day, that is four hours before it expires.
pub(super) fn renewed_at(obtained_at: Timestamp, expires_at: Timestamp) -> Timestamp {
    let life = expires_at.since(obtained_at);
    obtained_at + life.mul_f64(5.0 / 6.0)
}

/// Whether the access token may still be sent.
pub(super) fn is_good(obtained_at: Timestamp, expires_at: Timestamp, now: Timestamp) -> bool {
    // Without this cap, a token with a very short life would never be usable.
    let margin = MIN_LIFE_LEFT.min(expires_at.since(obtained_at) / 6);
    now + margin < expires_at
}

/// Returns the delay after `failures` failures in a row. `jitter` is uniform in 0 to 1.
pub(super) fn pause(failures: u32, jitter: f64) -> Duration {
    // At least half of the backoff's ceiling, because each attempt costs the account a call.
    RENEWAL_BACKOFF.ceiling(failures).mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    #[test]
    fn a_token_of_a_day_is_renewed_four_hours_before_it_expires() {
        assert_eq!(renewed_at(at(0), at(86_400)), at(72_000));
        assert_eq!(renewed_at(at(0), at(60)), at(50));
        assert_eq!(renewed_at(at(10), at(5)), at(10), "a token that was never valid is due at once");
    }

    #[test]
    fn a_token_is_valid_until_shortly_before_it_expires() {
        for (life, now, good) in [
            (86_400, 0, true),
            (86_400, 86_369, true),
            (86_400, 86_370, false),
            (60, 49, true),
            (60, 50, false),
            (0, 0, false),
        ] {
            assert_eq!(is_good(at(0), at(life), at(now)), good, "{life} {now}");
        }
    }

    #[test]
    fn the_delay_between_attempts_doubles_up_to_ten_minutes() {
        let seconds = |failures, jitter| pause(failures, jitter).as_secs_f64();
        assert_eq!(
            [seconds(1, 0.0), seconds(1, 1.0), seconds(2, 1.0), seconds(40, 1.0)],
            [2.5, 5.0, 10.0, 600.0]
        );
    }
}
