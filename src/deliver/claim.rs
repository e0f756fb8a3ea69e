//! One round of claims: which lanes may send now, and how many jobs are claimed for each.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use crate::stage::LEASE_MARGIN;
use kommo::pace::{Hold, Permit};
use model::DeliveringJob;
use store::{LongestDue, StoreError};

use super::Sender;
use super::turns::Turns;

/// Calls of one attempt, or turns that are waited for: each takes at most the timeout of a request.
const CALLS: u32 = 4;
/// Bearers of one attempt that are waited for: one before the call, and one after its 401.
const BEARERS: u32 = 2;
/// The most deliveries of one lane in one claim, so that the next lane gets its turn.
const CLAIM: usize = 64;

/// Nothing can go to any account, until then by the elapsed time; `None`: not before another event.
pub(super) struct All {
    pub(super) until: Option<Duration>,
}

impl Sender {
    /// Goes through the line once: claims for the lanes that may go, parks those that may not, and stops where none may.
    pub(super) fn round(&self) -> (Vec<impl Future<Output = Result<bool, StoreError>>>, Option<All>) {
        let (lanes, clock) = (self.0.parts.store.delivery(), &self.0.parts.clock);
        let mut claims = Vec::new();
        lanes.begin(clock.steady(), clock.elapsed());
        while let Some(lane) = lanes.take() {
            let moved = self.moved(&lane);
            if let Some(account) = &moved {
                lanes.ask_as(&lane, account);
            }
            match self.enter(&lane, moved.as_ref(), CLAIM) {
                Ok(permits) => claims.push(self.claim(lane, permits)),
                Err(Hold::Account(until)) => lanes.park(&lane, until, clock.elapsed()),
                Err(Hold::Share) => lanes.park_for_place(&lane, clock.elapsed()),
                Err(Hold::All(until)) => {
                    lanes.put_back(&lane);
                    return (claims, Some(All { until }));
                }
            }
        }
        (claims, None)
    }

    /// Claims as many jobs as there are permits, and sends them off. Returns whether there were as many.
    async fn claim(&self, origin: Arc<str>, permits: Vec<Permit>) -> Result<bool, StoreError> {
        let limit = permits.len();
        let longest_due = if permits.iter().any(Permit::is_probe) {
            // Jobs that were refused come last then: one that is refused for its own sake would prolong the pause.
            LongestDue::default()
        } else {
            self.turns(&origin, |turns| turns.longest_due(limit))
        };
        let store = &self.0.parts.store;
        let jobs = store.claim_deliveries(origin.clone(), limit, longest_due, self.lease()).await?;
        let claimed = jobs.len();
        self.turns(&origin, |turns| turns.claimed(claimed));
        jobs.into_iter().zip(permits).for_each(|(job, permit)| self.start(job, permit));
        Ok(claimed == limit)
    }

    fn turns<R>(&self, origin: &Arc<str>, then: impl FnOnce(&mut Turns) -> R) -> R {
        let mut turns = self.0.turns.lock().unwrap_or_else(PoisonError::into_inner);
        then(turns.entry(origin.clone()).or_default())
    }

    pub(super) fn start(&self, job: DeliveringJob, permit: Permit) {
        self.0.runtime.spawn(self.clone().send(job, permit));
    }

    /// Passes for a lane, or why there is none. An account that has moved has two lanes, and one pace.
    pub(super) fn enter(
        &self,
        lane: &str,
        moved: Option<&Arc<str>>,
        wanted: usize,
    ) -> Result<Vec<Permit>, Hold> {
        #[cfg(test)]
        self.0.asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.0.parts.limiter.try_acquire(moved.map_or(lane, |account| account), wanted)
    }

    /// Where the account of a lane is now, if it has moved.
    pub(super) fn moved(&self, lane: &str) -> Option<Arc<str>> {
        self.0.parts.accounts.moved_to(lane)
    }

    pub(super) fn lease(&self) -> Duration {
        self.0.settings.request_timeout * CALLS + self.0.parts.accounts.patience() * BEARERS + LEASE_MARGIN
    }
}
