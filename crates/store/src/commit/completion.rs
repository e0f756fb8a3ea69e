//! Answers the callers of a transaction after its COMMIT, and hands jobs over to the rooms.
//!
//! This runs beside the writer, which is already busy with the next transaction.

use std::sync::Arc;

use tokio::sync::mpsc;

use model::JobId;

use super::batch::Batch;
use super::message::{Accept, Answering, answer};
use crate::feed::Feed;
use crate::jobs::accept::{self, Stored};
use crate::jobs::reports::{self, Handled};
use crate::time::Moment;
use crate::{Accepted, StoreError, Written};

/// A message from the writer. `C` is a command of the engine, and `W` is what the writer leaves behind.
pub(crate) enum Completion<C, W> {
    /// A transaction was committed.
    Batch(Batch<C>, Committed),
    /// The writer has ended.
    Ended(W),
}

/// The results of a transaction, in the order of its operations.
pub(crate) struct Committed {
    pub(crate) accepts: Vec<Stored>,
    pub(crate) handled: Vec<Handled>,
    pub(crate) sent: Vec<Written>,
    /// The time of the transaction.
    pub(crate) moment: Moment,
}

/// Completes transactions until the writer has ended. Returns what it leaves behind; `None` if it panicked. New requests
/// are acknowledged only if `check` still finds the store after their commit.
pub(crate) async fn run<C: Answering, W>(
    mut completions: mpsc::UnboundedReceiver<Completion<C, W>>,
    check: impl Fn() -> Result<(), StoreError>,
    feed: Arc<Feed>,
) -> Option<W> {
    while let Some(completion) = completions.recv().await {
        match completion {
            Completion::Batch(batch, committed) => {
                if batch.has_jobs() {
                    feed.publish(|| changed(&batch));
                }
                complete(batch, committed, &check);
            }
            Completion::Ended(writing) => return Some(writing),
        }
    }
    None
}

/// The jobs that the batch is about, except those of its commands.
fn changed<C>(batch: &Batch<C>) -> Vec<JobId> {
    let accepted = batch.accepts.iter().map(|accept| accept.job.id);
    let handled = batch.handled.iter().map(|(report, _)| report.job.id);
    let sent = batch.sent.iter().map(|(report, _)| report.job.id);
    accepted.chain(handled).chain(sent).collect()
}

fn complete<C: Answering>(
    batch: Batch<C>,
    committed: Committed,
    check: &impl Fn() -> Result<(), StoreError>,
) {
    let Committed { accepts, handled, sent, moment } = committed;
    let there = if accepts.is_empty() { Ok(()) } else { check() };
    for (accept, stored) in batch.accepts.into_iter().zip(accepts) {
        let Accept { job, reply, .. } = *accept;
        let accepted = match &stored {
            Stored::New(_) => Ok(Accepted { id: job.id, duplicate: false }),
            Stored::Duplicate(first) => Ok(Accepted { id: *first, duplicate: true }),
            Stored::Refused(over) => Err(StoreError::OverBudget(*over)),
        };
        answer(reply, there.clone().and(accepted));
        if let Stored::New(Some(slot)) = stored {
            (slot.take)(accept::running(job, moment));
        }
    }
    for ((report, on_written), handled) in batch.handled.into_iter().zip(handled) {
        let (written, slot) = match handled {
            Handled::Done(slot) => (Written::Done, slot),
            Handled::Stale => (Written::Stale, None),
        };
        if let (Some(slot), Some(job)) = (slot, reports::delivering(&report, moment.steady)) {
            (slot.take)(job);
        }
        on_written.answer(Ok(written));
    }
    for ((_, reply), written) in batch.sent.into_iter().zip(sent) {
        answer(reply, Ok(written));
    }
    for command in batch.commands {
        command.complete(Ok(()));
    }
}
