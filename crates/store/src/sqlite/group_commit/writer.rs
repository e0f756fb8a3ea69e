//! The one thread that writes.
//!
//! It takes the waiting operations of all kinds, carries them out in one transaction, and passes them on to be answered
//! after COMMIT. There is no timer: while one commit is on its way to the disk, the next batch gathers. So a lone request
//! waits for one commit, and a thousand requests share one.
//!
//! A thread of its own, because SQLite blocks the thread that calls it.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::timeout;

use model::{DeliveringJob, RunningJob};

use crate::StoreError;
use crate::awaiting::Awaiting;
use crate::budget::Budgets;
use crate::commit::batch::Batch;
use crate::commit::changes::Changes;
use crate::commit::completion::{Committed, Completion};
use crate::commit::fairness::Fairness;
use crate::commit::message::{Message, answer};
use crate::commit::operations;
use crate::commit::queue::{MAX_QUEUED, Queue};
use crate::jobs::accept::Stored;
use crate::jobs::search::progress::SearchProgress;
use crate::lanes::Lanes;
use crate::sqlite::file::log::LogStep;
use crate::sqlite::file::open::{BUSY_TIMEOUT, Writing};
use crate::sqlite::jobs::accept;
use crate::sqlite::jobs::reports;
use crate::sqlite::write::command::AnyCommand;
use crate::sqlite::write::known_keys::Keys;
use crate::sqlite::write::transaction::Transaction;
use crate::time::StoreClock;

/// How long a report of the sender waits for another operation, to share its transaction. No one waits for such a report,
/// and at a thousand requests a second this saves a third of the commits. If the process dies in this time, the next one
/// repeats the continue, as it does after a death during the commit.
const MAX_REPORT_DELAY: Duration = Duration::from_millis(5);

/// The resources of the writer.
pub(crate) struct Writer {
    pub(crate) writing: Writing,
    pub(crate) keys: Arc<Keys>,
    pub(crate) search_progress: Arc<SearchProgress>,
    pub(crate) budgets: Arc<Budgets>,
    pub(crate) awaiting: Arc<Awaiting>,
    pub(crate) work: Arc<Lanes<RunningJob>>,
    pub(crate) delivery: Arc<Lanes<DeliveringJob>>,
    pub(crate) clock: Arc<StoreClock>,
    pub(crate) fairness: Fairness,
    pub(crate) changes: Arc<Changes>,
    /// Answers the callers after COMMIT.
    pub(crate) completion: mpsc::UnboundedSender<Completion<AnyCommand, Writing>>,
}

impl Writer {
    /// Starts the thread. It writes until every sender of `operations` is gone, and then passes the connection on to be
    /// closed as the last one.
    ///
    /// # Errors
    /// The system cannot create a thread.
    pub(crate) fn start(
        self,
        operations: mpsc::Receiver<Message<AnyCommand, LogStep>>,
    ) -> std::io::Result<()> {
        let runtime = Handle::current();
        let run = move || {
            // A room that gets a permit back may spawn a task.
            let _context = runtime.enter();
            self.run(&runtime, operations);
        };
        thread::Builder::new().name("store-writer".into()).spawn(run).map(drop)
    }

    fn run(mut self, runtime: &Handle, mut messages: mpsc::Receiver<Message<AnyCommand, LogStep>>) {
        let mut queue = Queue::default();
        loop {
            if queue.is_empty() {
                let Some(operation) = messages.blocking_recv() else { break };
                queue.push(operation);
            }
            if queue.can_wait()
                && let Ok(Some(operation)) = runtime.block_on(timeout(MAX_REPORT_DELAY, messages.recv()))
            {
                queue.push(operation);
            }
            // The callers of the last transaction often have something else to write, so let their threads run first. A lone
            // request waits for no other thread.
            thread::yield_now();
            while queue.len() < MAX_QUEUED
                && let Ok(operation) = messages.try_recv()
            {
                queue.push(operation);
            }
            let (batch, log) = queue.batch(self.fairness.max_accepts(), operations::now());
            if batch.len() > 0 {
                self.write(batch);
            }
            if let Some(step) = log {
                self.checkpoint(step);
            }
        }
        // No one waits for the connection if the store was dropped without being closed.
        let _no_one_waits = self.completion.send(Completion::Ended(self.writing));
    }

