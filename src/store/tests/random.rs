//! A long random life, held against a simple model: states, numbers of claims, counts and lanes.

use std::collections::BTreeMap;

use super::*;
use crate::store::upkeep::{DeleteFinished, Free};

/// What the store should know of a job.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Expected {
    state: StateName,
    fence: i64,
    handler_attempts: u32,
    delivery_attempts: u32,
    finished_at: Option<Timestamp>,
}

struct Life {
    home: Home,
    store: Store,
    random: fastrand::Rng,
    jobs: BTreeMap<JobId, Expected>,
    /// Claims that somebody holds, also those that are void by now.
    workers: Vec<RunningJob>,
    senders: Vec<DeliveringJob>,
}

const HANDLERS: [&str; 2] = ["greet", "other"];
const ORIGINS: [&str; 2] = ["https://one.kommo.com", "https://two.kommo.com"];

impl Life {
    async fn step(&mut self) {
        match self.random.u32(..100) {
            0..25 => self.accept().await,
            25..45 => self.claim_work().await,
            45..60 => self.report_work().await,
            60..72 => self.claim_deliveries().await,
            72..86 => self.report_delivery().await,
            86..90 => self.cancel().await,
            90..93 => self.retry().await,
            93..97 => self.home.pass(Duration::from_millis(self.random.u64(1..5_000))),
            97..98 => self.free().await,
            _ => self.delete().await,
        }
    }

    fn expect(&mut self, id: JobId) -> &mut Expected {
        self.jobs.get_mut(&id).unwrap()
    }

    async fn accept(&mut self) {
        let mut request = self.home.request();
        request.handler = handler(HANDLERS[self.random.usize(..2)]);
        request.request.return_url = return_url(ORIGINS[self.random.usize(..2)]);
        let id = accept(&self.store, request).await;
        let state = StateName::Queued;
        let new = Expected { state, fence: 0, handler_attempts: 0, delivery_attempts: 0, finished_at: None };
        self.jobs.insert(id, new);
    }

    async fn claim_work(&mut self) {
        let limit = self.random.usize(1..4);
        let claimed = if self.random.u32(..5) == 0 {
            self.store.claim_overdue(limit, LEASE).await.unwrap()
        } else {
            let lane = HANDLERS[self.random.usize(..2)];
            self.store.claim_work(lane.into(), limit, LEASE).await.unwrap()
        };
        assert!(claimed.len() <= limit);
        for job in claimed {
            let expected = self.expect(job.id);
            assert_eq!((expected.state, expected.fence + 1), (StateName::Queued, job.fence.0));
            *expected = Expected { state: StateName::Running, fence: job.fence.0, ..*expected };
            assert_eq!(job.attempts, expected.handler_attempts);
            self.workers.push(job);
        }
    }

    async fn report_work(&mut self) {
        if self.workers.is_empty() {
            return;
        }
        let job = self.workers.swap_remove(self.random.usize(..self.workers.len()));
        let (id, fence) = (job.id, job.fence.0);
        let retry_at = self.home.now() + Duration::from_millis(self.random.u64(..4_000));
        let (next, state, charged) = match self.random.u32(..10) {
            0..7 => (AfterHandler::Deliver(prepared("hi")), StateName::Delivering, true),
            7..9 => (AfterHandler::Retry { due_at: retry_at }, StateName::Queued, true),
            _ => (AfterHandler::HandBack, StateName::Queued, false),
        };
        let mut report = handled(job, next);
        report.attempt = report.attempt.filter(|_| charged);
        let live =
            self.jobs.get(&id).is_some_and(|job| (job.state, job.fence) == (StateName::Running, fence));
        let written = if live { Written::Done } else { Written::Stale };
        assert_eq!(self.store.handled(report).await, Ok(written));
        if live {
            let expected = self.expect(id);
            expected.state = state;
            expected.handler_attempts += u32::from(charged);
        }
    }

