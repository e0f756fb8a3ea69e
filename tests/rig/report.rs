//! The result of one generation, or of many.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::life::Lived;

/// The balance of one generation, or the sum of several.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// The seed of the generation; in a sum, the first seed.
    pub seed: u64,
    pub generations: usize,
    pub kills: usize,
    pub phases: Phases,
    /// Bots with a 200. Each is in `continued` or `lost`.
    pub acknowledged: usize,
    pub continued: usize,
    /// Jobs that are unfinished at the end.
    pub unfinished: u64,
    pub lost: usize,
    /// Bots that got no 200, but have a job and were continued.
    pub continued_unheard: usize,
    /// Bots without a 200 and without a job.
    pub never_stored: usize,
    /// Jobs in the stores at the end.
    pub jobs: usize,
    /// Calls that were answered 503 (`refused`), or cut off by a kill (`unanswered`).
    pub refused: usize,
    pub unanswered: usize,
    /// Further 200s for one request, each with the same job.
    pub repeated: usize,
    /// Bots that got the fallback.
    pub fallbacks: usize,
    pub doubles: Doubles,
    pub callbacks: Callbacks,
    /// The longest time from the start of a process to its `ready`, in milliseconds.
    pub longest_start_ms: u128,
    /// Violations. Empty if everything is correct.
    pub wrong: Vec<String>,
}

/// Kills, by what they interrupted. A kill under load counts in every row that applies, so the rows overlap.
#[derive(Debug, Default, Serialize)]
pub struct Phases {
    /// Before the store existed, or before its first migration was complete.
    pub making: usize,
    /// Between the first migration and the last.
    pub migrating: usize,
    /// After the last migration, before the process was ready.
    pub starting: usize,
    /// The process was ready.
    pub serving: usize,
    /// Callers were waiting for an answer.
    pub accept: usize,
    /// A handler was running.
    pub handler: usize,
    /// A job waited for its callback.
    pub callback: usize,
    /// A continue was in flight.
    pub delivery: usize,
    /// A transaction was being written to the write-ahead log.
    pub commit: usize,
    /// The sum of unfinished jobs over all kills, by state.
    pub queued_jobs: u64,
    pub running_jobs: u64,
    pub awaiting_jobs: u64,
    pub delivering_jobs: u64,
}

/// The callbacks of the service, by the answer that ended their repetition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Callbacks {
    /// Completions that the bridge accepted.
    pub accepted: usize,
    /// Completions of jobs that already had one.
    pub repeated: usize,
    /// Completions of jobs that had got the fallback.
    pub too_late: usize,
    /// Errors that ended an attempt.
    pub errors: usize,
    /// Errors of attempts that were over.
    pub old_errors: usize,
    /// Calls that a kill cut off, or that were answered 503. The service repeated them.
    pub unanswered: usize,
}

/// Continues after the one that the bot accepted, by reason.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Doubles {
    /// A kill found the continue in flight.
    pub crash: usize,
    /// Kommo accepted it, and a fault of the plan lost the response.
    pub answer_lost: usize,
    /// Kommo's response came after the bridge's timeout.
    pub late: usize,
    /// Kommo answered 404 so soon after the request that the bot might not have been waiting yet.
    pub early: usize,
    /// None of these: a bug of the bridge.
    pub unexplained: usize,
}

/// The number of migrations. A store with fewer is not up to date.
fn migrations() -> i64 {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/sqlite");
    let files = std::fs::read_dir(folder).unwrap();
    i64::try_from(
        files
            .filter(|file| file.as_ref().unwrap().path().extension().is_some_and(|end| end == "sql"))
            .count(),
    )
    .unwrap()
}

impl Report {
    pub fn kill(&mut self, life: &Lived) {
        let snapshot = &life.snapshot;
        self.kills += 1;
        self.slower(life);
        self.wrong(&snapshot.wrong);
        let phases = &mut self.phases;
        if snapshot.migrations == 0 {
            phases.making += 1;
        } else if snapshot.migrations < migrations() {
            phases.migrating += 1;
        } else if life.ready_after.is_none() {
            phases.starting += 1;
        } else {
            phases.serving += 1;
        }
        let jobs = |state| snapshot.states.get(state).copied().unwrap_or(0);
        phases.accept += usize::from(life.cut_off > 0);
        phases.handler += usize::from(life.ready_after.is_some() && jobs("running") > 0);
        phases.callback += usize::from(jobs("awaiting_callback") > 0);
        phases.delivery += usize::from(life.ready_after.is_some() && !snapshot.in_flight.is_empty());
        phases.commit += usize::from(snapshot.in_commit);
        phases.queued_jobs += jobs("queued");
        phases.running_jobs += jobs("running");
        phases.awaiting_jobs += jobs("awaiting_callback");
        phases.delivering_jobs += jobs("delivering");
    }

