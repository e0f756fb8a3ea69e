//! Runs events on a real store and on the model, and compares the results.

use std::collections::BTreeMap;

use futures_util::future::{BoxFuture, join_all};
use proptest::sample::Index;

use super::super::hand_over::Room;
use super::super::*;
use super::known::run_of;
use super::later::{claimed_awaiting, completed};
use super::model::{Model, Reported};
use super::process::at_once;
use super::steps::{About, AfterCall, AfterWork, Event, Step, calmed, retry_options};

pub(super) const HANDLERS: [&str; 2] = ["greet", "other"];
pub(super) const ORIGINS: [&str; 2] = ["https://one.kommo.com", "https://two.kommo.com"];

pub(super) struct Life {
    pub(super) home: Home,
    pub(super) store: Store,
    pub(super) model: Model,
    /// Claims without a report, including void ones.
    pub(super) workers: Vec<RunningJob>,
    senders: Vec<DeliveringJob>,
    pub(super) free_workers: Arc<Room<RunningJob>>,
    pub(super) free_senders: Arc<Room<DeliveringJob>>,
    /// The jobs that this transaction handed over.
    to_workers: BTreeMap<JobId, RunningJob>,
    to_senders: BTreeMap<JobId, DeliveringJob>,
    /// The last stored moment.
    pub(super) noted: Moment,
    /// All jobs, and all keys with the end of their token, that ever existed.
    ids: Vec<JobId>,
    keys: Vec<(String, Timestamp)>,
    /// How often everything was checked.
    pub(super) checks: usize,
}

/// Compares the store's answer with the model's.
pub(super) type Check = Box<dyn FnOnce(&mut Life) + Send>;
/// The position of a kind of operation in the order of a transaction.
pub(super) type Turn = u8;
const ACCEPTS: Turn = 0;
const WORKERS: Turn = 1;
const SENDERS: Turn = 2;
pub(super) const COMMANDS: Turn = 3;
/// Commands that search before they reach the writer. What they change is what they have found and no one has changed since.
const AFTER_A_SEARCH: Turn = 4;

