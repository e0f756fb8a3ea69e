//! The only task that writes to the database. It carries out waiting operations in shared transactions.
//!
//! The task is never cancelled, because a cancelled statement would leave its connection in an unknown state. It ends when
//! every sender of operations is gone.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;

use model::{DeliveringJob, RunningJob};

use super::command::AnyCommand;
use super::fate;
use super::session::Session;
use super::transaction::{Commit, Transaction};
use crate::StoreError;
use crate::awaiting::Awaiting;
use crate::budget::Budgets;
use crate::commit::batch::Batch;
use crate::commit::changes::Changes;
use crate::commit::completion::{Committed, Completion};
use crate::commit::fairness::Fairness;
use crate::commit::message::Message;
use crate::commit::operations;
use crate::commit::post_commit::PostCommit;
use crate::commit::queue::{MAX_QUEUED, Queue};
use crate::jobs::accept::Stored;
use crate::jobs::search::progress::SearchProgress;
use crate::lanes::Lanes;
use crate::postgres::jobs::search::index;
use crate::postgres::jobs::{accept, reports};
use crate::time::StoreClock;

/// How long a report of the sender waits for another operation, to share its transaction. See the same limit of the SQLite
/// engine.
const MAX_REPORT_DELAY: Duration = Duration::from_millis(5);
/// How often a transaction that another one has disturbed is repeated.
const MAX_REPETITIONS: u32 = 5;

/// A message to this writer. It does nothing between transactions.
pub(crate) type PgMessage = Message<AnyCommand, Infallible>;

/// The resources of the writer.
pub(crate) struct Writer {
    /// `None` while a transaction has it.
    pub(crate) session: Option<Session>,
    pub(crate) search_progress: Arc<SearchProgress>,
    pub(crate) budgets: Arc<Budgets>,
    pub(crate) awaiting: Arc<Awaiting>,
    pub(crate) work: Arc<Lanes<RunningJob>>,
    pub(crate) delivery: Arc<Lanes<DeliveringJob>>,
    pub(crate) clock: Arc<StoreClock>,
    pub(crate) fairness: Fairness,
    pub(crate) changes: Arc<Changes>,
    /// Answers the callers after COMMIT.
    pub(crate) completion: mpsc::UnboundedSender<Completion<AnyCommand, Option<Session>>>,
}

impl Writer {
    /// Writes until every sender of `messages` is gone, or another process owns the store.
    pub(crate) async fn run(mut self, mut messages: mpsc::Receiver<PgMessage>) {
        let mut queue = Queue::default();
        loop {
            if queue.is_empty() {
                let Some(operation) = messages.recv().await else { break };
                queue.push(operation);
            }
            if queue.can_wait()
                && let Ok(Some(operation)) = timeout(MAX_REPORT_DELAY, messages.recv()).await
            {
                queue.push(operation);
            }
            // The callers of the last transaction often have something else to write, so let them run first.
            tokio::task::yield_now().await;
            while queue.len() < MAX_QUEUED
                && let Ok(operation) = messages.try_recv()
            {
                queue.push(operation);
            }
            let (batch, _) = queue.batch(self.fairness.max_accepts(), operations::now());
            if batch.len() > 0
                && let Err(fatal) = self.write(batch).await
            {
                tracing::error!(error = %fatal, "the store can no longer be written");
                break;
            }
        }
        // No one waits for the session if the store was dropped without being closed.
        let _no_one_waits = self.completion.send(Completion::Ended(self.session.take()));
    }

    /// # Errors
    /// Another process owns the store.
    async fn write(&mut self, mut batch: Batch<AnyCommand>) -> Result<(), StoreError> {
        let started_at = self.clock.elapsed();
        let operations = batch.len();
        let result = self.transaction(&mut batch).await;
        metrics::histogram!("bridge_commit_seconds")
            .record((self.clock.elapsed() - started_at).as_secs_f64());
        metrics::histogram!("bridge_commit_operations").record(as_f64(operations));
        match result {
            Ok(committed) => self.complete(batch, committed),
            // One bad operation must not make the others fail.
            Err(error) if batch.len() > 1 && !error.concerns_all() => {
                let mut last = None;
                for mut single in batch.singles() {
                    if let Some(error) = &last {
                        single.fail(error);
                        continue;
                    }
                    match self.transaction(&mut single).await {
                        Ok(committed) => self.complete(single, committed),
                        Err(error) => {
                            single.fail(&error);
                            last = Some(error).filter(StoreError::concerns_all);
                        }
                    }
                }
                return last.map_or(Ok(()), fatal);
            }
            Err(error) => {
                batch.fail(&error);
                return fatal(error);
            }
        }
        Ok(())
    }

