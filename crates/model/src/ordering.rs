//! In which order the jobs of a handler run: [`JobOrdering`], and when the messages of one conversation run together.

use std::time::Duration;

use super::Timestamp;

/// How many times `coalesce` the first message of a turn waits at most, while further ones keep coming.
pub const MAX_COALESCE_FACTOR: u32 = 3;

/// In which order the jobs of a handler run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum JobOrdering {
    /// In any order, side by side.
    #[default]
    None,
    /// The jobs of one conversation run one at a time, in order of receipt. A conversation is an entity of an account. A
    /// request without an entity belongs to none, and its job is not ordered.
    Conversation {
        /// How long a job waits for further messages of its conversation, to run as one job with them. `None` runs each
        /// message alone.
        coalesce: Option<Duration>,
    },
}

impl JobOrdering {
    /// How long a job waits for further messages; `None` if it waits for none.
    pub const fn coalesce(self) -> Option<Duration> {
        match self {
            Self::None | Self::Conversation { coalesce: None } => None,
            Self::Conversation { coalesce } => coalesce,
        }
    }

    /// Whether jobs of one conversation run one at a time.
    pub const fn is_by_conversation(self) -> bool {
        matches!(self, Self::Conversation { .. })
    }
}

/// A message that waits for further ones of its conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gathering {
    /// When it arrived, by the steady clock.
    pub since: Timestamp,
    /// How long it waits for the next message.
    pub coalesce: Duration,
}

/// When the messages from `first` to `last` run as one job: `coalesce` after the last one, but at the latest
/// [`MAX_COALESCE_FACTOR`] times that after the first one.
pub fn gathered_at(first: Gathering, last: Gathering) -> Timestamp {
    (last.since + last.coalesce).min(first.since + first.coalesce * MAX_COALESCE_FACTOR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_run_after_a_pause_but_not_later_than_three_times_the_pause() {
        let at = |ms| Gathering { since: Timestamp::from_millis(ms), coalesce: Duration::from_secs(2) };
        for (first, last, expected) in [
            (0, 0, 2_000),
            (0, 1_500, 3_500),
            (0, 3_999, 5_999),
            (0, 4_000, 6_000),
            (0, 5_999, 6_000),
            (0, 60_000, 6_000),
        ] {
            assert_eq!(gathered_at(at(first), at(last)), Timestamp::from_millis(expected), "{last}");
        }
    }
}
