//! The waiting jobs of the store, by lane: the only state that the rooms share in memory.
//!
//! A lane is a group of jobs that must not delay other groups: for workers the jobs of one handler, for the sender the
//! jobs of one account's origin. For each lane with waiting jobs, [`Lanes`] knows when the earliest is due, so a room
//! queries the store only where there is something to claim. The writer updates the lanes after each commit and wakes
//! the room. A periodic poll of the store picks up changes by other processes.
//!
//! The sender may have thousands of lanes, most of which wait for their account. It takes lanes from a ready
//! queue and parks those that cannot proceed ([`LaneQueue`]). [`Lanes::freed`] makes them ready again.
//!
//! The fast path: a room can register a [`Taker`]. The store then hands over a new job from memory, already claimed
//! by the transaction that stored it. In a lane with older due jobs it hands over nothing, so no job overtakes another.

mod queue;

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio_util::sync::CancellationToken;

use model::Timestamp;
use model::clock::Clock;
use model::maps::{HashMap, HashSet};

use crate::StoreError;
use crate::lanes::queue::LaneQueue;

/// The longest wait without a wake-up, in case one was missed.
const POLL_INTERVAL: Duration = Duration::from_secs(5);
/// The delay between a failed step and the next one.
const CLAIM_RETRY_DELAY: Duration = Duration::from_secs(1);

/// A room's promise to take one job of type `J` at once. Dropping the slot gives its permit back.
pub struct Slot<J> {
    /// How long the claim is valid.
    pub lease: Duration,
    /// Takes the job. The store calls it after COMMIT.
    pub take: Box<dyn FnOnce(J) + Send + Sync>,
}

/// A function that returns a slot if the room can take a job of this lane right now.
pub type Taker<J> = Box<dyn Fn(&str) -> Option<Slot<J>> + Send + Sync>;

/// The lanes of one room.
pub struct Lanes<J> {
    waiting: Mutex<Waiting>,
    changed: Notify,
    taker: OnceLock<Taker<J>>,
}

#[derive(Default)]
struct Waiting {
    queue: LaneQueue,
    deadline: Option<Timestamp>,
}

impl<J> Lanes<J> {
    pub(crate) fn new() -> Self {
        Self { waiting: Mutex::default(), changed: Notify::new(), taker: OnceLock::new() }
    }

    /// Enables the fast path. Only the first taker is kept.
    pub fn hand_over_to(&self, taker: Taker<J>) {
        let _first_stays = self.taker.set(taker);
    }

    /// Returns the lanes with a due job. It checks every lane, so it is for rooms with few lanes.
    pub fn due(&self, now: Timestamp) -> Vec<Arc<str>> {
        let waiting = self.lock();
        waiting.queue.all().filter(|(_, due)| *due <= now).map(|(lane, _)| lane.clone()).collect()
    }

    /// Returns the next time at which a lane that is not due yet becomes due. It checks every lane, so it is for rooms
    /// with few lanes.
    pub fn next_due(&self, now: Timestamp) -> Option<Timestamp> {
        self.lock().queue.all().map(|(_, due)| due).filter(|due| *due > now).min()
    }

    /// Starts a round: lanes that are due and not parked become ready. `elapsed` is the clock's elapsed time.
    pub fn begin(&self, now: Timestamp, elapsed: Duration) {
        self.lock().queue.begin(now, elapsed);
    }

    /// Takes the first ready lane. The room then claims jobs of it, parks it or puts it back. If it does none of these,
    /// the lane joins the next round.
    pub fn take(&self) -> Option<Arc<str>> {
        self.lock().queue.take()
    }

    /// Makes `lane`, which was taken, wait under another name: a moved account waits under its new origin. Call this
    /// before asking for a permit, so that no event is missed.
    pub fn ask_as(&self, lane: &str, name: &Arc<str>) {
        self.lock().queue.ask_as(lane, name);
    }

    /// Parks `lane`, which was taken, until the elapsed time reaches `until` or an event [frees](Self::freed) it; `None`
    /// waits for an event only. If an event has come since the lane was taken, the lane joins the next round instead.
    pub fn park(&self, lane: &str, until: Option<Duration>, elapsed: Duration) {
        self.lock().queue.park(lane, until, elapsed);
    }

    /// Parks `lane`, which was taken, because it holds as many permits as it may.
    pub fn park_for_place(&self, lane: &str, elapsed: Duration) {
        self.lock().queue.park_for_place(lane, elapsed);
    }

    /// Puts `lane`, which was taken, back at the front of the ready queue, because no lane can proceed.
    pub fn put_back(&self, lane: &str) {
        self.lock().queue.put_back(lane);
    }

    /// Returns the time until the next round can find a lane, unless an event comes earlier.
    pub fn next_poll(&self, now: Timestamp, elapsed: Duration) -> Option<Duration> {
        self.lock().queue.next_poll(now, elapsed)
    }

    /// Reports an event that may have freed a permit, or may let the lanes that wait under `name` proceed. Wakes the
    /// room if there is a lane to check.
    pub fn freed(&self, name: &str) {
        // A separate statement, so that the lock is released before the room wakes.
        let should_wake = self.lock().queue.freed(name);
        if should_wake {
            self.wake();
        }
    }

    /// Returns the earliest moment when a waiting job runs out of time to answer.
    pub fn deadline(&self) -> Option<Timestamp> {
        self.lock().deadline
    }

