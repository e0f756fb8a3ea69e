//! What waits in the store, by lane: the only thing that the rooms share in memory.
//!
//! A lane is what must not delay its neighbours: a handler's name for workers, an account's origin
//! for the sender. For each lane that has waiting jobs this knows when the earliest is due, so that a
//! room asks the store only where there is something to get. The writer updates it after each
//! commit and wakes the room; a poll of the store puts right what another process changed.
//!
//! The sender may have thousands of lanes, most of which wait for their account. It takes them from a line, and parks
//! those that cannot go ([`LaneQueue`]); [`Lanes::freed`] brings them back.
//!
//! The fast path: a room can leave a [`Taker`], and a job that was just stored is then handed over
//! from memory, already claimed in the same transaction. Nothing is handed over in a lane where older
//! jobs wait, so no one is overtaken.

mod queue;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio_util::sync::CancellationToken;

use model::Timestamp;
use model::clock::Clock;

use crate::StoreError;
use crate::lanes::queue::LaneQueue;

/// The longest wait without a wake-up: the fallback for one that was missed.
const POLL_INTERVAL: Duration = Duration::from_secs(5);
/// Between a step that failed and the next one.
const CLAIM_RETRY_DELAY: Duration = Duration::from_secs(1);

/// A promise of a room to take one job of type `J` at once. Dropping it gives the place back.
pub struct Slot<J> {
    /// How long the claim shall be valid.
    pub lease: Duration,
    /// Takes the job, after the commit.
    pub take: Box<dyn FnOnce(J) + Send + Sync>,
}

