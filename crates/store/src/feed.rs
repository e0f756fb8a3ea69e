//! The feed of changed jobs, for pages that follow the store. It costs next to nothing while no one follows it.

use tokio::sync::broadcast::{self, error::TryRecvError};

use model::JobId;

/// The number of transactions that a slow follower may lag behind before it misses some.
const MAX_LAG: usize = 256;

/// The jobs that were received or reported on, after each transaction of this process.
#[derive(Debug)]
pub(crate) struct Feed(broadcast::Sender<Vec<JobId>>);

impl Default for Feed {
    fn default() -> Self {
        Self(broadcast::Sender::new(MAX_LAG))
    }
}

impl Feed {
    /// Publishes the jobs of a transaction. Computes them only if someone follows.
    pub(crate) fn publish(&self, jobs: impl FnOnce() -> Vec<JobId>) {
        if self.0.receiver_count() > 0 {
            // The last follower may have left in the meantime.
            let _no_one_follows = self.0.send(jobs());
        }
    }

    /// Follows the feed from now on.
    pub(crate) fn follow(&self) -> ChangedJobs {
        ChangedJobs(self.0.subscribe())
    }
}

/// Follows the jobs that this process receives and works on.
#[derive(Debug)]
pub struct ChangedJobs(broadcast::Receiver<Vec<JobId>>);

impl ChangedJobs {
    /// Returns the jobs of the transactions since the last call, and whether some transactions were missed. It does not wait:
    /// to wake a follower for each transaction would cost more than the rest of its work.
    pub fn take(&mut self) -> (Vec<JobId>, bool) {
        let (mut changed, mut has_missed) = (Vec::new(), false);
        loop {
            match self.0.try_recv() {
                Ok(jobs) => changed.extend(jobs),
                Err(TryRecvError::Lagged(_)) => has_missed = true,
                Err(TryRecvError::Empty | TryRecvError::Closed) => return (changed, has_missed),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Timestamp;

    #[test]
    fn only_followers_cost_something_and_a_slow_one_learns_that_it_missed_some() {
        let feed = Feed::default();
        feed.publish(|| unreachable!("no one follows"));
        let job = JobId::new(Timestamp::from_millis(1), 1);
        let mut followed = feed.follow();
        feed.publish(|| vec![job]);
        assert_eq!(followed.take(), (vec![job], false));
        assert_eq!(followed.take(), (Vec::new(), false));
        for _ in 0..=MAX_LAG {
            feed.publish(|| vec![job]);
        }
        assert_eq!(followed.take(), (vec![job; MAX_LAG], true));
        drop(followed);
        feed.publish(|| unreachable!("no one follows any longer"));
    }
}
