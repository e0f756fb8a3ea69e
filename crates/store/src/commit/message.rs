//! The messages to the writer.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::oneshot;

use model::{DeliveryReport, HandlerReport, JobId, NewJob};

use crate::{Accepted, StoreError, Written};

/// The channel for an answer.
pub(crate) type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

type TakeAnswer = dyn FnOnce(Result<Written, StoreError>) + Send;

/// A function that takes the answer to a report, instead of a caller that waits for it. It gets
/// [`StoreError::Closed`] if the writer ends without an answer. It must not block, because others wait for their answers
/// behind it.
pub(crate) struct OnWritten(Option<Box<TakeAnswer>>);

impl OnWritten {
    pub(crate) fn new(take: impl FnOnce(Result<Written, StoreError>) + Send + 'static) -> Self {
        Self(Some(Box::new(take)))
    }

    /// Passes the answer on.
    pub(crate) fn answer(mut self, written: Result<Written, StoreError>) {
        if let Some(take) = self.0.take() {
            take(written);
        }
    }
}

impl Drop for OnWritten {
    fn drop(&mut self) {
        if let Some(take) = self.0.take() {
            take(Err(StoreError::Closed));
        }
    }
}

/// A message to the writer: an operation with the channel for its answer, or something between transactions. `C` is a
/// command of the engine, and `B` is what it does between transactions.
pub(crate) enum Message<C, B> {
    Accept(Box<Accept>),
    Handled(Arc<HandlerReport>, OnWritten),
    Sent(Arc<DeliveryReport>, Reply<Written>),
    Command(C),
    Between(B),
}

/// A command, which knows who waits for its answer.
pub(crate) trait Answering {
    /// Answers the caller after COMMIT, or with the error.
    fn complete(self, result: Result<(), StoreError>);
}

/// A request on its way into the store.
pub(crate) struct Accept {
    pub(crate) job: NewJob,
    /// The first job with its idempotency key, if the running transaction has found one.
    pub(crate) known: Option<JobId>,
    /// When the request came to the writer.
    pub(crate) asked_at: Instant,
    /// After this moment no one waits for the answer, so the writer drops the request unless its transaction has begun.
    pub(crate) drop_after: Instant,
    pub(crate) reply: oneshot::Sender<Result<Accepted, StoreError>>,
}

pub(crate) fn answer<T>(reply: oneshot::Sender<T>, value: T) {
    // The caller may have gone away.
    let _no_one_waits = reply.send(value);
}
