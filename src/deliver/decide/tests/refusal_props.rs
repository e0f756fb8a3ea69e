//! Random days of two accounts, with slow responses. Either one job is always refused, or one account refuses everything
//! for a while. In any order of events, good jobs are delayed at most once and never charged for it, and the bad job is
//! given up.
//!
//! Uses no store and no socket: the jobs are a list, but the pace and the decisions are the real ones.

use proptest::prelude::*;

use super::*;
use kommo::pace::{CallLimiter, CallLimits, Permit};
use kommo::{Response, classify};
use model::Completion;
use model::clock::ManualClock;

const ACCOUNTS: [&str; 2] = ["https://a.kommo.com", "https://b.kommo.com"];
const TICK: Duration = Duration::from_millis(500);
const GIVE_UP_AFTER: Duration = Duration::from_secs(20 * 60);
/// The longest delay that one pause, the rate and slow responses cause together.
const MAX_DELAY_BY_ONE_PAUSE: Duration = Duration::from_secs(75);

struct SimulatedJob {
    account: usize,
    is_bad: bool,
    arrived: Timestamp,
    due_at: Timestamp,
    delivery: Delivery,
    charged: u32,
    is_flying: bool,
    /// When it ended, and whether it was delivered.
    ended: Option<(Timestamp, bool)>,
}

struct Day {
    limiter: std::sync::Arc<CallLimiter>,
    clock: ManualClock,
    jobs: Vec<SimulatedJob>,
    /// The indexes of the jobs that have not ended.
    open: Vec<usize>,
    /// Per call in flight: when its response comes, the job's index, the status, and the permit.
    flying: Vec<(Timestamp, usize, u16, Permit)>,
    refusal: u16,
    /// The start and end of the time in which the first account refuses everything.
    outage: Option<(Timestamp, Timestamp)>,
}

fn id(number: usize) -> JobId {
    JobId::new(Timestamp::from_millis(0), number as u128)
}

/// A response with this status. 403 means a 403 without JSON, and 404 means a 403 with JSON.
fn answer(status: u16) -> AttemptOutcome {
    let (status, body) = match status {
        403 => (403, "<html>"),
        404 => (403, "{}"),
        status => (status, "{}"),
    };
    AttemptOutcome::Called(classify(&Response { status, body: body.into(), ..Response::default() }))
}

impl Day {
    fn new(refusal: u16, outage: Option<(u64, u64)>) -> Self {
        let clock = ManualClock::new(Timestamp::from_millis(1_700_000_000_000));
        let limits = CallLimits { rate_per_account: 7, rate_total: None, concurrency: 64 };
        let at = |seconds| clock.now() + Duration::from_secs(seconds);
        let outage = outage.map(|(from, to)| (at(from), at(to)));
        Self {
            limiter: CallLimiter::new(limits, clock.clock()),
            clock,
            jobs: Vec::new(),
            open: Vec::new(),
            flying: Vec::new(),
            refusal,
            outage,
        }
    }

    fn arrives(&mut self, account: usize, is_bad: bool) {
        let now = self.clock.now();
        self.open.push(self.jobs.len());
        self.jobs.push(SimulatedJob {
            account,
            is_bad,
            arrived: now,
            due_at: now,
            delivery: Delivery::default(),
            charged: 0,
            is_flying: false,
            ended: None,
        });
    }

    /// Sends what the limiter permits. Refused jobs come last.
    fn send(&mut self, latency: Duration) {
        self.open.retain(|job| self.jobs[*job].ended.is_none());
        let now = self.clock.now();
        for (account, origin) in ACCOUNTS.iter().enumerate() {
            let waits = |job: &SimulatedJob| job.account == account && !job.is_flying && job.due_at <= now;
            let mut due = Vec::from_iter(self.open.iter().copied().filter(|job| waits(&self.jobs[*job])));
            due.sort_by_key(|job| (self.jobs[*job].delivery.refused_at.is_some(), self.jobs[*job].due_at));
            if due.is_empty() {
                continue;
            }
            for (job, mut permit) in due.into_iter().zip(self.limiter.acquire_now(origin, 8)) {
                if permit.start().is_err() {
                    continue;
                }
                let outage = self.outage.filter(|_| account == 0);
                let is_out = outage.is_some_and(|(from, to)| from <= now && now < to);
                let status = if is_out || self.jobs[job].is_bad { self.refusal } else { 202 };
                self.jobs[job].is_flying = true;
                self.flying.push((now + latency, job, status, permit));
            }
        }
    }

    /// Handles the responses that have arrived.
    fn read(&mut self) {
        let now = self.clock.now();
        let policy = HandlerPolicy::default();
        let completion = Completion::success().check().unwrap();
        let prepared = PreparedCompletion { completion, outcome: Outcome::Handler };
        let read = Vec::from_iter(self.flying.extract_if(.., |(at, ..)| *at <= now));
        for (_, number, status, mut permit) in read {
            let job = &mut self.jobs[number];
            let account = permit.evidence(Source::Job(id(number)));
            let mut decision = decide(
                &answer(status),
                DecisionContext {
                    job: id(number),
                    waiting_since: job.arrived,
                    prepared: &prepared,
                    delivery: job.delivery,
                    account,
                    policy: &policy,
                    give_up_after: GIVE_UP_AFTER,
                    now,
                    jitter: 1.0,
                },
            );
            if status == 202 {
                let ended = permit.succeeded();
                if ended.account {
                    self.release(number);
                }
            } else {
                let is_own = blame::decide(self.jobs[number].delivery, account) == Blame::Job;
                assert!(!is_own || self.jobs[number].is_bad, "a good job is blamed");
                if let Some(alone) =
                    decision.pause.and_then(|pause| permit.pause(pause)).and_then(|began| began.alone)
                {
                    decision = decision.until(now + alone);
                }
            }
            self.ends(number, decision);
        }
    }

