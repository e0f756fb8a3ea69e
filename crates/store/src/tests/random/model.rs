//! The model of a store: a map of jobs and a map of keys.
//!
//! Each operation checks the store's answer and changes the model. It panics if the answer is wrong. If the store may
//! choose, for example between two jobs that are due at the same moment, the model checks the choice and adopts it.

use std::collections::{BTreeMap, BTreeSet};

use super::super::*;
use super::known::Known;

/// The content of a report.
#[derive(Clone, Debug)]
pub(super) struct Reported<N> {
    pub(super) id: JobId,
    pub(super) fence: Fence,
    pub(super) attempt: Option<Attempt>,
    /// For a delivery, whether a continue was sent.
    pub(super) tried: bool,
    pub(super) next: N,
    pub(super) error: Option<String>,
}

/// A key, and when its token expires by both clocks.
pub(super) struct Key {
    first: JobId,
    expires_at: Timestamp,
    expires_service_at: ServiceTime,
}

impl Key {
    fn is_over(&self, now: Cutoff) -> bool {
        self.expires_at < now.calendar && self.expires_service_at < now.service
    }
}

#[derive(Default)]
pub(super) struct Model {
    pub(super) jobs: BTreeMap<JobId, Known>,
    pub(super) keys: BTreeMap<(AccountId, String), Key>,
    /// The keys that this transaction has stored. It knows them even if their token has expired.
    pub(super) new_keys: BTreeSet<(AccountId, String)>,
}

const FREED: &str = "the process ended, or lost its lease, while the handler ran";

impl Model {
    /// Accepts a request. If there is a lease, a worker has already claimed the job.
    pub(super) fn accepted(&mut self, new: NewJob, lease: Option<Timestamp>, moment: Moment) -> Accepted {
        let now = moment.steady;
        let key = (new.request.account_id, new.idempotency_key.clone());
        let is_new = self.new_keys.contains(&key);
        let is_known = |key: &&Key| is_new || !key.is_over(moment.cutoff(Duration::ZERO));
        if let Some(known) = self.keys.get(&key).filter(is_known) {
            assert_eq!(lease, None, "a duplicate was handed over");
            return Accepted { id: known.first, duplicate: true };
        }
        let (first, expires_at) = (new.id, new.token_expires_at);
        let expires_service_at = moment.service_at(expires_at);
        self.new_keys.insert(key.clone());
        self.keys.insert(key, Key { first, expires_at, expires_service_at });
        let overtaken =
            self.jobs.values().any(|job| job.job.handler == new.handler && job.queued(now).is_some());
        assert!(lease.is_none() || !overtaken, "a new job overtook a waiting one");
        let (turn, coalesce) = self.place(&new);
        assert!(lease.is_none() || (turn.unwrap_or(1) == 1 && coalesce.is_none()), "it is not its turn");
        let state = match lease {
            Some(lease_until) => State::Running { lease_until },
            None if turn.unwrap_or(1) > 1 => State::Queued(QueueWait::Turn),
            None => State::Queued(
                coalesce.map_or(QueueWait::Until(now), |coalesce| QueueWait::Messages(now + coalesce)),
            ),
        };
        let NewJob { id, handler, request, received_at, answer_by, .. } = new;
        for older in self.jobs.values_mut().filter(|older| older.job.request.return_url == request.return_url)
        {
            let ended = matches!(older.job.state.name(), StateName::Delivered | StateName::Cancelled);
            older.superseded_by = older.superseded_by.or((!ended).then_some(id));
        }
        let job = Job {
            id,
            handler,
            request,
            received_at,
            answer_by,
            handler_attempts: 0,
            delivery_attempts: 0,
            last_error: None,
            handler_completion: None,
            error_group: None,
            joined_into: None,
            state,
        };
        let known = Known {
            job,
            attempts: Vec::new(),
            waiting_since: now,
            finished_service_at: None,
            fence: i64::from(lease.is_some()),
            crashes: 0,
            turn,
            coalesce,
            delivery: Delivery::default(),
            tried: false,
            superseded_by: None,
            bodies_dropped: false,
        };
        self.jobs.insert(id, known);
        if coalesce.is_some() {
            self.give(id, now);
        }
        Accepted { id, duplicate: false }
    }