    /// Carries out `batch` in one transaction. Repeats it if another transaction disturbs it.
    async fn transaction(&mut self, batch: &mut Batch<AnyCommand>) -> Result<Committed, StoreError> {
        let mut repetitions = 0;
        loop {
            match self.try_transaction(batch).await {
                Err(StoreError::Contended(_)) if repetitions < MAX_REPETITIONS => repetitions += 1,
                settled => return settled,
            }
        }
    }

    async fn try_transaction(&mut self, batch: &mut Batch<AnyCommand>) -> Result<Committed, StoreError> {
        let session = self.session.take().ok_or(StoreError::Closed)?;
        let mut transaction = match Transaction::begin(session, &self.clock).await {
            Ok(transaction) => transaction,
            Err((session, error)) => {
                self.session = Some(session);
                return Err(error);
            }
        };
        let moment = transaction.moment;
        let committed = match self.carry_out(&mut transaction, batch).await {
            Ok((accepts, handled, sent)) => Committed { accepts, handled, sent, moment },
            Err(error) => {
                self.session = Some(transaction.roll_back(&error).await);
                return Err(error);
            }
        };
        let is_changed = transaction.is_changed;
        let (mut session, commit) = transaction.commit().await;
        let post_commit = match commit {
            Commit::Done(post_commit) => post_commit,
            Commit::Failed(error) => {
                self.session = Some(session);
                return Err(error);
            }
            Commit::Unknown(id, post_commit, error) => {
                tracing::warn!(%error, "the reply to a commit was lost; asking the database whether it was carried out");
                if !fate::is_committed(&mut session, &id).await {
                    session.writes.undone();
                    self.session = Some(session);
                    return Err(error);
                }
                session.writes.committed();
                post_commit
            }
        };
        self.session = Some(session);
        self.publish(post_commit, &committed);
        if is_changed {
            self.changes.report();
        }
        Ok(committed)
    }

    #[allow(clippy::type_complexity, reason = "the parts of `Committed`")]
    async fn carry_out(
        &self,
        transaction: &mut Transaction,
        batch: &mut Batch<AnyCommand>,
    ) -> Result<(Vec<Stored>, Vec<crate::jobs::reports::Handled>, Vec<crate::Written>), StoreError> {
        batch.drop_late(operations::now);
        let accepts = accept::apply(transaction, &mut batch.accepts, &self.budgets, &self.work).await?;
        index::note_accepted(transaction, &self.search_progress, &batch.accepts, &accepts).await?;
        let handled = batch.handled.iter().map(|(report, _)| &**report).collect();
        let handled = reports::handled(transaction, handled, &self.delivery).await?;
        let sent =
            reports::sent(transaction, batch.sent.iter().map(|(report, _)| &**report).collect()).await?;
        for command in &mut batch.commands {
            command.apply(transaction).await?;
        }
        Ok((accepts, handled, sent))
    }

    /// Applied before the next transaction begins, because that one looks at the budgets and the lanes, and before claims are
    /// answered, so that a claimer that runs again sees the effect of its claim.
    fn publish(&self, post_commit: PostCommit, committed: &Committed) {
        let Self { budgets, work, delivery, awaiting, .. } = self;
        post_commit.apply_after_commit(budgets, work, delivery, awaiting, committed.moment.steady);
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
}

/// Returns the error if the writer has to end: another process owns the store.
fn fatal(error: StoreError) -> Result<(), StoreError> {
    if matches!(error, StoreError::InUse { .. }) { Err(error) } else { Ok(()) }
}

#[allow(clippy::cast_precision_loss, reason = "a batch has hundreds of operations, not 2^52")]
fn as_f64(operations: usize) -> f64 {
    operations as f64
}