    /// Updates the longest start.
    pub fn slower(&mut self, life: &Lived) {
        let ms = life.ready_after.as_ref().map_or(0, Duration::as_millis);
        self.longest_start_ms = self.longest_start_ms.max(ms);
    }

    pub fn wrong(&mut self, wrong: &[String]) {
        self.wrong.extend_from_slice(wrong);
    }

    /// Whether acknowledged = continued, and nothing is lost, unfinished or unexplained.
    pub fn is_good(&self) -> bool {
        self.wrong.is_empty() && self.lost == 0 && self.unfinished == 0 && self.acknowledged == self.continued
    }

    /// Adds another generation.
    pub fn add(&mut self, other: Self) {
        if self.generations == 0 {
            self.seed = other.seed;
        }
        self.generations += other.generations.max(1);
        self.kills += other.kills;
        self.acknowledged += other.acknowledged;
        self.continued += other.continued;
        self.unfinished += other.unfinished;
        self.lost += other.lost;
        self.continued_unheard += other.continued_unheard;
        self.never_stored += other.never_stored;
        self.jobs += other.jobs;
        self.refused += other.refused;
        self.unanswered += other.unanswered;
        self.repeated += other.repeated;
        self.fallbacks += other.fallbacks;
        self.doubles.add(&other.doubles);
        self.callbacks.add(&other.callbacks);
        self.phases.add(&other.phases);
        self.longest_start_ms = self.longest_start_ms.max(other.longest_start_ms);
        self.wrong.extend(other.wrong.into_iter().map(|what| format!("seed {}: {what}", other.seed)));
    }
}

impl Doubles {
    pub fn add(&mut self, other: &Self) {
        self.crash += other.crash;
        self.answer_lost += other.answer_lost;
        self.late += other.late;
        self.early += other.early;
        self.unexplained += other.unexplained;
    }
}

impl Callbacks {
    fn add(&mut self, other: &Self) {
        self.accepted += other.accepted;
        self.repeated += other.repeated;
        self.too_late += other.too_late;
        self.errors += other.errors;
        self.old_errors += other.old_errors;
        self.unanswered += other.unanswered;
    }
}

impl Phases {
    fn add(&mut self, other: &Self) {
        self.making += other.making;
        self.migrating += other.migrating;
        self.starting += other.starting;
        self.serving += other.serving;
        self.accept += other.accept;
        self.handler += other.handler;
        self.callback += other.callback;
        self.delivery += other.delivery;
        self.commit += other.commit;
        self.queued_jobs += other.queued_jobs;
        self.running_jobs += other.running_jobs;
        self.awaiting_jobs += other.awaiting_jobs;
        self.delivering_jobs += other.delivering_jobs;
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self { phases, doubles, callbacks, .. }, generations) = (self, self.generations.max(1));
        writeln!(f, "{} kills in {generations} generations, from seed {}", self.kills, self.seed)?;
        writeln!(
            f,
            "  while creating the store {}, migrating {}, starting {}, ready {}",
            phases.making, phases.migrating, phases.starting, phases.serving
        )?;
        writeln!(
            f,
            "  of these with waiting callers {}, running handlers {}, awaited callbacks {}, continues in flight {}, \
             a half-written commit {}",
            phases.accept, phases.handler, phases.callback, phases.delivery, phases.commit
        )?;
        writeln!(
            f,
            "  unfinished jobs at kills: {} queued, {} running, {} awaiting a callback, {} delivering",
            phases.queued_jobs, phases.running_jobs, phases.awaiting_jobs, phases.delivering_jobs
        )?;
        writeln!(
            f,
            "{} acknowledged = {} continued + {} lost; {} jobs unfinished",
            self.acknowledged, self.continued, self.lost, self.unfinished
        )?;
        writeln!(
            f,
            "  without a 200: {} continued anyway, {} never stored; {} jobs in total",
            self.continued_unheard, self.never_stored, self.jobs
        )?;
        writeln!(
            f,
            "  calls refused {}, cut off {}, repeated and recognized {}; fallbacks {}",
            self.refused, self.unanswered, self.repeated, self.fallbacks
        )?;
        writeln!(
            f,
            "second continues: {} killed in flight, {} with a lost response, {} with a late response, {} after an early 404, {} unexplained",
            doubles.crash, doubles.answer_lost, doubles.late, doubles.early, doubles.unexplained
        )?;
        writeln!(
            f,
            "callbacks: {} accepted, {} repeated, {} too late; errors {} accepted, {} of older attempts; {} unanswered",
            callbacks.accepted,
            callbacks.repeated,
            callbacks.too_late,
            callbacks.errors,
            callbacks.old_errors,
            callbacks.unanswered
        )?;
        write!(f, "longest start: {} ms", self.longest_start_ms)?;
        for wrong in &self.wrong {
            write!(f, "\nWRONG: {wrong}")?;
        }
        Ok(())
    }
}
