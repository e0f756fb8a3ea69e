//! The one task that writes.
//!
//! It takes the waiting operations of all kinds, carries them out in one transaction, and answers each caller after
//! COMMIT. There is no timer: while one commit is on its way to the disk, the next batch gathers. So a lone request
//! waits for one commit, and a thousand requests share one.

use std::sync::Arc;
use std::time::Instant;

use sqlx::AssertSqlSafe;
use tokio::sync::mpsc;

use model::{DeliveringJob, DeliveryReport, HandlerReport, RunningJob};

use crate::budget::Budgets;
use crate::lanes::Lanes;
use crate::sqlite::file::log::LogStep;
use crate::sqlite::file::open::{BUSY_TIMEOUT, Writing};
use crate::sqlite::group_commit::batch::Batch;
use crate::sqlite::group_commit::queue::{MAX_QUEUED, Queue};
use crate::sqlite::jobs::accept::{self, Stored};
use crate::sqlite::jobs::reports::{self, Handled};
use crate::sqlite::write::known_keys::Keys;
use crate::sqlite::write::message::{Accept, Message, answer};
use crate::sqlite::write::post_commit::PostCommit;
use crate::sqlite::write::transaction::Transaction;
use crate::time::{Moment, StoreClock};
use crate::{Accepted, StoreError, Written};

/// The resources of the writer.
pub(crate) struct Writer {
    pub(crate) writing: Writing,
    pub(crate) keys: Arc<Keys>,
    pub(crate) budgets: Arc<Budgets>,
    pub(crate) work: Arc<Lanes<RunningJob>>,
    pub(crate) delivery: Arc<Lanes<DeliveringJob>>,
    pub(crate) clock: Arc<StoreClock>,
}

/// The results of a transaction, for its callers after COMMIT.
struct Done {
    accepts: Vec<Stored>,
    handled: Vec<Handled>,
    sent: Vec<Written>,
    post_commit: PostCommit,
    /// The time of the transaction.
    moment: Moment,
}

impl Writer {
    /// Writes until every sender of operations is gone. The caller then closes the returned connection as the last one.
    pub(crate) async fn run(mut self, mut operations: mpsc::Receiver<Message>) -> Writing {
        let mut queue = Queue::default();
        loop {
            if queue.is_empty() {
                let Some(operation) = operations.recv().await else { return self.writing };
                queue.push(operation);
            }
            // The last batch has just been answered. Its callers often have something else to write, so let them run
            // first.
            tokio::task::yield_now().await;
            while queue.len() < MAX_QUEUED
                && let Ok(operation) = operations.try_recv()
            {
                queue.push(operation);
            }
            let (batch, log) = queue.batch();
            if batch.len() > 0 {
                self.write(batch).await;
            }
            if let Some(step) = log {
                self.checkpoint(step).await;
            }
        }
    }

    async fn write(&mut self, mut batch: Batch) {
        if let Err(error) = self.check_file(batch.accepts.len()) {
            batch.accepts.drain(..).for_each(|accept| answer(accept.reply, Err(error.clone())));
            if batch.len() == 0 {
                return;
            }
        }
        let started_at = self.clock.elapsed();
        let result = self.transaction(&mut batch).await.map_err(|error| self.named(error));
        metrics::histogram!("bridge_commit_seconds")
            .record((self.clock.elapsed() - started_at).as_secs_f64());
        metrics::histogram!("bridge_commit_operations").record(as_f64(batch.len()));
        match result {
            Ok(done) => self.complete(batch, done),
            // One bad operation must not make the others fail.
            Err(error) if batch.len() > 1 && !error.concerns_all() => {
                let mut fatal = None;
                for mut single in batch.singles() {
                    if let Some(error) = &fatal {
                        single.fail(error);
                        continue;
                    }
                    match self.transaction(&mut single).await {
                        Ok(done) => self.complete(single, done),
                        Err(error) => {
                            let error = self.named(error);
                            single.fail(&error);
                            fatal = Some(error).filter(StoreError::concerns_all);
                        }
                    }
                }
            }
            Err(error) => batch.fail(&error),
        }
    }

    /// Adds the path of the file to the error.
    fn named(&self, error: StoreError) -> StoreError {
        self.writing.file.as_ref().map_or(error.clone(), |file| error.named(file.path()))
    }

    /// Checks whether the next start would find the requests that are stored now. Checks nothing if `accepts` is 0.
    fn check_file(&self, accepts: usize) -> Result<(), StoreError> {
        self.writing.file.as_ref().filter(|_| accepts > 0).map_or(Ok(()), |file| file.check())
    }

