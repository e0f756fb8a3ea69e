//! The lives of one generation: start, load, kill, read the files.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use simulator::{Plan, Simulator};
use tokio::sync::Notify;

use crate::TEST_TIMEOUT;
use crate::home::Home;
use crate::own_handlers;
use crate::process::{Process, program};
use crate::serve::{Serve, ready};

use super::load::{self, AskedBot};
use super::old_store;
use super::plan::{BotHandler, BotPlan, End, Life, Program};
use super::service::Service;
use super::store_files::{self, StoreSnapshot};

/// The states of a job that is not finished.
pub const UNFINISHED: [&str; 4] = ["queued", "running", "awaiting_callback", "delivering"];

/// The state that the lives of a generation share.
pub struct Rig<'a> {
    pub simulator: &'a Simulator,
    pub service: &'a Service,
    pub home: &'a Home,
    pub asked: Vec<AskedBot>,
    seed: u64,
}

/// The record of one life.
pub struct Lived {
    /// Time from the start to `ready`; `None` if the process was never ready.
    pub ready_after: Option<Duration>,
    /// Bots whose calls the kill cut off.
    pub cut_off: usize,
    /// The files after the kill.
    pub snapshot: StoreSnapshot,
}

impl<'a> Rig<'a> {
    pub fn new(simulator: &'a Simulator, service: &'a Service, home: &'a Home, seed: u64) -> Self {
        Self { simulator, service, home, asked: Vec::new(), seed }
    }

    /// Creates a store of the first version, with acknowledged jobs.
    pub async fn inherit(&mut self, jobs: usize) {
        let bots: Vec<_> = (0..jobs).map(|_| self.simulator.bot(Plan::default())).collect();
        let account_id = self.simulator.options().account_id;
        let ids = old_store::make(&self.home.path("bridge.db"), account_id, &bots).await;
        let handler = BotHandler::Old;
        let plan = BotPlan { handler, ms: 0, fails: 0, faults: vec![], persists: false, repeats: false };
        for (bot, id) in bots.into_iter().zip(ids) {
            let mut asked = AskedBot::new(bot, plan.clone());
            asked.jobs.push(id);
            self.asked.push(asked);
        }
    }

    /// Runs `life` until its kill.
    pub async fn live(&mut self, life: Life) -> Lived {
        let started = Instant::now();
        let process = Process::start(self.command(life.program));
        let (ready_after, cut_off) = match life.end {
            End::Start(after) => {
                pass(after.saturating_sub(started.elapsed())).await;
                let was_ready =
                    process.err.so_far().lines().any(|line| ready(line).is_some()).then_some(Duration::ZERO);
                process.kill();
                (was_ready, 0)
            }
            End::Load { answers, then } => {
                let serve = Serve::of(process);
                let ready_after = Some(started.elapsed());
                self.service.bridge_is_at(Some(serve.public));
                let numbers = self.callers(life.program, life.bots);
                let (url, reached, killed) = (serve.url(""), Notify::new(), AtomicBool::new(false));
                let calls = load::call(
                    &mut self.asked,
                    &numbers,
                    |handler| format!("{url}{handler}"),
                    answers,
                    &reached,
                    &killed,
                );
                let (process, service) = (serve.process, self.service);
                let kill = async {
                    reached.notified().await;
                    pass(then).await;
                    killed.store(true, Ordering::Relaxed);
                    // The port may soon belong to another process.
                    service.bridge_is_at(None);
                    process.kill();
                };
                let ((), cut_off) = tokio::join!(kill, calls);
                (ready_after, cut_off)
            }
        };
        let snapshot = store_files::read(&self.home.path("bridge.db"), false).await;
        Lived { ready_after, cut_off, snapshot }
    }

    /// Runs a life without a kill: all remaining bots call, and all jobs finish.
    pub async fn drain(&mut self) -> Lived {
        let started = Instant::now();
        let serve = Serve::start(self.command(Program::Own));
        let ready_after = Some(started.elapsed());
        self.service.bridge_is_at(Some(serve.public));
        let mut cut_off = 0;
        loop {
            let numbers = self.callers(Program::Own, Vec::new());
            if numbers.is_empty() {
                break;
            }
            let (url, never, killed) = (serve.url(""), Notify::new(), AtomicBool::new(false));
            let url = |handler: &str| format!("{url}{handler}");
            cut_off += load::call(&mut self.asked, &numbers, url, usize::MAX, &never, &killed).await;
        }
        let stuck = self.wait_until_finished(&serve).await;
        let unanswered = self.service.answered().await;
        self.service.bridge_is_at(None);
        serve.stop();
        let mut snapshot = store_files::read(&self.home.path("bridge.db"), true).await;
        snapshot.wrong.extend(stuck.into_iter().chain(unanswered));
        Lived { ready_after, cut_off, snapshot }
    }

    /// Waits until every job is finished. If no job changes any longer, returns the statistics, some jobs and the log
    /// of the bridge. On a slow machine jobs take longer, but still change.
    async fn wait_until_finished(&self, serve: &Serve) -> Option<String> {
        let (mut before, mut moved) = (Value::Null, Instant::now());
        loop {
            let (_, stats) = serve.get("/api/v1/stats").await;
            let jobs = &stats["jobs"];
            if UNFINISHED.iter().all(|state| jobs[*state] == 0) {
                return None;
            }
            if *jobs != before {
                (before, moved) = (jobs.clone(), Instant::now());
            }
            if moved.elapsed() > TEST_TIMEOUT {
                let (_, queued) = serve.get("/api/v1/jobs?state=queued&limit=3").await;
                let (_, awaiting) = serve.get("/api/v1/jobs?state=awaiting_callback&limit=3").await;
                let log = serve.process.err.so_far();
                return Some(format!("no job changes any longer: {stats}\n{queued}\n{awaiting}\n{log}"));
            }
        }
    }

    fn command(&self, which: Program) -> std::process::Command {
        match which {
            Program::Own => own_handlers::program(&self.home.config()),
            Program::Plain => {
                let mut command = program();
                command.arg("--config").arg(self.home.path("plain.toml")).arg("serve");
                command
            }
        }
    }

    /// The numbers of the bots that call in a life: new ones, and old ones that call again, in an order that the seed
    /// decides.
    fn callers(&mut self, which: Program, new: Vec<BotPlan>) -> Vec<usize> {
        let old = self.asked.iter().enumerate().filter(|(_, asked)| asked.calls_again());
        let old = old.filter(|(_, asked)| asked.plan.runs_on(which));
        let mut numbers: Vec<usize> = old.map(|(number, _)| number).collect();
        for plan in new {
            let number = self.asked.len();
            numbers.push(number);
            self.asked.push(AskedBot::new(self.simulator.bot(plan.plan(number)), plan));
        }
        fastrand::Rng::with_seed(self.seed ^ self.asked.len() as u64).shuffle(&mut numbers);
        numbers
    }
}

/// Sleeps in real time, because the moment of the kill is the experiment.
async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}
