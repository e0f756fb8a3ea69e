//! The one task that writes.
//!
//! It takes whatever is waiting, of any kind, carries it out in one transaction and answers each after
//! COMMIT. There is no timer: while one commit is on its way to the disk, the next batch gathers. So
//! a lone request waits for one commit, and a thousand share one.

use std::fs::File;
use std::sync::Arc;
use std::time::Instant;

use sqlx::{AssertSqlSafe, SqliteConnection};
use tokio::sync::{mpsc, oneshot};

use model::{DeliveringJob, DeliveryReport, HandlerReport, RunningJob};

use crate::StoreError;
use crate::budget::Budgets;
use crate::lanes::Lanes;
use crate::sqlite::file::identity::Place;
use crate::sqlite::file::log::LogStep;
use crate::sqlite::file::open::BUSY;
use crate::sqlite::group_commit::queue::{Queue, WAITING};
use crate::sqlite::jobs::accept::{self, Accept, Accepted, Stored};
use crate::sqlite::jobs::keys::Keys;
use crate::sqlite::jobs::reports::{self, Handled, Written};
use crate::sqlite::write::command::Errand;
use crate::sqlite::write::post_commit::Effects;
use crate::sqlite::write::transaction::Transaction;
use crate::time::{Moment, StoreClock};

/// Where the answer goes.
pub(crate) type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// Something to write, and whom to tell.
pub(crate) enum Op {
    Accept(Box<Accept>),
    Handled(Arc<HandlerReport>, Reply<Written>),
    Sent(Arc<DeliveryReport>, Reply<Written>),
    Errand(Box<dyn Errand>),
    /// Restart the log.
    Log(LogStep),
}

/// What the writer works with.
pub(crate) struct Writer {
    pub(crate) connection: SqliteConnection,
    pub(crate) keys: Arc<Keys>,
    pub(crate) budgets: Arc<Budgets>,
    pub(crate) work: Arc<Lanes<RunningJob>>,
    pub(crate) delivery: Arc<Lanes<DeliveringJob>>,
    pub(crate) clock: Arc<StoreClock>,
    pub(crate) place: Option<Arc<Place>>,
    /// Says who owns the store. It is kept here, because nobody else may own it before the last write.
    pub(crate) lock: Option<File>,
}

/// Operations by kind, in the order in which a transaction carries them out: errands last, because
/// claims then see what the same transaction made due.
#[derive(Default)]
pub(crate) struct Batch {
    accepts: Vec<Accept>,
    handled: Vec<(Arc<HandlerReport>, Reply<Written>)>,
    sent: Vec<(Arc<DeliveryReport>, Reply<Written>)>,
    errands: Vec<Box<dyn Errand>>,
}

/// What a transaction did, to be told after COMMIT.
struct Done {
    accepts: Vec<Stored>,
    handled: Vec<Handled>,
    sent: Vec<Written>,
    effects: Effects,
    /// The time of the transaction.
    moment: Moment,
}