    async fn transaction(&mut self, batch: &mut Batch) -> Result<Done, StoreError> {
        let result = self.run_batch(batch).await;
        if result.is_err() {
            // This fails if there is nothing left to roll back.
            let _rolled_back_already = sqlx::query("ROLLBACK").execute(&mut self.writing.connection).await;
        }
        result
    }

    async fn run_batch(&mut self, batch: &mut Batch) -> Result<Done, StoreError> {
        let Self { writing, keys, budgets, clock, work, delivery } = self;
        let mut transaction = Transaction::begin(&mut writing.connection, clock);
        accept::find(&mut transaction, &mut batch.accepts, keys).await?;
        transaction.read_clock(clock);
        batch.drop_late(Instant::now);
        let accepts = accept::apply(&mut transaction, &batch.accepts, keys, budgets, work).await?;
        let mut charged = Vec::new();
        let handled: Vec<&HandlerReport> = batch.handled.iter().map(|(report, _)| &**report).collect();
        let handled = reports::handled(&mut transaction, &mut charged, &handled, delivery).await?;
        let sent: Vec<&DeliveryReport> = batch.sent.iter().map(|(report, _)| &**report).collect();
        let sent = reports::sent(&mut transaction, &mut charged, &sent).await?;
        reports::keep(&mut transaction, &charged).await?;
        if !batch.commands.is_empty() {
            let (connection, post_commit) = transaction.open().await?;
            for command in &mut batch.commands {
                command.apply(connection, post_commit).await?;
            }
        }
        let moment = transaction.moment;
        let post_commit = transaction.commit().await?;
        Ok(Done { accepts, handled, sent, post_commit, moment })
    }

    fn complete(&self, batch: Batch, done: Done) {
        // Checked again after the commit: the next start finds the requests only if the file is still at its path.
        let there = self.check_file(done.accepts.len());
        for (Accept { job, reply, .. }, stored) in batch.accepts.into_iter().zip(done.accepts) {
            let accepted = match &stored {
                Stored::New(_) => Ok(Accepted { id: job.id, duplicate: false }),
                Stored::Duplicate(first) => Ok(Accepted { id: *first, duplicate: true }),
                Stored::Refused(over) => Err(StoreError::OverBudget(*over)),
            };
            answer(reply, there.clone().and(accepted));
            if let Stored::New(Some(slot)) = stored {
                (slot.take)(accept::running(job, done.moment));
            }
        }
        for ((report, reply), handled) in batch.handled.into_iter().zip(done.handled) {
            let (written, slot) = match handled {
                Handled::Done(slot) => (Written::Done, slot),
                Handled::Stale => (Written::Stale, None),
            };
            if let (Some(slot), Some(job)) = (slot, reports::delivering(&report)) {
                (slot.take)(job);
            }
            answer(reply, Ok(written));
        }
        for ((_, reply), written) in batch.sent.into_iter().zip(done.sent) {
            answer(reply, Ok(written));
        }
        // Update the lanes before answering claims, so that a claimer that runs again sees the effect of its claim.
        done.post_commit.apply_after_commit(
            &self.keys,
            &self.budgets,
            &self.work,
            &self.delivery,
            done.moment.steady,
        );
        for command in batch.commands {
            command.complete(Ok(()));
        }
    }

    /// Restarts the log without waiting for readers: a long reader (a backup, an operator's shell) would hold up all
    /// writes.
    async fn checkpoint(&mut self, step: LogStep) {
        if let Err(error) = self.restart_log(step).await {
            tracing::warn!(%error, "the write-ahead log could not restart; it grows until it can");
        }
    }

    async fn restart_log(&mut self, step: LogStep) -> Result<(), StoreError> {
        let checkpoint = match step {
            LogStep::Restart => "PRAGMA wal_checkpoint(RESTART)",
            LogStep::Shrink => "PRAGMA wal_checkpoint(TRUNCATE)",
        };
        sqlx::query("PRAGMA busy_timeout = 0").execute(&mut self.writing.connection).await?;
        let restarted = sqlx::query(checkpoint).execute(&mut self.writing.connection).await;
        let reset_timeout = format!("PRAGMA busy_timeout = {}", BUSY_TIMEOUT.as_millis());
        sqlx::query(AssertSqlSafe(reset_timeout)).execute(&mut self.writing.connection).await?;
        restarted?;
        Ok(())
    }
}

#[allow(clippy::cast_precision_loss, reason = "a batch has hundreds of operations, not 2^52")]
fn as_f64(operations: usize) -> f64 {
    operations as f64
}
