//! When a request is due.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

/// The pacer looks this often whether anybody still wants to know.
const MAX_SLEEP: Duration = Duration::from_millis(50);

/// A constant rate: request `n` is due `n / rate` seconds after the start, however the ones before it fare.
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
        // A rate so small that its next request is never due is as good as a year.
        let after = Duration::try_from_secs_f64(index as f64 / self.rate).unwrap_or(Duration::MAX);
        self.start.checked_add(after).unwrap_or(self.start + Duration::from_secs(31_536_000))
    }
}

/// Whose turn it is: hands out the numbers of the requests, each as soon as it is due.
#[derive(Debug)]
pub(super) struct Turns {
    next: AtomicUsize,
    total: usize,
    /// None: the sender that is free takes the next one.
    pace: Option<(Schedule, Semaphore)>,
}

impl Turns {
    /// Numbers for the sender that is free.
    pub(super) fn closed(total: usize) -> Arc<Self> {
        Arc::new(Self { next: AtomicUsize::new(0), total, pace: None })
    }

    /// Numbers by the schedule; `takers` wait for them.
    ///
    /// # Errors
    /// The thread that keeps the time cannot be started.
    pub(super) fn open(total: usize, schedule: Schedule, takers: usize) -> std::io::Result<Arc<Self>> {
        let turns =
            Arc::new(Self { next: AtomicUsize::new(0), total, pace: Some((schedule, Semaphore::new(0))) });
        let weak = Arc::downgrade(&turns);
        // tokio's timers are as coarse as a millisecond, which is as long as what is measured.
        thread::Builder::new()
            .name("pacer".to_owned())
            .spawn(move || pace(&weak, schedule, total, takers))?;
        Ok(turns)
    }

    /// The next request and when it is due (`None`: now); `None` after the last one.
    pub(super) async fn take(&self) -> Option<(usize, Option<Instant>)> {
        if let Some((_, permits)) = &self.pace {
            permits.acquire().await.ok()?.forget();
        }
        let index = self.next.fetch_add(1, Relaxed);
        let due = self.pace.as_ref().map(|(schedule, _)| schedule.due(index));
        (index < self.total).then_some((index, due))
    }
}

/// Gives a permit for each request when it is due, and at last one to each taker, who then finds no request.
fn pace(turns: &Weak<Turns>, schedule: Schedule, total: usize, takers: usize) {
    let mut given = 0;
    loop {
        let Some(turns) = turns.upgrade() else { return };
        let Some((_, permits)) = &turns.pace else { return };
        let now = Instant::now();
        let before = given;
        while given < total && schedule.due(given) <= now {
            given += 1;
        }
        permits.add_permits(given - before);
        if given == total {
            permits.add_permits(takers);
            return;
        }
        drop(turns);
        thread::sleep(schedule.due(given).saturating_duration_since(Instant::now()).min(MAX_SLEEP));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_due_by_its_number_and_the_rate_alone() {
        let start = Instant::now();
        for (rate, index, millis) in
            [(1_000.0, 0, 0), (1_000.0, 7, 7), (0.5, 1, 2_000), (4.0, 1_000_000, 250_000_000)]
        {
            let due = Schedule::new(start, rate).due(index);
            assert_eq!(due, start + Duration::from_millis(millis), "{index} at {rate}");
        }
        // No overflow.
        assert!(Schedule::new(start, 1e-300).due(usize::MAX) > start);
    }

    #[tokio::test]
    async fn with_a_rate_no_turn_comes_before_it_is_due_and_each_comes_once() {
        let schedule = Schedule::new(Instant::now(), 5_000.0);
        let turns = Turns::open(50, schedule, 3).unwrap();
        let taker = || {
            let turns = turns.clone();
            tokio::spawn(async move {
                let mut taken = Vec::new();
                while let Some((index, due)) = turns.take().await {
                    assert_eq!(due, Some(schedule.due(index)));
                    assert!(Instant::now() >= schedule.due(index), "{index} came early");
                    taken.push(index);
                }
                taken
            })
        };
        let takers = [taker(), taker(), taker()];
        let mut all = Vec::new();
        for taker in takers {
            all.extend(taker.await.unwrap());
        }
        all.sort_unstable();
        assert_eq!(all, (0..50).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn turns_that_came_due_while_nobody_was_free_keep_their_times() {
        // All were due before now.
        let start = Instant::now().checked_sub(Duration::from_secs(1)).unwrap();
        let schedule = Schedule::new(start, 10.0);
        let turns = Turns::open(10, schedule, 1).unwrap();
        for index in 0..10 {
            assert_eq!(turns.take().await, Some((index, Some(schedule.due(index)))));
        }
        assert_eq!(turns.take().await, None);
    }

    #[tokio::test]
    async fn without_a_rate_whoever_is_free_takes_the_next() {
        let turns = Turns::closed(2);
        assert_eq!(turns.take().await, Some((0, None)));
        assert_eq!(turns.take().await, Some((1, None)));
        assert_eq!((turns.take().await, turns.take().await), (None, None));
    }
}
