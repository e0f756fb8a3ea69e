//! The schedule: when each request is due.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

/// How often the pacer checks whether the queue still exists.
const MAX_SLEEP: Duration = Duration::from_millis(50);

/// A constant rate: request `n` is due `n / rate` seconds after the start, whatever happens to earlier requests.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schedule {
    start: Instant,
    rate: f64,
}

impl Schedule {
    pub(super) fn new(start: Instant, rate: f64) -> Self {
        Self { start, rate }
    }

    pub(super) fn due(&self, index: usize) -> Instant {
        // If the rate is so small that the time overflows, the request is due in a year.
        let after = Duration::try_from_secs_f64(index as f64 / self.rate).unwrap_or(Duration::MAX);
        self.start.checked_add(after).unwrap_or(self.start + Duration::from_secs(31_536_000))
    }
}

/// Hands out the indexes of the requests, each as soon as it is due.
#[derive(Debug)]
pub(super) struct RequestQueue {
    next: AtomicUsize,
    total: usize,
    /// `None` in a closed loop: any free sender takes the next request at once.
    pace: Option<(Schedule, Semaphore)>,
}

impl RequestQueue {
    /// A queue that hands out requests at once.
    pub(super) fn closed(total: usize) -> Arc<Self> {
        Arc::new(Self { next: AtomicUsize::new(0), total, pace: None })
    }

    /// A queue that hands out requests on the schedule, to this number of senders.
    ///
    /// # Errors
    /// The pacer thread cannot be started.
    pub(super) fn open(total: usize, schedule: Schedule, senders: usize) -> std::io::Result<Arc<Self>> {
        let queue =
            Arc::new(Self { next: AtomicUsize::new(0), total, pace: Some((schedule, Semaphore::new(0))) });
        let weak = Arc::downgrade(&queue);
        // A thread, because tokio's timers have a resolution of a millisecond, about as long as the measured latencies.
        thread::Builder::new()
            .name("pacer".to_owned())
            .spawn(move || pace(&weak, schedule, total, senders))?;
        Ok(queue)
    }

    /// The next request with its due time (`None` in a closed loop); `None` after the last request.
    pub(super) async fn next(&self) -> Option<(usize, Option<Instant>)> {
        if let Some((_, permits)) = &self.pace {
            permits.acquire().await.ok()?.forget();
        }
        let index = self.next.fetch_add(1, Relaxed);
        let due = self.pace.as_ref().map(|(schedule, _)| schedule.due(index));
        (index < self.total).then_some((index, due))
    }
}

/// Adds a permit for each request when it is due. At the end it adds one for each sender, which then finds no request.
fn pace(queue: &Weak<RequestQueue>, schedule: Schedule, total: usize, senders: usize) {
    let mut given = 0;
    loop {
        let Some(queue) = queue.upgrade() else { return };
        let Some((_, permits)) = &queue.pace else { return };
        let now = Instant::now();
        let before = given;
        while given < total && schedule.due(given) <= now {
            given += 1;
        }
        permits.add_permits(given - before);
        if given == total {
            permits.add_permits(senders);
            return;
        }
        drop(queue);
        thread::sleep(schedule.due(given).saturating_duration_since(Instant::now()).min(MAX_SLEEP));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn due_time_depends_only_on_index_and_rate() {
        let start = Instant::now();
        for (rate, index, millis) in
            [(1_000.0, 0, 0), (1_000.0, 7, 7), (0.5, 1, 2_000), (4.0, 1_000_000, 250_000_000)]
        {
            let due = Schedule::new(start, rate).due(index);
            assert_eq!(due, start + Duration::from_millis(millis), "{index} at {rate}");
        }
        // Must not overflow.
        assert!(Schedule::new(start, 1e-300).due(usize::MAX) > start);
    }

    #[tokio::test]
    async fn with_a_rate_each_request_is_handed_out_once_and_not_before_it_is_due() {
        let schedule = Schedule::new(Instant::now(), 5_000.0);
        let queue = RequestQueue::open(50, schedule, 3).unwrap();
        let sender = || {
            let queue = queue.clone();
            tokio::spawn(async move {
                let mut taken = Vec::new();
                while let Some((index, due)) = queue.next().await {
                    assert_eq!(due, Some(schedule.due(index)));
                    assert!(Instant::now() >= schedule.due(index), "request {index} came early");
                    taken.push(index);
                }
                taken
            })
        };
        let senders = [sender(), sender(), sender()];
        let mut all = Vec::new();
        for sender in senders {
            all.extend(sender.await.unwrap());
        }
        all.sort_unstable();
        assert_eq!(all, (0..50).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn requests_that_came_due_while_all_senders_were_busy_keep_their_due_times() {
        // All were due in the past.
        let start = Instant::now().checked_sub(Duration::from_secs(1)).unwrap();
        let schedule = Schedule::new(start, 10.0);
        let queue = RequestQueue::open(10, schedule, 1).unwrap();
        for index in 0..10 {
            assert_eq!(queue.next().await, Some((index, Some(schedule.due(index)))));
        }
        assert_eq!(queue.next().await, None);
    }

    #[tokio::test]
    async fn without_a_rate_a_free_sender_takes_the_next_request_at_once() {
        let queue = RequestQueue::closed(2);
        assert_eq!(queue.next().await, Some((0, None)));
        assert_eq!(queue.next().await, Some((1, None)));
        assert_eq!((queue.next().await, queue.next().await), (None, None));
    }
}