    fn write(&mut self, mut batch: Batch<AnyCommand>) {
        if let Err(error) = self.check_file(batch.accepts.len()) {
            batch.accepts.drain(..).for_each(|accept| answer(accept.reply, Err(error.clone())));
            if batch.len() == 0 {
                return;
            }
        }
        let started_at = self.clock.elapsed();
        let result = self.transaction(&mut batch);
        metrics::histogram!("bridge_commit_seconds")
            .record((self.clock.elapsed() - started_at).as_secs_f64());
        metrics::histogram!("bridge_commit_operations").record(as_f64(batch.len()));
        match result {
            Ok(committed) => self.complete(batch, committed),
            // One bad operation must not make the others fail.
            Err(error) if batch.len() > 1 && !error.concerns_all() => {
                let mut fatal = None;
                for mut single in batch.singles() {
                    if let Some(error) = &fatal {
                        single.fail(error);
                        continue;
                    }
                    match self.transaction(&mut single) {
                        Ok(committed) => self.complete(single, committed),
                        Err(error) => {
                            single.fail(&error);
                            fatal = Some(error).filter(StoreError::concerns_all);
                        }
                    }
                }
            }
            Err(error) => batch.fail(&error),
        }
    }

    /// Checks whether the next start would find the requests that are stored now. Checks nothing if `accepts` is 0.
    fn check_file(&self, accepts: usize) -> Result<(), StoreError> {
        self.writing.file.as_ref().filter(|_| accepts > 0).map_or(Ok(()), |file| file.check())
    }

    /// Carries out `batch` in one transaction, which is rolled back if an operation fails.
    fn transaction(&self, batch: &mut Batch<AnyCommand>) -> Result<Committed, StoreError> {
        self.try_transaction(batch).map_err(|error| match &self.writing.file {
            Some(file) => error.named(file.path()),
            None => error,
        })
    }

    fn try_transaction(&self, batch: &mut Batch<AnyCommand>) -> Result<Committed, StoreError> {
        let Self {
            writing, keys, search_progress, budgets, awaiting, work, delivery, clock, changes, ..
        } = self;
        let changed_rows = writing.connection.total_changes();
        let mut transaction = Transaction::begin(&writing.connection, clock)?;
        batch.drop_late(operations::now);
        accept::find(&transaction, &mut batch.accepts, keys)?;
        let accepts = accept::apply(&mut transaction, &batch.accepts, keys, budgets, work)?;
        accept::note_for_search(&transaction, search_progress, &batch.accepts, &accepts)?;
        let handled = batch.handled.iter().map(|(report, _)| &**report);
        let handled = reports::handled(&mut transaction, handled, delivery)?;
        let sent = reports::sent(&mut transaction, batch.sent.iter().map(|(report, _)| &**report))?;
        for command in &mut batch.commands {
            command.apply(&mut transaction)?;
        }
        let moment = transaction.moment;
        // Applied before the next transaction begins, because that one looks at the keys, the budgets and the lanes.
        // Applied before claims are answered, so that a claimer that runs again sees the effect of its claim.
        let (post_commit, new_keys) = transaction.commit()?;
        keys.remember(new_keys);
        post_commit.apply_after_commit(budgets, work, delivery, awaiting, moment.steady);
        // Most periodic commands find nothing to change, and must not wake maintenance.
        if writing.connection.total_changes() != changed_rows {
            changes.report();
        }
        Ok(Committed { accepts, handled, sent, moment })
    }

    fn complete(&mut self, batch: Batch<AnyCommand>, committed: Committed) {
        let is_new = |stored: &&Stored| matches!(stored, Stored::New(_));
        let accepted = u32::try_from(committed.accepts.iter().filter(is_new).count()).unwrap_or(u32::MAX);
        let finished = batch.sent.iter().filter(|(report, _)| report.next.is_final());
        let finished = finished.map(|(report, _)| report.job.waiting_since);
        self.fairness.committed(committed.moment.steady, accepted, finished);
        // If no one completes, the callers see that their channels are closed.
        let _store_is_closed = self.completion.send(Completion::Batch(batch, committed));
    }

    /// Restarts the log without waiting for readers: a long reader (a backup, an operator's shell) would hold up all
    /// writes.
    fn checkpoint(&self, step: LogStep) {
        if let Err(error) = self.restart_log(step) {
            tracing::warn!(%error, "the write-ahead log could not restart; it grows until it can");
        }
    }

    fn restart_log(&self, step: LogStep) -> Result<(), StoreError> {
        let connection = &self.writing.connection;
        let mode = match step {
            LogStep::Restart => "RESTART",
            LogStep::Shrink => "TRUNCATE",
        };
        connection.busy_timeout(Duration::ZERO)?;
        let restarted = connection.pragma(None, "wal_checkpoint", mode, |_| Ok(()));
        connection.busy_timeout(BUSY_TIMEOUT)?;
        Ok(restarted?)
    }
}

#[allow(clippy::cast_precision_loss, reason = "a batch has hundreds of operations, not 2^52")]
fn as_f64(operations: usize) -> f64 {
    operations as f64
}
