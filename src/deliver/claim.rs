//! One round of claims: which lanes may send now, and how many jobs the sender claims for each.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use crate::stage::LEASE_MARGIN;
use kommo::pace::{Hold, Permit};
use model::DeliveringJob;
use store::{LongestDue, StoreError};

use super::Sender;
use super::schedule::LaneSchedule;

/// Calls and waits for a permit in one attempt. Each takes at most the timeout of a request.
const MAX_CALLS_PER_ATTEMPT: u32 = 4;
/// Times that one attempt waits for a bearer: before the call, and after its 401.
const MAX_BEARERS_PER_ATTEMPT: u32 = 2;
/// Jobs of one lane in one claim. The limit gives the next lane its turn.
const MAX_JOBS_PER_CLAIM: usize = 64;

/// No account can be called until `until`, in elapsed time; `None` if it depends on another event.
pub(super) struct AllHeld {
    pub(super) until: Option<Duration>,
}

impl Sender {
    /// Goes through the due lanes once: claims for those that may send, parks those that may not, and stops if none may.
    pub(super) fn round(&self) -> (Vec<impl Future<Output = Result<bool, StoreError>>>, Option<AllHeld>) {
        let (lanes, clock) = (self.0.parts.store.delivery(), &self.0.parts.clock);
        let mut claims = Vec::new();
        lanes.begin(clock.steady(), clock.elapsed());
        while let Some(lane) = lanes.take() {
            let moved = self.current_origin(&lane);
            if let Some(account) = &moved {
                lanes.ask_as(&lane, account);
            }
            match self.acquire(&lane, moved.as_ref(), MAX_JOBS_PER_CLAIM) {
                Ok(permits) => claims.push(self.claim(lane, permits)),
                Err(Hold::Account(until)) => lanes.park(&lane, until, clock.elapsed()),
                Err(Hold::Share) => lanes.park_for_place(&lane, clock.elapsed()),
                Err(Hold::All(until)) => {
                    lanes.put_back(&lane);
                    return (claims, Some(AllHeld { until }));
                }
            }
        }
        (claims, None)
    }

    /// Claims one job for each permit, and sends them. Returns whether every permit got a job.
    async fn claim(&self, origin: Arc<str>, permits: Vec<Permit>) -> Result<bool, StoreError> {
        let limit = permits.len();
        let longest_due = if permits.iter().any(Permit::is_probe) {
            // A probe takes refused jobs last: a job that is itself the reason for its refusal would prolong the pause.
            LongestDue::default()
        } else {
            self.with_schedule(&origin, |schedule| schedule.longest_due(limit))
        };
        let store = &self.0.parts.store;
        let jobs = store.jobs().claim_deliveries(origin.clone(), limit, longest_due, self.lease()).await?;
        let claimed = jobs.len();
        self.with_schedule(&origin, |schedule| schedule.claimed(claimed));
        jobs.into_iter().zip(permits).for_each(|(job, permit)| self.start(job, permit));
        Ok(claimed == limit)
    }

    fn with_schedule<R>(&self, origin: &Arc<str>, then: impl FnOnce(&mut LaneSchedule) -> R) -> R {
        let mut schedules = self.0.schedules.lock().unwrap_or_else(PoisonError::into_inner);
        then(schedules.entry(origin.clone()).or_default())
    }

    pub(super) fn start(&self, job: DeliveringJob, permit: Permit) {
        self.0.runtime.spawn(self.clone().send(job, permit));
    }

    /// Takes up to `wanted` permits for a lane, or returns what holds it. An account that has moved has two lanes but
    /// one pace.
    pub(super) fn acquire(
        &self,
        lane: &str,
        moved: Option<&Arc<str>>,
        wanted: usize,
    ) -> Result<Vec<Permit>, Hold> {
        #[cfg(test)]
        self.0.limiter_queries.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.0.parts.limiter.try_acquire(moved.map_or(lane, |account| account), wanted)
    }

    /// The current origin of a lane's account, if it has moved.
    pub(super) fn current_origin(&self, lane: &str) -> Option<Arc<str>> {
        self.0.parts.accounts.moved_to(lane)
    }

    pub(super) fn lease(&self) -> Duration {
        self.0.settings.request_timeout * MAX_CALLS_PER_ATTEMPT
            + self.0.parts.accounts.max_bearer_wait() * MAX_BEARERS_PER_ATTEMPT
            + LEASE_MARGIN
    }
}