    async fn claim_deliveries(&mut self) {
        let (limit, retries_first) = (self.random.usize(1..4), self.random.bool());
        let lane = ORIGINS[self.random.usize(..2)];
        let claimed = self.store.claim_deliveries(lane.into(), limit, retries_first, LEASE).await.unwrap();
        assert!(claimed.len() <= limit);
        for job in claimed {
            let expected = self.expect(job.id);
            assert_eq!((expected.state, expected.fence + 1), (StateName::Delivering, job.fence.0));
            expected.fence = job.fence.0;
            assert_eq!(job.attempts, expected.delivery_attempts);
            self.senders.push(job);
        }
    }

    async fn report_delivery(&mut self) {
        if self.senders.is_empty() {
            return;
        }
        let job = self.senders.swap_remove(self.random.usize(..self.senders.len()));
        let (id, fence) = (job.id, job.fence.0);
        let due_at = self.home.now() + Duration::from_millis(self.random.u64(..4_000));
        let failing_since = job.delivery.failing_since.or(Some(self.home.now()));
        let delivery =
            Delivery { failures: job.delivery.failures + 1, failing_since, answer_lost: self.random.bool() };
        let next = match self.random.u32(..12) {
            0..4 => AfterDelivery::Delivered,
            4..5 => AfterDelivery::Gone,
            5..7 => AfterDelivery::Dead { answer_lost: delivery.answer_lost },
            7..10 => AfterDelivery::Retry { due_at, delivery },
            10..11 => AfterDelivery::Wait { delivery, keeps_place: true },
            _ => AfterDelivery::Replace { prepared: prepared("else"), delivery: Delivery::default() },
        };
        let state = match next {
            AfterDelivery::Delivered => StateName::Delivered,
            AfterDelivery::Gone => StateName::Gone,
            AfterDelivery::Dead { .. } => StateName::Dead,
            _ => StateName::Delivering,
        };
        let charged = !matches!(next, AfterDelivery::Wait { .. });
        let mut report = sent(job, next);
        report.attempt = report.attempt.filter(|_| charged);
        // Whoever lost its lease has an old number: being freed raised it.
        let live =
            self.jobs.get(&id).is_some_and(|job| (job.state, job.fence) == (StateName::Delivering, fence));
        let written = if live { Written::Done } else { Written::Stale };
        assert_eq!(self.store.sent(report).await, Ok(written));
        if live {
            let now = self.home.now();
            let expected = self.expect(id);
            expected.state = state;
            expected.delivery_attempts += u32::from(charged);
            expected.finished_at = state.is_finished().then_some(now);
        }
    }

    fn anyone(&mut self) -> Option<JobId> {
        let index = self.random.usize(..self.jobs.len().max(1));
        self.jobs.keys().nth(index).copied()
    }

    async fn cancel(&mut self) {
        let Some(id) = self.anyone() else { return };
        let (cancelled, now) = (self.store.cancel(id).await.is_ok(), self.home.now());
        let expected = self.expect(id);
        assert_eq!(cancelled, !expected.state.is_finished());
        if cancelled {
            let (state, fence) = (StateName::Cancelled, expected.fence + 1);
            *expected = Expected { state, fence, finished_at: Some(now), ..*expected };
        }
    }

    async fn retry(&mut self) {
        let is_dead = |job: &Expected| job.state == StateName::Dead;
        if self.random.bool() {
            let dead = self.jobs.values().filter(|job| is_dead(job)).count() as u64;
            assert_eq!(self.store.retry_dead(None).await, Ok(dead));
            self.jobs.values_mut().filter(|job| is_dead(job)).for_each(revive);
        } else if let Some(id) = self.anyone() {
            let retried = self.store.retry(id).await.is_ok();
            assert_eq!(retried, is_dead(self.expect(id)));
            if retried {
                revive(self.expect(id));
            }
        }
    }

