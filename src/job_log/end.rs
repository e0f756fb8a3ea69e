//! How a job ended, and the sums of the jobs whose lines are suppressed.

/// A log line that the limiter can hold back.
pub(super) trait Line {
    /// How its job ended.
    fn end(&self) -> End;
}

/// How a job ended, for the sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The bot got the handler's answer.
    Delivered,
    /// The bot got the fallback.
    Fallback,
    /// No bot waited.
    Gone,
    /// The bridge gave up.
    Dead,
    /// An operator cancelled it.
    Cancelled,
}

impl End {
    /// Whether the bot did not get the handler's answer. Lines of failures take precedence.
    pub(super) fn is_failure(self) -> bool {
        self != Self::Delivered
    }
}

/// How many jobs ended in each way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct EndCounts([u64; 5]);

impl EndCounts {
    pub(super) fn add(&mut self, end: End) {
        self.0[end as usize] += 1;
    }

    #[cfg(test)]
    pub(super) fn of(self, end: End) -> u64 {
        self.0[end as usize]
    }

    pub(super) fn total(self) -> u64 {
        self.0.iter().sum()
    }

    pub(super) fn is_empty(self) -> bool {
        self.total() == 0
    }

    /// Logs the sum.
    pub(super) fn log(self) {
        let [delivered, fallback, gone, dead, cancelled] = self.0;
        tracing::info!(
            suppressed = self.total(),
            delivered,
            fallback,
            gone,
            dead,
            cancelled,
            "jobs finished: further lines were suppressed"
        );
    }
}
