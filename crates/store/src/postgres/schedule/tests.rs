//! The schedule against tables of cases, and against a model that searches all jobs.

mod naive;

use std::time::Duration;

use model::{JobId, Timestamp};

use super::{Planned, Schedule, Waits};
use naive::Naive;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + ms)
}

fn id(number: u128) -> JobId {
    JobId::new(at(0), number)
}

fn delivery(rank: u8, due_at: i64, waiting_since: i64) -> Option<Planned> {
    let (due_at, waiting_since) = (at(due_at), at(waiting_since));
    let waits = Waits::Delivering { origin: "o".into(), rank, due_at, waiting_since, lease_until: None };
    Some(Planned { fence: 1, waits })
}

fn queued(handler: &str, due_at: Option<i64>, answer_by: i64) -> Option<Planned> {
    let waits = Waits::Queued { handler: handler.into(), due_at: due_at.map(at), answer_by: at(answer_by) };
    Some(Planned { fence: 1, waits })
}

fn ids(chosen: Vec<(JobId, i64)>) -> Vec<JobId> {
    chosen.into_iter().map(|(id, _)| id).collect()
}

#[test]
fn a_job_that_has_run_out_of_time_does_not_hold_up_fresh_jobs() {
    let mut schedule = Schedule::default();
    for (number, job) in
        [(1, queued("a", Some(0), 10)), (2, queued("a", Some(1), 99)), (3, queued("a", None, 99))]
    {
        schedule.set(id(number), job);
    }
    assert_eq!(ids(schedule.due_work("a", at(10), 9)), [id(2)]);
    assert_eq!(ids(schedule.overdue(at(10), 9)), [id(1)]);
    assert_eq!(ids(schedule.overdue(at(99), 2)), [id(1), id(2)], "a job without its turn is overdue too");
    assert_eq!((schedule.next_due("a"), schedule.next_overdue()), (Some(at(0)), Some(at(10))));
    assert_eq!((schedule.next_due("b"), schedule.due_work("b", at(10), 9)), (None, vec![]));
}

#[test]
fn young_first_tries_precede_young_retries_old_jobs_and_refused_ones() {
    let mut schedule = Schedule::default();
    for (number, job) in [
        (1, delivery(2, 0, 90)),
        (2, delivery(1, 20, 10)),
        (3, delivery(0, 10, 10)),
        (4, delivery(1, 95, 90)),
        (5, delivery(0, 91, 91)),
        (6, delivery(0, 90, 90)),
        (7, delivery(0, 101, 99)),
    ] {
        schedule.set(id(number), job);
    }
    let order = [6, 5, 4, 3, 2, 1].map(id);
    assert_eq!(ids(schedule.young_first("o", at(100), at(50), 9)), order);
    assert_eq!(ids(schedule.young_first("o", at(100), at(50), 2)), order[..2]);
    assert_eq!(ids(schedule.longest_due("o", at(100), 4, false)), [3, 6, 5, 2].map(id));
    assert_eq!(ids(schedule.longest_due("o", at(100), 2, true)), [1, 2].map(id));
    assert_eq!(schedule.next_delivery("o"), Some(at(0)));
    assert_eq!(schedule.deliveries_due_after("o", 1, at(20), 9), [(id(4), at(95))]);
}

#[test]
fn deliveries_that_are_due_at_the_same_moment_go_out_by_age() {
    for rank in 0..3 {
        let mut schedule = Schedule::default();
        for (number, since) in [(1, 30), (2, 10), (3, 20)] {
            schedule.set(id(number), delivery(rank, 60, since));
        }
        assert_eq!(ids(schedule.longest_due("o", at(99), 2, false)), [id(2), id(3)], "rank {rank}");
        assert_eq!(ids(schedule.young_first("o", at(99), at(50), 2)), [id(2), id(3)], "rank {rank}");
    }
}

#[test]
fn a_transaction_that_is_not_committed_leaves_the_schedule_as_it_was() {
    let mut schedule = Schedule::default();
    schedule.set(id(1), queued("a", Some(0), 10));
    schedule.commit();
    schedule.set(id(1), None);
    schedule.set(id(2), delivery(0, 0, 0));
    schedule.set(id(1), delivery(0, 0, 0));
    schedule.roll_back();
    assert_eq!(schedule.get(id(1)), queued("a", Some(0), 10).as_ref());
    assert_eq!((schedule.get(id(2)), schedule.next_delivery("o")), (None, None));
    schedule.clear();
    assert_eq!(schedule.work_lanes().len(), 0);
    schedule.roll_back();
    assert_eq!(schedule.work_lanes().len(), 1);
}