/// Says whether the room can take a job of this lane right now.
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

    /// Opens the fast path. The first taker stays.
    pub fn hand_over_to(&self, taker: Taker<J>) {
        let _first_stays = self.taker.set(taker);
    }

    /// The lanes with a job that is due, for a room with few lanes: it looks at all of them.
    pub fn due(&self, now: Timestamp) -> Vec<Arc<str>> {
        let waiting = self.lock();
        waiting.queue.all().filter(|(_, due)| *due <= now).map(|(lane, _)| lane.clone()).collect()
    }

    /// When the next job that is not due yet will be, for a room with few lanes: it looks at all of them.
    pub fn next_due(&self, now: Timestamp) -> Option<Timestamp> {
        self.lock().queue.all().map(|(_, due)| due).filter(|due| *due > now).min()
    }

    /// Begins a round: the lanes that are due and not parked get into the line. `elapsed` is the clock's.
    pub fn begin(&self, now: Timestamp, elapsed: Duration) {
        self.lock().queue.begin(now, elapsed);
    }

    /// Takes the first lane of the line. The room claims for it, parks it or puts it back; else the next round finds it.
    pub fn take(&self) -> Option<Arc<str>> {
        self.lock().queue.take()
    }

    /// `lane`, which was taken, asks under this other name, as an account that has moved does. To be called before asking,
    /// so that no event is missed.
    pub fn ask_as(&self, lane: &str, name: &Arc<str>) {
        self.lock().queue.ask_as(lane, name);
    }

    /// Parks `lane`, which was taken: it cannot go before `until`, by the elapsed time, unless it is [freed](Self::freed);
    /// `None` if only that helps. If it was freed since it was taken, the next round looks at it.
    pub fn park(&self, lane: &str, until: Option<Duration>, elapsed: Duration) {
        self.lock().queue.park(lane, until, elapsed);
    }

    /// Parks `lane`, which was taken and has as many places as it may have now.
    pub fn park_for_place(&self, lane: &str, elapsed: Duration) {
        self.lock().queue.park_for_place(lane, elapsed);
    }

    /// Puts `lane`, which was taken, back at the front of the line: no one can go.
    pub fn put_back(&self, lane: &str) {
        self.lock().queue.put_back(lane);
    }

    /// How long until a round finds something, if nothing else happens.
    pub fn next_poll(&self, now: Timestamp, elapsed: Duration) -> Option<Duration> {
        self.lock().queue.next_poll(now, elapsed)
    }

    /// Something happened that may let the lane go that asks as `name`, and perhaps a place became free. Wakes the room
    /// if there is a lane to look at.
    pub fn freed(&self, name: &str) {
        // In a statement of its own, so that the lock is free when the room wakes.
        let should_wake = self.lock().queue.freed(name);
        if should_wake {
            self.wake();
        }
    }

    /// When a waiting job runs out of time, at the earliest.
    pub fn deadline(&self) -> Option<Timestamp> {
        self.lock().deadline
    }

    /// Runs `step` until `stop`, each time that something may have become due: after a wake-up, after the time that the last
    /// `step` returned (`None` if it knows of nothing to come), and after `POLL_INTERVAL` in case a wake-up was missed.
    ///
    /// It registers for the wake-up before it runs `step`, so that no change falls between the two.
    pub async fn run_loop<F: Future<Output = Result<Option<Duration>, StoreError>>>(
        &self,
        clock: &Clock,
        stop: &CancellationToken,
        step: impl Fn() -> F,
    ) {
        while !stop.is_cancelled() {
            let changed = self.changed();
            // The time that `step` returns counts from its beginning, so that what it took is not waited for again.
            let began = clock.elapsed();
            match step().await {
                Ok(wait) => tokio::select! {
                    () = stop.cancelled() => {}
                    () = changed => {}
                    () = clock.sleep_until(began + wait.unwrap_or(POLL_INTERVAL).clamp(Duration::from_millis(1), POLL_INTERVAL)) => {}
                },
                // Nothing wakes it earlier: the places that a vain claim gives back would do so at once, for ever.
                Err(error) => {
                    tracing::warn!(%error, "no jobs could be claimed; they wait in the store");
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = clock.sleep(CLAIM_RETRY_DELAY) => {}
                    }
                }
            }
        }
    }

    /// Completes when something changed after this call. Call it before looking, await it after.
    pub fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }

    /// Wakes the room, as if something had changed.
    pub fn wake(&self) {
        self.changed.notify_waiters();
    }

    /// Whether nothing waits, as far as is known without reading the store.
    pub fn is_empty(&self) -> bool {
        self.lock().queue.is_empty()
    }

    /// A place became free: wakes the room if something waits for it.
    pub fn wake_if_waiting(&self) {
        if !self.lock().queue.is_empty() {
            self.wake();
        }
    }

    /// Places for the jobs of one transaction.
    pub(crate) fn offers(&self, now: Timestamp) -> Offers<'_, J> {
        Offers { lanes: self, now, waiting: HashSet::new() }
    }

    fn offer(&self, lane: &str, now: Timestamp) -> Option<Slot<J>> {
        let taker = self.taker.get()?;
        let behind_others = self.lock().queue.due_at(lane).is_some_and(|due| due <= now);
        if behind_others { None } else { taker(lane) }
    }

    /// A job waits in `lane`.
    pub(crate) fn add(&self, lane: &str, due: Timestamp, deadline: Option<Timestamp>) {
        let mut waiting = self.lock();
        let should_wake = waiting.queue.add(lane, due);
        waiting.deadline = waiting.deadline.into_iter().chain(deadline).min();
        drop(waiting);
        if should_wake {
            self.wake();
        }
    }

    /// The earliest due time in `lane` is now `due`; `None` if nothing waits there.
    pub(crate) fn set(&self, lane: &str, due: Option<Timestamp>) {
        self.lock().queue.set(lane, due);
    }

    /// The earliest moment when a waiting job runs out of time.
    pub(crate) fn set_deadline(&self, deadline: Option<Timestamp>) {
        self.lock().deadline = deadline;
    }

    /// Replaces all that is known of what is due, and wakes the room.
    pub(crate) fn replace(&self, due: HashMap<Arc<str>, Timestamp>) {
        self.lock().queue.replace(due);
        self.wake();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing panics while it holds the lock, and the map is whole between any two statements.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Places for the jobs of one transaction: after the first job that gets none, none of its lane gets one.
pub(crate) struct Offers<'l, J> {
    lanes: &'l Lanes<J>,
    now: Timestamp,
    waiting: HashSet<Box<str>>,
}

impl<J> Offers<'_, J> {
    /// A place for a job of `lane`, if nothing older waits there and the room has room.
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
    fn knows_the_earliest_due_time_of_each_lane() {
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
    fn hands_nothing_over_behind_the_back_of_waiting_jobs() {
        let lanes = Lanes::<()>::new();
        assert!(lanes.offer("a", at(0)).is_none(), "nobody takes");
        lanes.hand_over_to(Box::new(|lane| {
            (lane != "full").then(|| Slot { lease: Duration::ZERO, take: Box::new(|()| {}) })
        }));
        assert!(lanes.offer("a", at(0)).is_some());
        assert!(lanes.offer("full", at(0)).is_none());
        lanes.add("a", at(10), None);
        assert!(lanes.offer("a", at(9)).is_some(), "a later retry does not hold back a first try");
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