    fn release(&mut self, number: usize) {
        let (account, now) = (self.jobs[number].account, self.clock.now());
        for job in self.jobs.iter_mut().filter(|job| job.account == account && job.delivery.failures == 0) {
            job.due_at = job.due_at.min(now);
        }
    }

    fn ends(&mut self, number: usize, decision: Decision) {
        let (job, now) = (&mut self.jobs[number], self.clock.now());
        job.is_flying = false;
        job.charged += u32::from(decision.result.is_some());
        match decision.next {
            AfterDelivery::Delivered => job.ended = Some((now, true)),
            AfterDelivery::Dead { .. } => job.ended = Some((now, false)),
            AfterDelivery::Retry { due_at, delivery } => (job.due_at, job.delivery) = (due_at, delivery),
            AfterDelivery::Wait { delivery, .. } => (job.due_at, job.delivery) = (now, delivery),
            other => panic!("{other:?}"),
        }
    }

    /// Lets `seconds` pass in ticks. A job may arrive in each tick; the latencies take turns.
    fn live(&mut self, seconds: u64, gaps: [u64; 2], bad_at: Option<u64>, latencies: &[u64]) {
        for tick in 0..seconds * 2 {
            for (account, gap) in gaps.into_iter().enumerate() {
                if tick % (gap * 2) == 0 {
                    self.arrives(account, false);
                }
            }
            if Some(tick) == bad_at.map(|at| at * 2) {
                self.arrives(0, true);
            }
            let turn = usize::try_from(tick).unwrap_or_default();
            self.read();
            self.send(Duration::from_millis(latencies[turn % latencies.len()]));
            self.clock.advance(TICK);
        }
    }
}

fn refusal() -> impl Strategy<Value = u16> {
    prop::sample::select(vec![401, 402, 403, 404])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.div_ceil(24), ..ProptestConfig::default() })]

    #[test]
    fn a_bad_job_delays_its_account_once_and_no_other_and_ends(
        refusal in refusal(),
        gaps in [2..20_u64, 2..20_u64],
        bad_at in 0..100_u64,
        latencies in prop::collection::vec(0..3_000_u64, 1..12),
    ) {
        let mut day = Day::new(refusal, None);
        day.live(30 * 60, gaps, Some(bad_at), &latencies);
        let last = day.clock.now() - MAX_DELAY_BY_ONE_PAUSE;
        let mut held_up: Option<(Timestamp, Timestamp)> = None;
        for job in day.jobs.iter().filter(|job| !job.is_bad && job.arrived < last) {
            let Some((ended, true)) = job.ended else { panic!("a good job is not delivered") };
            prop_assert_eq!(job.charged, 1, "a good job is charged for a bad one");
            // Longer than slow responses and the rate can explain.
            if ended.since(job.arrived) > Duration::from_secs(8) {
                prop_assert_eq!(job.account, 0, "another account is delayed");
                let (first, _) = held_up.unwrap_or((job.arrived, ended));
                held_up = Some((first, ended));
            }
        }
        if let Some((first, last)) = held_up {
            prop_assert!(last.since(first) <= MAX_DELAY_BY_ONE_PAUSE, "delayed more than once: {:?}", last.since(first));
        }
        let bad = day.jobs.iter().find(|job| job.is_bad).unwrap();
        let Some((ended, false)) = bad.ended else { panic!("the bad job does not end") };
        let lived = ended.since(bad.arrived);
        prop_assert!(lived >= GIVE_UP_AFTER && lived < GIVE_UP_AFTER + MAX_DELAY_BY_ONE_PAUSE * 4, "{lived:?}");
        prop_assert!(bad.charged > 10);
    }

    #[test]
    fn an_outage_of_an_account_charges_no_job_and_delays_no_other_account(
        refusal in refusal(),
        gaps in [3..40_u64, 3..20_u64],
        from in 0..60_u64,
        span in 1..400_u64,
        latencies in prop::collection::vec(0..3_000_u64, 1..12),
    ) {
        let mut day = Day::new(refusal, Some((from, from + span)));
        day.live(30 * 60, gaps, None, &latencies);
        let last = day.clock.now() - MAX_DELAY_BY_ONE_PAUSE;
        for job in day.jobs.iter().filter(|job| job.arrived < last) {
            let Some((ended, true)) = job.ended else { panic!("{refusal}: a job is not delivered") };
            prop_assert_eq!(job.charged, 1, "a job is charged for its account");
            let is_held_up = ended.since(job.arrived) > Duration::from_secs(8);
            prop_assert!(job.account == 0 || !is_held_up, "another account is delayed");
        }
    }
}
