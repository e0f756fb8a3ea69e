//! The one task that writes.
//!
//! It takes whatever is waiting, of any kind, carries it out in one transaction and answers each after
//! COMMIT. There is no timer: while one commit is on its way to the disk, the next batch gathers. So
//! a lone request waits for one commit, and a thousand share one.

use std::sync::Arc;
use std::time::Instant;

use sqlx::{Connection, SqliteConnection};
use tokio::sync::{mpsc, oneshot};

use crate::clock::Clock;
use crate::model::{DeliveringJob, DeliveryReport, HandlerReport, RunningJob};

use super::StoreError;
use super::accept::{self, Accept, Accepted, Stored};
use super::effects::Effects;
use super::lanes::Lanes;
use super::reports::{self, Handled, Written};
use super::request::Errand;

/// The most operations in one transaction: bounds how long the first of them waits.
const MOST: usize = 512;

/// Something to write, and whom to tell.
pub(super) enum Op {
    Accept(Accept),
    Handled(Arc<HandlerReport>, oneshot::Sender<Result<Written, StoreError>>),
    Sent(Arc<DeliveryReport>, oneshot::Sender<Result<Written, StoreError>>),
    Errand(Box<dyn Errand>),
    /// Bring the log back into the database and start it anew.
    Checkpoint,
}

/// What the writer works with.
pub(super) struct Writer {
    pub(super) connection: SqliteConnection,
    pub(super) work: Arc<Lanes<RunningJob>>,
    pub(super) delivery: Arc<Lanes<DeliveringJob>>,
    pub(super) clock: Clock,
}

/// Operations by kind, in the order in which a transaction carries them out: errands last, because
/// claims then see what the same transaction made due.
#[derive(Default)]
struct Batch {
    accepts: Vec<Accept>,
    handled: Vec<(Arc<HandlerReport>, oneshot::Sender<Result<Written, StoreError>>)>,
    sent: Vec<(Arc<DeliveryReport>, oneshot::Sender<Result<Written, StoreError>>)>,
    errands: Vec<Box<dyn Errand>>,
}

/// What a transaction did, to be told after COMMIT.
struct Done {
    accepts: Vec<Stored>,
    handled: Vec<Handled>,
    sent: Vec<Written>,
    effects: Effects,
}

impl Writer {
    /// Writes until every sender of operations is gone.
    pub(super) async fn run(mut self, mut operations: mpsc::Receiver<Op>) {
        let mut waiting = Vec::with_capacity(MOST);
        while operations.recv_many(&mut waiting, MOST).await > 0 {
            let mut batch = Batch::default();
            let mut checkpoint = false;
            for operation in waiting.drain(..) {
                checkpoint |= batch.add(operation);
            }
            if batch.len() > 0 {
                self.write(batch).await;
            }
            if checkpoint {
                self.checkpoint().await;
            }
        }
        if let Err(error) = self.connection.close().await {
            tracing::warn!(%error, "the store was not closed cleanly; it recovers when it is opened again");
        }
    }

    async fn write(&mut self, batch: Batch) {
        let (mut batch, late) = batch.without_late(Instant::now);
        for accept in late {
            answer(accept.reply, Err(StoreError::Timeout));
        }
        if batch.len() == 0 {
            return;
        }
        let begun = self.clock.elapsed();
        let result = self.transaction(&mut batch).await;
        metrics::histogram!("bridge_commit_seconds").record((self.clock.elapsed() - begun).as_secs_f64());
        metrics::histogram!("bridge_commit_operations").record(precise(batch.len()));
        match result {
            Ok(done) => self.settle(batch, done),
            // One bad operation must not take the others with it.
            Err(error) if batch.len() > 1 && !error.concerns_all() => {
                for mut single in batch.singles() {
                    match self.transaction(&mut single).await {
                        Ok(done) => self.settle(single, done),
                        Err(error) => single.fail(&error),
                    }
                }
            }
            Err(error) => batch.fail(&error),
        }
    }