#[test]
fn jobs_share_the_names_of_their_handlers() {
    let mut schedule = Schedule::default();
    for number in 1..=2 {
        schedule.set(id(number), queued("a", None, 0));
    }
    let name = |number| match &schedule.get(id(number)).unwrap().waits {
        Waits::Queued { handler, .. } => handler.clone(),
        _ => unreachable!("the job is queued"),
    };
    assert!(std::sync::Arc::ptr_eq(&name(1), &name(2)));
}

/// A random value for a job; times are close together, so that many are equal.
fn planned(random: &mut fastrand::Rng) -> Option<Planned> {
    let name = ["a", "b", "c"][random.usize(..3)].into();
    let mut time = || at(random.i64(0..30));
    let (one, two, three) = (time(), time(), time());
    let coin = random.bool();
    let waits = match random.u8(0..6) {
        0 => return None,
        1 => Waits::Queued { handler: name, due_at: coin.then_some(one), answer_by: two },
        2 => Waits::Running { handler: name, lease_until: one, answer_by: two },
        3 => Waits::Awaiting { handler: name, answer_by: one },
        _ => Waits::Delivering {
            origin: name,
            rank: random.u8(0..3),
            due_at: one,
            waiting_since: two,
            lease_until: (random.u8(0..4) == 0).then_some(three),
        },
    };
    Some(Planned { fence: random.i64(0..9), waits })
}

#[test]
fn the_schedule_chooses_like_a_search_through_all_jobs() {
    for seed in 0..200 {
        let random = &mut fastrand::Rng::with_seed(seed);
        let (mut schedule, mut naive) = (Schedule::default(), Naive::default());
        for _ in 0..40 {
            let mut changed = naive.clone();
            for _ in 0..random.usize(1..12) {
                let (id, planned) = (id(random.u128(0..25)), planned(random));
                schedule.set(id, planned.clone());
                changed.set(id, planned);
            }
            if random.bool() {
                schedule.commit();
                naive = changed;
            } else {
                schedule.roll_back();
            }
            compare(&schedule, &naive, random, seed);
        }
    }
}

fn compare(schedule: &Schedule, naive: &Naive, random: &mut fastrand::Rng, seed: u64) {
    let (now, limit) = (at(random.i64(0..30)), random.usize(0..8));
    let young_since = now - Duration::from_millis(random.u64(0..10));
    for lane in ["a", "b", "c"] {
        assert_eq!(schedule.due_work(lane, now, limit), naive.due_work(lane, now, limit), "seed {seed}");
        assert_eq!(schedule.next_due(lane), naive.next_due(lane), "seed {seed}");
        assert_eq!(schedule.next_delivery(lane), naive.next_delivery(lane), "seed {seed}");
        for retries_first in [true, false] {
            assert_eq!(
                schedule.longest_due(lane, now, limit, retries_first),
                naive.longest_due(lane, now, limit, retries_first),
                "seed {seed}"
            );
        }
        assert_eq!(
            schedule.young_first(lane, now, young_since, limit),
            naive.young_first(lane, now, young_since, limit),
            "seed {seed}"
        );
        assert_eq!(schedule.work_lanes().get(lane).copied(), naive.next_due(lane), "seed {seed}");
        assert_eq!(schedule.delivery_lanes().get(lane).copied(), naive.next_delivery(lane), "seed {seed}");
        let awaiting = schedule.awaiting_jobs().find(|(handler, _)| &***handler == lane);
        assert_eq!(awaiting.map_or(0, |(_, jobs)| jobs), naive.awaiting(lane), "seed {seed}");
    }
    assert_eq!(schedule.overdue(now, limit), naive.overdue(now, limit), "seed {seed}");
    assert_eq!(schedule.not_called_back(now, limit), naive.not_called_back(now, limit), "seed {seed}");
    assert_eq!(schedule.next_overdue(), naive.next_overdue(), "seed {seed}");
    for until in [Some(now), None] {
        assert_eq!(schedule.expired(until), naive.expired(until), "seed {seed}");
    }
}