pub(super) type Asked = (Turn, BoxFuture<'static, Check>);

pub(super) fn asked(turn: Turn, asking: impl Future<Output = Check> + Send + 'static) -> Asked {
    (turn, Box::pin(asking))
}

pub(super) fn check(check: impl FnOnce(&mut Life) + Send + 'static) -> Check {
    Box::new(check)
}

impl Life {
    pub(super) async fn begin() -> Self {
        let home = Home::new();
        let store = home.serve().await;
        let noted = store.0.moment();
        let mut life = Self {
            home,
            store,
            noted,
            model: Model::default(),
            workers: Vec::new(),
            senders: Vec::new(),
            free_workers: Room::with(0),
            free_senders: Room::with(0),
            to_workers: BTreeMap::new(),
            to_senders: BTreeMap::new(),
            ids: Vec::new(),
            keys: Vec::new(),
            checks: 0,
        };
        life.register_rooms(0, 0);
        life
    }

    pub(super) async fn happen(&mut self, event: Event) {
        match event {
            Event::Together(steps) => self.together(steps).await,
            Event::Pass(millis) => self.home.pass(Duration::from_millis(millis)),
            Event::Jump(millis) => {
                self.jump(millis);
                // Maintenance does the same after a jump.
                self.store.0.note_time().await.unwrap();
                self.noted = self.store.0.moment();
            }
            Event::FreeRooms { workers, senders } => {
                self.free_workers.free.store(workers, Ordering::SeqCst);
                self.free_senders.free.store(senders, Ordering::SeqCst);
            }
            Event::Crash => {
                self.die().await;
                self.open_again().await;
            }
            Event::Reopen(millis) => {
                self.noted = self.store.0.moment();
                self.store.close().await;
                self.jump(millis);
                // The steady clock starts at the calendar's time.
                self.home.restart(self.home.now());
                self.open_again().await;
            }
            Event::MoveKeys { all } => self.move_keys(all).await,
            Event::IndexJobs => {
                self.store.0.index_few().await;
                self.store.0.delete_empty_runs().await.unwrap();
            }
            Event::Erase { account, cancels } => self.erase(account, cancels).await,
            Event::Observe(step) => self.observe(step).await,
            Event::DropBodies(millis) => {
                let before = self.store.0.moment().cutoff(Duration::from_millis(millis));
                self.store.0.drop_bodies_before(before).await;
                self.model.without_bodies(before);
            }
        }
    }

    /// Runs all operations of these steps in one transaction, as far as they need the writer.
    pub(super) async fn together(&mut self, steps: Vec<Step>) {
        let mut operations = Vec::new();
        for step in steps {
            self.ask(step, &mut operations);
        }
        let count = operations.len();
        let (turns, asking): (Vec<Turn>, Vec<_>) = operations.into_iter().unzip();
        let answers = if count > 1 { at_once(&self.store, asking).await } else { join_all(asking).await };
        self.to_workers = self.free_workers.taken().into_iter().map(|job| (job.id, job)).collect();
        self.to_senders = self.free_senders.taken().into_iter().map(|job| (job.id, job)).collect();
        let mut checks: Vec<(Turn, Check)> = turns.into_iter().zip(answers).collect();
        checks.sort_by_key(|(turn, _)| *turn);
        self.model.new_keys.clear();
        for (_, check) in checks {
            check(self);
        }
        assert!(
            self.to_workers.is_empty() && self.to_senders.is_empty(),
            "the store handed over a job that no operation explains"
        );
    }

    fn ask(&mut self, step: Step, operations: &mut Vec<Asked>) {
        let store = self.store.clone();
        let moment = self.store.0.moment();
        let now = moment.steady;
        let until = |lease: u64| now + Duration::from_millis(lease);
        operations.push(match step {
            Step::Accept { lane, bot, account, key, answer_within, token_life, ordering, lead } => {
                let mut new = self.request((lane, bot), account, key, answer_within, token_life);
                new.ordering = ordering;
                new.request.entity = (lead > 0).then_some(Entity { kind: EntityKind::Lead, id: lead });
                asked(ACCEPTS, async move {
                    let answer = store.jobs().accept(new.clone(), COMMIT_TIMEOUT).await;
                    check(move |life| life.accepted(new, answer, moment))
                })
            }
            Step::Handled { claim, next, about } => {
                if self.workers.is_empty() {
                    return;
                }
                let job = self.workers.swap_remove(claim.index(self.workers.len()));
                self.handled(job, next, about)
            }
            Step::Sent { claim, next, about } => {
                if self.senders.is_empty() {
                    return;
                }
                let job = self.senders.swap_remove(claim.index(self.senders.len()));
                self.sent(job, next, about)
            }
            Step::Duel(job_index) => return self.duel(job_index, operations),
            Step::ClaimWork { lane, limit, lease } => {
                let (lane, until) = (HANDLERS[lane], until(lease));
                asked(COMMANDS, async move {
                    let got = store
                        .jobs()
                        .claim_work(lane.into(), limit, Duration::from_millis(lease))
                        .await
                        .unwrap();
                    check(move |life| {
                        life.model.claimed_work(lane, limit, until, now, &got);
                        life.workers.extend(got);
                    })
                })
            }
            Step::ClaimOverdue { limit, lease } => {
                let until = until(lease);
                asked(COMMANDS, async move {
                    let got = store.jobs().claim_overdue(limit, Duration::from_millis(lease)).await.unwrap();
                    check(move |life| {
                        life.model.claimed_overdue(limit, until, now, &got);
                        life.workers.extend(got.queued.into_iter().chain(got.awaiting));
                    })
                })
            }
            Step::ClaimDeliveries { lane, limit, longest_due, retries_first, lease } => {
                let longest_due = LongestDue { jobs: longest_due, retries_first };
                let (lane, until) = (ORIGINS[lane], until(lease));
                asked(COMMANDS, async move {
                    let lease = Duration::from_millis(lease);
                    let got =
                        store.jobs().claim_deliveries(lane.into(), limit, longest_due, lease).await.unwrap();
                    check(move |life| {
                        life.model.claimed_deliveries((lane, longest_due), limit, until, now, &got);
                        life.senders.extend(got);
                    })
                })
            }
            Step::Cancel(job_index) => {
                let Some(id) = self.any_job(job_index) else { return };
                asked(COMMANDS, async move {
                    let answer = store.jobs().cancel(id).await;
                    check(move |life| life.model.cancelled(id, &answer, moment))
                })
            }
            Step::Complete { job_index, is_operator } => {
                let Some(id) = self.any_job(job_index) else { return };
                completed(store, id, is_operator, now)
            }
            Step::ClaimAwaiting { job_index, lease } => {
                let Some(id) = self.any_job(job_index) else { return };
                claimed_awaiting(store, id, Duration::from_millis(lease), now)
            }
            Step::Retry { job_index, handlers, force } => {
                let Some(id) = self.any_job(job_index) else { return };
                let options = retry_options(handlers, force);
                asked(COMMANDS, async move {
                    let answer = store.jobs().retry_with(id, options.clone()).await;
                    check(move |life| life.model.retried(id, &options, &answer, now))
                })
            }
            Step::RetryDead { lane, force } => asked(COMMANDS, async move {
                let answer = store.jobs().retry_dead(lane.map(|lane| handler(HANDLERS[lane])), force).await;
                let lane = lane.map(|lane| HANDLERS[lane]);
                let retried = answer.unwrap().retried;
                check(move |life| assert_eq!(retried, life.model.retried_dead(lane, force, now)))
            }),
            Step::Free => {
                let until = Some(now);
                asked(COMMANDS, async move {
                    let answer = store.0.free_leases(until, now).await;
                    check(move |life| assert_eq!(answer, Ok(life.model.freed(until, now))))
                })
            }
            Step::DeleteFinished(millis) => {
                let before = moment.cutoff(Duration::from_millis(millis));
                let searches = store.0.searches_first();
                let turn = if searches { AFTER_A_SEARCH } else { COMMANDS };
                asked(turn, async move {
                    if searches {
                        // The other operations reach the writer first.
                        tokio::task::yield_now().await;
                    }
                    let answer = store.0.delete_finished(before).await;
                    check(move |life| assert_eq!(answer.unwrap(), life.model.deleted(before)))
                })
            }
            Step::Reload => asked(COMMANDS, async move {
                store.0.reload().await;
                check(|_| {})
            }),
        });
    }

    fn request(
        &mut self,
        (lane, bot): (usize, u64),
        account: i64,
        key: Option<Index>,
        answer_within: u64,
        token_life: u64,
    ) -> NewJob {
        let mut new = self.home.request();
        new.handler = handler(HANDLERS[lane]);
        new.request.return_url = return_url(ORIGINS[lane], bot);
        new.request.account_id = AccountId(account);
        new.answer_by = self.home.steady() + Duration::from_millis(answer_within);
        new.token_expires_at = new.received_at + Duration::from_millis(token_life);
        match key.filter(|_| !self.keys.is_empty()) {
            Some(known) => {
                (new.idempotency_key, new.token_expires_at) = known.get(&self.keys).clone();
            }
            None => self.keys.push((new.idempotency_key.clone(), new.token_expires_at)),
        }
        self.ids.push(new.id);
        new
    }

    fn accepted(&mut self, new: NewJob, answer: Result<Accepted, StoreError>, now: Moment) {
        let id = new.id;
        let job = self.to_workers.remove(&id);
        let lease = job.as_ref().map(|_| self.home.clock.clock().steady() + LEASE);
        assert_eq!(answer, Ok(self.model.accepted(new, lease, now)));
        if let Some(job) = job {
            assert_eq!(job, self.model.jobs[&id].running());
            self.workers.push(job);
        }
    }

    fn duel(&mut self, job_index: Index, operations: &mut Vec<Asked>) {
        let Some(id) = self.any_job(job_index) else { return };
        let about = About { charged: true, error: false };
        for job in Vec::from_iter(self.workers.extract_if(.., |job| job.id == id)) {
            operations.push(self.handled(job, AfterWork::Deliver { fallback: false }, about));
        }
        for job in Vec::from_iter(self.senders.extract_if(.., |job| job.id == id)) {
            operations.push(self.sent(job, AfterCall::Dead { answer_lost: false }, about));
        }
    }

    fn handled(&self, job: RunningJob, next: AfterWork, about: About) -> Asked {
        let (store, now, id) = (self.store.clone(), self.home.steady(), job.id);
        let next = match next {
            AfterWork::Deliver { fallback: false } => AfterHandler::Deliver(prepared("hi")),
            AfterWork::Deliver { fallback: true } => AfterHandler::Deliver(PreparedCompletion {
                outcome: Outcome::Fallback(FallbackReason::MaxAttempts),
                ..prepared("sorry")
            }),
            AfterWork::Retry(after) => AfterHandler::Retry { due_at: now + Duration::from_millis(after) },
            AfterWork::AwaitCallback => AfterHandler::AwaitCallback,
            AfterWork::HandBack => AfterHandler::HandBack,
        };
        let mut report = handled(job, next.clone());
        report.attempt = report.attempt.filter(|_| about.charged);
        report.error = about.error.then(|| format!("handler, claim {}", report.job.fence.0));
        let (attempt, error) = (report.attempt.clone(), report.error.clone());
        // A delivery that is handed over knows no earlier attempt.
        let last_run = attempt.as_ref().map(run_of);
        let reported = Reported { id, fence: report.job.fence, attempt, tried: false, next, error };
        asked(WORKERS, async move {
            let answer = store.jobs().handled(report).await;
            check(move |life| {
                // Two claims of one job may report in one transaction. The delivery that is handed over belongs to one
                // of them.
                let follows = life.to_senders.get(&id).is_some_and(|job| job.fence.0 == reported.fence.0 + 1);
                let job = follows.then(|| life.to_senders.remove(&id)).flatten();
                let lease = job.as_ref().map(|_| life.home.clock.clock().steady() + LEASE);
                assert_eq!(answer, Ok(life.model.handled(reported, lease, now)));
                if let Some(job) = job {
                    let known = life.model.jobs[&id].delivering();
                    let known = DeliveringJob { superseded_by: None, last_run, ..known };
                    assert_eq!(job, known);
                    life.senders.push(job);
                }
            })
        })
    }

    fn sent(&self, mut job: DeliveringJob, next: AfterCall, about: About) -> Asked {
        job.tried |= about.charged;
        let (store, moment) = (self.store.clone(), self.store.0.moment());
        let now = moment.steady;
        let failing_since = job.delivery.failing_since.or(Some(now));
        let failed = Delivery { failures: job.delivery.failures + 1, failing_since, ..job.delivery };
        let (calm, refused) = calmed(job.delivery, now);
        let next = match next {
            AfterCall::Delivered => AfterDelivery::Delivered,
            AfterCall::Gone => AfterDelivery::Gone,
            AfterCall::Dead { answer_lost } => AfterDelivery::Dead { answer_lost },
            AfterCall::Retry { after, answer_lost } => AfterDelivery::Retry {
                due_at: now + Duration::from_millis(after),
                delivery: Delivery { answer_lost, ..failed },
            },
            AfterCall::Wait { failing, keeps_place } => {
                AfterDelivery::Wait { delivery: if failing { failed } else { refused }, keeps_place }
            }
            AfterCall::Replace { fallback } => {
                let outcome =
                    if fallback { Outcome::Fallback(FallbackReason::Refused) } else { job.prepared.outcome };
                AfterDelivery::Replace {
                    prepared: PreparedCompletion { outcome, ..prepared("else") },
                    delivery: calm,
                }
            }
        };
        let mut report = sent(job, next.clone());
        report.attempt = report.attempt.filter(|_| about.charged);
        report.error = about.error.then(|| format!("delivery, claim {}", report.job.fence.0));
        let (id, fence, tried) = (report.job.id, report.job.fence, report.job.tried);
        let (attempt, error) = (report.attempt.clone(), report.error.clone());
        let reported = Reported { id, fence, attempt, tried, next, error };
        asked(SENDERS, async move {
            let answer = store.jobs().sent(report).await;
            check(move |life| assert_eq!(answer, Ok(life.model.sent(reported, moment))))
        })
    }

    /// Returns any job, even a deleted one, or an id that never became a job because its key was known.
    fn any_job(&self, job_index: Index) -> Option<JobId> {
        (!self.ids.is_empty()).then(|| *job_index.get(&self.ids))
    }
}