    /// As after a crash: all claims are void.
    async fn free(&mut self) {
        let held = self.number("lease_until IS NOT NULL").await;
        let freed = self.store.ask(Free { until: None, now: self.home.now() }).await;
        assert_eq!(freed, Ok(held.unsigned_abs()));
        let senders: Vec<(JobId, i64)> = self.senders.iter().map(|job| (job.id, job.fence.0)).collect();
        for (id, job) in &mut self.jobs {
            let sending = job.state == StateName::Delivering && senders.contains(&(*id, job.fence));
            if job.state == StateName::Running {
                job.state = StateName::Queued;
                job.fence += 1;
            } else if sending {
                job.fence += 1;
            }
        }
    }

    async fn delete(&mut self) {
        let before = self.home.now() - Duration::from_secs(20);
        let old = |job: &Expected| job.finished_at.is_some_and(|at| at < before);
        let count = self.jobs.values().filter(|job| old(job)).count() as u64;
        assert_eq!(self.store.ask(DeleteFinished { before }).await, Ok(count));
        self.jobs.retain(|_, job| !old(job));
    }

    async fn number(&self, condition: &str) -> i64 {
        self.home.number(&format!("SELECT count(*) FROM jobs WHERE {condition}")).await
    }

    async fn check(&self) {
        let mut raw = self.home.raw().await;
        let rows = sqlx::query_as::<_, (uuid::Uuid, String, i64, u32, u32, Option<i64>)>(
            "SELECT id, state, fence, handler_attempts, delivery_attempts, finished_at FROM jobs",
        );
        let rows = rows.fetch_all(&mut raw).await.unwrap().into_iter();
        let stored = rows.map(|(id, state, fence, handler_attempts, delivery_attempts, finished_at)| {
            let finished_at = finished_at.map(Timestamp::from_millis);
            let state = state.parse().unwrap();
            let job = Expected { state, fence, handler_attempts, delivery_attempts, finished_at };
            (JobId::from_uuid(id), job)
        });
        assert_eq!(stored.collect::<BTreeMap<_, _>>(), self.jobs);

        let stats = self.store.stats().await.unwrap().jobs;
        for (state, counted) in stats {
            let real = self.number(&format!("state = '{state}'")).await;
            assert_eq!(counted, real.unsigned_abs(), "{state}");
        }
        let history = self.home.number("SELECT count(*) FROM attempts").await;
        let charged: u32 = self.jobs.values().map(|job| job.handler_attempts + job.delivery_attempts).sum();
        assert_eq!(history, i64::from(charged));
        self.check_lanes().await;
    }

    /// A lane may look due once in vain, but where a job waits it must not look empty.
    async fn check_lanes(&self) {
        let now = self.home.now();
        let millis = now.as_millis();
        for lane in HANDLERS {
            let waits = format!("state = 'queued' AND handler = '{lane}' AND due_at <= {millis}");
            let known = self.store.work().due(now).contains(&lane.into());
            assert!(known || self.number(&waits).await == 0, "{lane}");
        }
        for lane in ORIGINS {
            let free = "state = 'delivering' AND lease_until IS NULL";
            let waits = format!("{free} AND origin = '{lane}' AND due_at <= {millis}");
            let known = self.store.delivery().due(now).contains(&lane.into());
            assert!(known || self.number(&waits).await == 0, "{lane}");
        }
        let first =
            self.home.number("SELECT coalesce(min(answer_by), -1) FROM jobs WHERE state = 'queued'").await;
        let known = self.store.work().deadline().map_or(i64::MAX, Timestamp::as_millis);
        assert!(first == -1 || known <= first);
    }
}

fn revive(job: &mut Expected) {
    *job = Expected { state: StateName::Delivering, fence: job.fence + 1, finished_at: None, ..*job };
}

#[tokio::test]
async fn the_store_does_what_the_model_does() {
    for seed in 0..4 {
        let home = Home::new();
        let store = home.serve().await;
        let random = fastrand::Rng::with_seed(seed);
        let jobs = BTreeMap::new();
        let mut life = Life { home, store, random, jobs, workers: Vec::new(), senders: Vec::new() };
        for step in 0..800 {
            life.step().await;
            if step % 40 == 0 {
                life.check().await;
            }
        }
        life.check().await;
    }
}