    /// Applies a worker's report. If there is a lease, the sender has already claimed the delivery.
    pub(super) fn handled(
        &mut self,
        reported: Reported<AfterHandler>,
        lease: Option<Timestamp>,
        now: Timestamp,
    ) -> Written {
        let is_claim = |known: &&mut Known| {
            known.job.state.name() == StateName::Running && known.fence == reported.fence.0
        };
        let Some(known) = self.jobs.get_mut(&reported.id).filter(is_claim) else {
            assert_eq!(lease, None, "the delivery of a stale report was handed over");
            return Written::Stale;
        };
        known.job.handler_attempts += u32::from(reported.attempt.is_some());
        known.charge(reported.attempt, reported.error);
        known.crashes = 0;
        known.fence += i64::from(lease.is_some());
        known.job.state = match reported.next {
            AfterHandler::Deliver(prepared) => {
                State::Delivering { prepared, due_at: now, lease_until: lease }
            }
            AfterHandler::Retry { due_at } => known.queued_until(due_at),
            AfterHandler::AwaitCallback => State::AwaitingCallback,
            AfterHandler::HandBack => known.queued_until(now),
        };
        let origin = known.origin().to_owned();
        self.after_report(reported.id, now);
        let waits = |known: &Known| known.job.id != reported.id && known.origin() == origin;
        let overtaken = self.jobs.values().any(|known| waits(known) && known.undelivered(now).is_some());
        assert!(lease.is_none() || !overtaken, "a new delivery overtook a waiting one");
        Written::Done
    }

    /// Applies a report of the sender.
    pub(super) fn sent(&mut self, reported: Reported<AfterDelivery>, moment: Moment) -> Written {
        let now = moment.steady;
        let is_claim = |known: &&mut Known| {
            known.job.state.name() == StateName::Delivering && known.fence == reported.fence.0
        };
        let Some(known) = self.jobs.get_mut(&reported.id).filter(is_claim) else { return Written::Stale };
        known.job.delivery_attempts += u32::from(reported.attempt.is_some());
        known.charge(reported.attempt, reported.error);
        known.tried = reported.tried;
        let (prepared, finished_at) = (known.prepared().unwrap(), moment.calendar);
        let waiting = |due_at, prepared| State::Delivering { prepared, due_at, lease_until: None };
        known.job.state = match reported.next {
            AfterDelivery::Delivered => State::Delivered { prepared, finished_at },
            AfterDelivery::Gone => State::Gone { prepared, finished_at },
            AfterDelivery::Dead { answer_lost } => {
                known.delivery.answer_lost = answer_lost;
                State::Dead { prepared, finished_at }
            }
            AfterDelivery::Retry { due_at, delivery } => {
                known.delivery = delivery;
                waiting(due_at, prepared)
            }
            AfterDelivery::Wait { delivery, keeps_place } => {
                known.delivery = delivery;
                waiting(if keeps_place { known.waiting_since.min(now) } else { now }, prepared)
            }
            AfterDelivery::Replace { prepared: other, delivery } => {
                known.delivery = delivery;
                known.replace(other);
                waiting(now, known.prepared().unwrap())
            }
        };
        known.finished_service_at = known.finished_at().map(|_| moment.service);
        Written::Done
    }

    pub(super) fn claimed_work(
        &mut self,
        handler: &str,
        limit: usize,
        lease: Timestamp,
        now: Timestamp,
        got: &[RunningJob],
    ) {
        let ids = Vec::from_iter(got.iter().map(|job| self.first_message(job.id)));
        self.are_first(&ids, limit, |known| {
            known.queued(now).filter(|_| known.job.handler.as_str() == handler && known.job.answer_by > now)
        });
        self.claim(&ids, lease);
        ids.iter().for_each(|id| self.join(*id, lease, now));
        self.got(got);
    }