    async fn transaction(&mut self, batch: &mut Batch) -> Result<Done, StoreError> {
        let now = self.clock.now();
        let mut effects = Effects::default();
        let mut transaction = self.connection.begin_with("BEGIN IMMEDIATE").await?;
        let accepts = accept::apply(&mut transaction, &mut effects, &batch.accepts, &self.work, now).await?;
        let handled: Vec<&HandlerReport> = batch.handled.iter().map(|(report, _)| &**report).collect();
        let handled = reports::handled(&mut transaction, &mut effects, &handled, &self.delivery, now).await?;
        let sent: Vec<&DeliveryReport> = batch.sent.iter().map(|(report, _)| &**report).collect();
        let sent = reports::sent(&mut transaction, &mut effects, &sent, now).await?;
        for errand in &mut batch.errands {
            errand.apply(&mut transaction, &mut effects).await?;
        }
        count(&mut transaction, &effects).await?;
        transaction.commit().await?;
        Ok(Done { accepts, handled, sent, effects })
    }

    fn settle(&self, batch: Batch, done: Done) {
        for (Accept { job, reply, .. }, stored) in batch.accepts.into_iter().zip(done.accepts) {
            let (id, duplicate) = match &stored {
                Stored::New(_) => (job.id, false),
                Stored::Duplicate(first) => (*first, true),
            };
            answer(reply, Ok(Accepted { id, duplicate }));
            if let Stored::New(Some(slot)) = stored {
                (slot.take)(accept::running(job));
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
        // Before the answers to claims, so that whoever claimed sees what the claim learnt.
        done.effects.carry_out(&self.work, &self.delivery);
        for errand in batch.errands {
            errand.settle(Ok(()));
        }
    }

    async fn checkpoint(&mut self) {
        if let Err(error) = sqlx::query("PRAGMA wal_checkpoint(RESTART)").execute(&mut self.connection).await
        {
            tracing::warn!(%error, "the write-ahead log could not be brought into the database; it grows until it can");
        }
    }
}

impl Batch {
    /// Sorts an operation in; says whether it was a wish for a checkpoint.
    fn add(&mut self, operation: Op) -> bool {
        match operation {
            Op::Accept(accept) => self.accepts.push(accept),
            Op::Handled(report, reply) => self.handled.push((report, reply)),
            Op::Sent(report, reply) => self.sent.push((report, reply)),
            Op::Errand(errand) => self.errands.push(errand),
            Op::Checkpoint => return true,
        }
        false
    }

    fn len(&self) -> usize {
        self.accepts.len() + self.handled.len() + self.sent.len() + self.errands.len()
    }

    /// Takes out the requests whose callers have their 503 already.
    fn without_late(mut self, now: impl Fn() -> Instant) -> (Self, Vec<Accept>) {
        let (late, timely) = self.accepts.into_iter().partition(|accept| accept.drop_after < now());
        self.accepts = timely;
        (self, late)
    }

    fn singles(self) -> impl Iterator<Item = Self> {
        let accepts = self.accepts.into_iter().map(Op::Accept);
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

/// Keeps `job_counts` true, in the same transaction.
async fn count(connection: &mut SqliteConnection, effects: &Effects) -> Result<(), StoreError> {
    let changes: Vec<_> = effects.counts().collect();
    if changes.is_empty() {
        return Ok(());
    }
    COUNTS
        .run(connection, &changes, |(state, change), row| {
            row.push(state.as_str()).push(*change);
        })
        .await?;
    Ok(())
}

const COUNTS: super::statement::RowsStatement = super::statement::RowsStatement {
    before: "WITH change (state, jobs) AS (VALUES ",
    width: 2,
    after: ") UPDATE job_counts SET jobs = job_counts.jobs + change.jobs FROM change \
            WHERE job_counts.state = change.state",
};

fn answer<T>(reply: oneshot::Sender<T>, value: T) {
    // Whoever asked may have gone away.
    let _nobody_waits = reply.send(value);
}

#[allow(clippy::cast_precision_loss, reason = "a batch has hundreds of operations, not 2^52")]
fn precise(operations: usize) -> f64 {
    operations as f64
}
