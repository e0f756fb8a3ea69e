//! The feed of changed jobs, for pages that follow the store. It costs next to nothing while no one follows it.

use tokio::sync::broadcast::{self, error::RecvError};

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
    /// Returns the jobs of the next transaction; `None` if some transactions were missed. Never completes once the store is
    /// closed.
    pub async fn next(&mut self) -> Option<Vec<JobId>> {
        match self.0.recv().await {
            Ok(jobs) => Some(jobs),
            Err(RecvError::Lagged(_)) => None,
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Timestamp;

    #[tokio::test]
    async fn only_followers_cost_something_and_a_slow_one_learns_that_it_missed_some() {
        let feed = Feed::default();
        feed.publish(|| unreachable!("no one follows"));
        let job = JobId::new(Timestamp::from_millis(1), 1);
        let mut followed = feed.follow();
        feed.publish(|| vec![job]);
        assert_eq!(followed.next().await, Some(vec![job]));
        for _ in 0..=MAX_LAG {
            feed.publish(|| vec![job]);
        }
        assert_eq!(followed.next().await, None);
        assert_eq!(followed.next().await, Some(vec![job]));
        drop(followed);
        feed.publish(|| unreachable!("no one follows any longer"));
    }
}