    /// Runs `step` in a loop until `stop`. It runs again after a wake-up, after the time that the last `step` returned
    /// (`None` if it expects nothing), and at the latest after `POLL_INTERVAL`.
    ///
    /// The loop registers for the wake-up before it runs `step`, so it misses no change in between.
    pub async fn run_loop<F: Future<Output = Result<Option<Duration>, StoreError>>>(
        &self,
        clock: &Clock,
        stop: &CancellationToken,
        step: impl Fn() -> F,
    ) {
        while !stop.is_cancelled() {
            let changed = self.changed();
            // The returned time counts from the start of `step`, so the wait does not include the duration of `step`.
            let began = clock.elapsed();
            match step().await {
                Ok(wait) => tokio::select! {
                    () = stop.cancelled() => {}
                    () = changed => {}
                    () = clock.sleep_until(began + wait.unwrap_or(POLL_INTERVAL).clamp(Duration::from_millis(1), POLL_INTERVAL)) => {}
                },
                // Wake-ups do not shorten this delay. The failed claim returns its permits, and that would wake the
                // loop at once, so it would spin.
                Err(error) => {
                    tracing::warn!(%error, "claim failed: the jobs stay in the store, and the claim is retried");
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = clock.sleep(CLAIM_RETRY_DELAY) => {}
                    }
                }
            }
        }
    }

    /// Completes when something changes after this call. Call it before checking for jobs, and await it afterwards.
    pub fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }

    /// Wakes the room, as if something had changed.
    pub fn wake(&self) {
        self.changed.notify_waiters();
    }

    /// Whether no job waits, as far as the lanes in memory show.
    pub fn is_empty(&self) -> bool {
        self.lock().queue.is_empty()
    }

    /// Reports a free permit. Wakes the room if a job waits.
    pub fn wake_if_waiting(&self) {
        if !self.lock().queue.is_empty() {
            self.wake();
        }
    }

    /// Starts to offer the jobs of one transaction to the room.
    pub(crate) fn offers(&self, now: Timestamp) -> Offers<'_, J> {
        Offers { lanes: self, now, waiting: HashSet::new() }
    }

    fn offer(&self, lane: &str, now: Timestamp) -> Option<Slot<J>> {
        let taker = self.taker.get()?;
        let behind_others = self.lock().queue.due_at(lane).is_some_and(|due| due <= now);
        if behind_others { None } else { taker(lane) }
    }

    /// Adds a waiting job to `lane`.
    pub(crate) fn add(&self, lane: &str, due: Timestamp, deadline: Option<Timestamp>) {
        let mut waiting = self.lock();
        let should_wake = waiting.queue.add(lane, due);
        waiting.deadline = waiting.deadline.into_iter().chain(deadline).min();
        drop(waiting);
        if should_wake {
            self.wake();
        }
    }

    /// Adds a job that runs out of time to answer at `deadline`, although no lane has it.
    pub(crate) fn add_deadline(&self, deadline: Timestamp) {
        let mut waiting = self.lock();
        let is_earlier = waiting.deadline.is_none_or(|earliest| deadline < earliest);
        if is_earlier {
            waiting.deadline = Some(deadline);
        }
        drop(waiting);
        if is_earlier {
            self.wake();
        }
    }

    /// Sets the earliest due time of `lane`; `None` if no job waits there.
    pub(crate) fn set(&self, lane: &str, due: Option<Timestamp>) {
        self.lock().queue.set(lane, due);
    }

    /// Sets the earliest moment when a waiting job runs out of time to answer.
    pub(crate) fn set_deadline(&self, deadline: Option<Timestamp>) {
        self.lock().deadline = deadline;
    }

    /// Replaces all due times, and wakes the room.
    pub(crate) fn replace(&self, due: HashMap<Arc<str>, Timestamp>) {
        self.lock().queue.replace(due);
        self.wake();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // No code panics while it holds the lock.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Offers the jobs of one transaction to the room. Once a job of a lane gets no slot, no later job of that lane gets
/// one.
pub(crate) struct Offers<'l, J> {
    lanes: &'l Lanes<J>,
    now: Timestamp,
    waiting: HashSet<Box<str>>,
}

impl<J> Offers<'_, J> {
    /// Returns a slot for a job of `lane` if no older job waits there and the room can take one.
    pub(crate) fn next(&mut self, lane: &str) -> Option<Slot<J>> {
        if self.waiting.contains(lane) {
            return None;
        }
        let slot = self.lanes.offer(lane, self.now);
        if slot.is_none() {
            self.waiting.insert(lane.into());
        }
        slot
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    #[test]
    fn lanes_know_the_earliest_due_time_of_each_lane() {
        let lanes = Lanes::<()>::new();
        lanes.add("a", at(50), Some(at(900)));
        lanes.add("a", at(10), Some(at(800)));
        lanes.add("b", at(30), None);
        assert_eq!(lanes.due(at(9)).len(), 0);
        assert_eq!(lanes.due(at(10)), ["a".into()]);
        assert_eq!((lanes.next_due(at(10)), lanes.deadline()), (Some(at(30)), Some(at(800))));
        lanes.set("a", None);
        assert_eq!(lanes.due(at(99)), ["b".into()]);
    }

    #[test]
    fn no_job_is_handed_over_ahead_of_due_jobs_in_its_lane() {
        let lanes = Lanes::<()>::new();
        assert!(lanes.offer("a", at(0)).is_none(), "there is no taker");
        lanes.hand_over_to(Box::new(|lane| {
            (lane != "full").then(|| Slot { lease: Duration::ZERO, take: Box::new(|()| {}) })
        }));
        assert!(lanes.offer("a", at(0)).is_some());
        assert!(lanes.offer("full", at(0)).is_none());
        lanes.add("a", at(10), None);
        assert!(lanes.offer("a", at(9)).is_some(), "a retry due later does not hold back a first try");
        assert!(lanes.offer("a", at(10)).is_none());
    }

    #[tokio::test]
    async fn a_change_after_the_registration_is_not_missed() {
        let lanes = Lanes::<()>::new();
        let changed = lanes.changed();
        lanes.add("a", at(1), None);
        changed.await;
    }
}