impl Writer {
    /// Writes until every sender of operations is gone; the connection is then to be closed last.
    pub(crate) async fn run(mut self, mut operations: mpsc::Receiver<Op>) -> Self {
        let mut queue = Queue::default();
        loop {
            if queue.is_empty() {
                let Some(operation) = operations.recv().await else { return self };
                queue.push(operation);
            }
            // Whoever can run now may have something to write too: the answers to the last batch have just gone out.
            tokio::task::yield_now().await;
            while queue.len() < WAITING
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
        if let Err(error) = self.in_its_place(batch.accepts.len()) {
            batch.accepts.drain(..).for_each(|accept| answer(accept.reply, Err(error.clone())));
            if batch.len() == 0 {
                return;
            }
        }
        let begun = self.clock.elapsed();
        let result = self.transaction(&mut batch).await.map_err(|error| self.named(error));
        metrics::histogram!("bridge_commit_seconds").record((self.clock.elapsed() - begun).as_secs_f64());
        metrics::histogram!("bridge_commit_operations").record(precise(batch.len()));
        match result {
            Ok(done) => self.settle(batch, done),
            // One bad operation must not take the others with it.
            Err(error) if batch.len() > 1 && !error.concerns_all() => {
                let mut hopeless = None;
                for mut single in batch.singles() {
                    if let Some(error) = &hopeless {
                        single.fail(error);
                        continue;
                    }
                    match self.transaction(&mut single).await {
                        Ok(done) => self.settle(single, done),
                        Err(error) => {
                            let error = self.named(error);
                            single.fail(&error);
                            hopeless = Some(error).filter(StoreError::concerns_all);
                        }
                    }
                }
            }
            Err(error) => batch.fail(&error),
        }
    }

    /// The error with the file that it is about.
    fn named(&self, error: StoreError) -> StoreError {
        self.place.as_ref().map_or(error.clone(), |place| error.named(place.path()))
    }

    /// Whether requests that are stored now are found again; asked only where there are some.
    fn in_its_place(&self, accepts: usize) -> Result<(), StoreError> {
        self.place.as_ref().filter(|_| accepts > 0).map_or(Ok(()), |place| place.check())
    }

    async fn transaction(&mut self, batch: &mut Batch) -> Result<Done, StoreError> {
        let result = self.inside(batch).await;
        if result.is_err() {
            // It fails where nothing is left to roll back.
            let _rolled_back_already = sqlx::query("ROLLBACK").execute(&mut self.connection).await;
        }
        result
    }

    async fn inside(&mut self, batch: &mut Batch) -> Result<Done, StoreError> {
        let Self { connection, keys, budgets, clock, work, delivery, place: _, lock: _ } = self;
        let mut transaction = Transaction::begin(connection, clock);
        accept::find(&mut transaction, &mut batch.accepts, keys).await?;
        transaction.look_at(clock);
        batch.drop_late(Instant::now);
        let accepts = accept::apply(&mut transaction, &batch.accepts, keys, budgets, work).await?;
        let mut charged = Vec::new();
        let handled: Vec<&HandlerReport> = batch.handled.iter().map(|(report, _)| &**report).collect();
        let handled = reports::handled(&mut transaction, &mut charged, &handled, delivery).await?;
        let sent: Vec<&DeliveryReport> = batch.sent.iter().map(|(report, _)| &**report).collect();
        let sent = reports::sent(&mut transaction, &mut charged, &sent).await?;
        reports::keep(&mut transaction, &charged).await?;
        if !batch.errands.is_empty() {
            let (connection, effects) = transaction.open().await?;
            for errand in &mut batch.errands {
                errand.apply(connection, effects).await?;
            }
        }
        let moment = transaction.moment;
        let effects = transaction.commit().await?;
        Ok(Done { accepts, handled, sent, effects, moment })
    }

    fn settle(&self, batch: Batch, done: Done) {
        // Once more: only what is at its path after the commit is on a disk that the next start reads.
        let there = self.in_its_place(done.accepts.len());
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
        // Before the answers to claims, so that the claimer sees what the claim learnt.
        done.effects.carry_out(&self.keys, &self.budgets, &self.work, &self.delivery, done.moment.steady);
        for errand in batch.errands {
            errand.settle(Ok(()));
        }
    }

    /// It waits for nobody: somebody who reads for long (a backup, a person's shell) would hold up all writes.
    async fn checkpoint(&mut self, step: LogStep) {
        if let Err(error) = self.restart_log(step).await {
            tracing::warn!(%error, "the write-ahead log could not be brought into the database; it grows until it can");
        }
    }

    async fn restart_log(&mut self, step: LogStep) -> Result<(), StoreError> {
        let checkpoint = match step {
            LogStep::Restart => "PRAGMA wal_checkpoint(RESTART)",
            LogStep::Shrink => "PRAGMA wal_checkpoint(TRUNCATE)",
        };
        sqlx::query("PRAGMA busy_timeout = 0").execute(&mut self.connection).await?;
        let restarted = sqlx::query(checkpoint).execute(&mut self.connection).await;
        let patience = format!("PRAGMA busy_timeout = {}", BUSY.as_millis());
        sqlx::query(AssertSqlSafe(patience)).execute(&mut self.connection).await?;
        restarted?;
        Ok(())
    }
}

impl Batch {
    /// Sorts an operation in; gives back what is not part of a transaction.
    pub(crate) fn add(&mut self, operation: Op) -> Option<LogStep> {
        match operation {
            Op::Accept(accept) => self.accepts.push(*accept),
            Op::Handled(report, reply) => self.handled.push((report, reply)),
            Op::Sent(report, reply) => self.sent.push((report, reply)),
            Op::Errand(errand) => self.errands.push(errand),
            Op::Log(step) => return Some(step),
        }
        None
    }

    pub(crate) fn len(&self) -> usize {
        self.accepts.len() + self.handled.len() + self.sent.len() + self.errands.len()
    }

    #[cfg(test)]
    pub(crate) fn accepts(&self) -> usize {
        self.accepts.len()
    }

    /// Drops the requests whose callers have their 503 already.
    fn drop_late(&mut self, now: impl Fn() -> Instant) {
        for late in self.accepts.extract_if(.., |accept| accept.drop_after < now()) {
            answer(late.reply, Err(StoreError::Timeout));
        }
    }

    fn singles(self) -> impl Iterator<Item = Self> {
        let accepts = self.accepts.into_iter().map(|accept| Op::Accept(Box::new(accept)));
        let handled = self.handled.into_iter().map(|(report, reply)| Op::Handled(report, reply));
        let sent = self.sent.into_iter().map(|(report, reply)| Op::Sent(report, reply));
        let errands = self.errands.into_iter().map(Op::Errand);
        accepts.chain(handled).chain(sent).chain(errands).map(|operation| {
            let mut single = Self::default();
            single.add(operation);
            single
        })
    }

    fn fail(self, error: &StoreError) {
        tracing::warn!(%error, operations = self.len(), "nothing could be written");
        self.accepts.into_iter().for_each(|accept| answer(accept.reply, Err(error.clone())));
        self.handled.into_iter().for_each(|(_, reply)| answer(reply, Err(error.clone())));
        self.sent.into_iter().for_each(|(_, reply)| answer(reply, Err(error.clone())));
        self.errands.into_iter().for_each(|errand| errand.settle(Err(error.clone())));
    }
}

fn answer<T>(reply: oneshot::Sender<T>, value: T) {
    // Whoever asked may have gone away.
    let _nobody_waits = reply.send(value);
}

#[allow(clippy::cast_precision_loss, reason = "a batch has hundreds of operations, not 2^52")]
fn precise(operations: usize) -> f64 {
    operations as f64
}