    pub(super) fn claimed_overdue(&mut self, limit: usize, lease: Timestamp, now: Timestamp, got: &Overdue) {
        for (state, got) in [(StateName::Queued, &got.queued), (StateName::AwaitingCallback, &got.awaiting)] {
            let ids = Vec::from_iter(got.iter().map(|job| job.id));
            self.are_first(&ids, limit, |known| {
                let waits = known.job.state.name() == state;
                Some(known.job.answer_by).filter(|answer_by| waits && *answer_by <= now)
            });
            self.start(&ids, lease, got);
        }
    }

    pub(super) fn start(&mut self, ids: &[JobId], lease_until: Timestamp, got: &[RunningJob]) {
        self.claim(ids, lease_until);
        self.got(got);
    }

    fn claim(&mut self, ids: &[JobId], lease_until: Timestamp) {
        for id in ids {
            let known = self.jobs.get_mut(id).unwrap();
            known.fence += 1;
            known.job.state = State::Running { lease_until };
        }
    }

    fn got(&self, got: &[RunningJob]) {
        assert!(got.is_sorted_by_key(|job| job.waiting_since));
        for job in got {
            assert_eq!(*job, self.jobs[&job.id].running());
        }
    }

    pub(super) fn claimed_deliveries(
        &mut self,
        (origin, longest_due): (&str, LongestDue),
        limit: usize,
        lease: Timestamp,
        now: Timestamp,
        got: &[DeliveringJob],
    ) {
        let is_due = |known: &&Known| known.origin() == origin && known.undelivered(now).is_some();
        let mut waiting: Vec<&Known> = self.jobs.values().filter(is_due).collect();
        let LongestDue { jobs, retries_first } = longest_due;
        let turn = |rank| if retries_first { 2 - rank } else { rank };
        waiting.sort_by_key(|known| (turn(known.rank()), known.since()));
        let jobs = jobs.min(limit).min(waiting.len());
        let mut expected = Vec::from_iter(waiting.drain(..jobs).map(|known| known.job.id));
        waiting.sort_by_key(|known| known.turn(now));
        expected.extend(waiting.iter().take(limit - jobs).map(|known| known.job.id));
        let mut ids = Vec::from_iter(got.iter().map(|job| job.id));
        ids.sort_unstable();
        expected.sort_unstable();
        assert_eq!(ids, expected, "other jobs come first");
        assert!(got.is_sorted_by_key(|job| job.waiting_since));
        for job in got {
            let known = self.jobs.get_mut(&job.id).unwrap();
            known.fence += 1;
            let State::Delivering { lease_until, .. } = &mut known.job.state else { panic!() };
            *lease_until = Some(lease);
            assert_eq!(*job, known.delivering());
        }
    }

    /// Checks that `ids` are the first due jobs, as many as the limit allows. `since` returns when a job became due;
    /// `None` excludes it.
    fn are_first(&self, ids: &[JobId], limit: usize, since: impl Fn(&Known) -> Option<Timestamp>) {
        let mut all: Vec<(Timestamp, JobId)> =
            self.jobs.values().filter_map(|known| Some((since(known)?, known.job.id))).collect();
        all.sort_unstable();
        let mut first: Vec<Timestamp> = all.iter().take(limit).map(|(since, _)| *since).collect();
        let mut got = Vec::new();
        for id in ids {
            let at = all.iter().position(|(_, other)| other == id).expect("a claimed job is not due");
            got.push(all.remove(at).0);
        }
        got.sort_unstable();
        first.sort_unstable();
        assert_eq!(got, first, "other jobs were due earlier");
    }

    pub(super) fn cancelled(&mut self, id: JobId, answer: &Result<(), StoreError>, now: Moment) {
        let Some(known) = self.jobs.get_mut(&id) else {
            return assert_eq!(*answer, Err(StoreError::NoJob(id)));
        };
        if known.finished_at().is_some() {
            let refused = matches!(answer, Err(StoreError::WrongState { state, .. }) if *state == known.job.state.name());
            return assert!(refused, "{answer:?}");
        }
        assert_eq!(*answer, Ok(()));
        known.fence += 1;
        known.job.state = State::Cancelled { prepared: known.prepared(), finished_at: now.calendar };
        known.finished_service_at = Some(now.service);
        self.left(id, now.steady);
    }

    pub(super) fn retried(
        &mut self,
        id: JobId,
        options: &RetryOptions,
        answer: &Result<(), StoreError>,
        now: Timestamp,
    ) {
        let Some(known) = self.jobs.get_mut(&id) else {
            return assert_eq!(*answer, Err(StoreError::NoJob(id)));
        };
        let state = known.job.state.name();
        let is_waiting = matches!(known.job.state, State::Delivering { lease_until: None, .. });
        if !is_waiting && !matches!(state, StateName::Dead | StateName::Gone) {
            let refused =
                matches!(answer, Err(StoreError::WrongState { state: named, .. }) if *named == state);
            return assert!(refused, "{answer:?}");
        }
        let is_erased = known.bodies_dropped && !is_waiting;
        if is_erased {
            let refused =
                matches!(answer, Err(StoreError::WrongState { allowed, .. }) if allowed.contains("erased"));
            return assert!(refused, "{answer:?}");
        }
        if let Some(newer) = known.superseded_by.filter(|_| known.is_superseded() && !options.force) {
            return assert_eq!(*answer, Err(StoreError::Superseded { id, newer }));
        }
        let is_fallback = matches!(known.prepared().unwrap().outcome, Outcome::Fallback(_));
        if options.send == Resend::Handler && is_fallback && known.job.handler_completion.is_none() {
            return assert_eq!(*answer, Err(StoreError::NoHandlerCompletion(id)));
        }
        assert_eq!(*answer, Ok(()));
        known.revive(options, now);
    }

    pub(super) fn retried_dead(&mut self, handler: Option<&str>, force: bool, now: Timestamp) -> u64 {
        let options = RetryOptions { force, ..RetryOptions::default() };
        let is_meant = |known: &&mut Known| {
            known.job.state.name() == StateName::Dead
                && !known.bodies_dropped
                && handler.is_none_or(|handler| known.job.handler.as_str() == handler)
                && (force || !known.is_superseded())
        };
        self.jobs.values_mut().filter(is_meant).map(|known| known.revive(&options, now)).count() as u64
    }

    /// Frees the leases that end at `until` or earlier; `None` frees all. Returns how many.
    pub(super) fn freed(&mut self, until: Option<Timestamp>, now: Timestamp) -> u64 {
        let (mut freed, mut ordered) = (0, Vec::new());
        for known in self.jobs.values_mut() {
            let is_over = |lease: Timestamp| until.is_none_or(|until| lease <= until);
            match &mut known.job.state {
                State::Running { lease_until } if is_over(*lease_until) => {
                    known.crashes += 1;
                    known.job.last_error = Some(FREED.to_owned());
                    known.job.state =
                        State::Queued(known.turn.map_or(QueueWait::Until(now), |_| QueueWait::Turn));
                    ordered.extend(known.turn.map(|_| known.job.id));
                }
                State::Delivering { due_at, lease_until, .. } if lease_until.is_some_and(is_over) => {
                    known.delivery.answer_lost = true;
                    known.tried = true;
                    (*due_at, *lease_until) = (now, None);
                }
                _ => continue,
            }
            known.fence += 1;
            freed += 1;
        }
        ordered.into_iter().for_each(|id| self.give(id, now));
        freed
    }

    /// Drops the bodies of delivered and cancelled jobs that finished before `before`.
    pub(super) fn without_bodies(&mut self, before: Cutoff) {
        for known in self.jobs.values_mut() {
            let droppable = matches!(known.job.state.name(), StateName::Delivered | StateName::Cancelled);
            known.bodies_dropped |= droppable && known.is_older(before);
        }
    }

    pub(super) fn deleted(&mut self, before: Cutoff) -> u64 {
        let all = self.jobs.len();
        self.jobs.retain(|_, known| !known.is_older(before));
        (all - self.jobs.len()) as u64
    }

    /// Deletes keys that have expired by both clocks. They stay unknown even if the calendar is set back.
    pub(super) fn forgotten(&mut self, now: Cutoff) {
        self.keys.retain(|_, key| !key.is_over(now));
    }
}
