//! Commands: the operations that the writer carries out one by one, unlike requests and reports.

use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

use super::transaction::Transaction;
use crate::StoreError;
use crate::commit::message::{Answering, Reply, answer};

/// A change of the store that runs inside the writer's transaction.
pub(crate) trait Command: Send + Sync + 'static {
    /// The result that the caller gets after COMMIT.
    type Answer: Send;

    /// Carries out the command. This may run again if the transaction had to be rolled back.
    fn apply(
        &self,
        transaction: &mut Transaction,
    ) -> impl Future<Output = Result<Self::Answer, StoreError>> + Send;
}

/// A [`Command`] of any type, with the channel to its caller.
pub(crate) trait QueuedCommand: Send {
    /// Carries out the command and keeps its answer.
    fn apply<'a>(&'a mut self, transaction: &'a mut Transaction) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Answers the caller with the kept answer, or with the error.
    fn complete(self: Box<Self>, result: Result<(), StoreError>);
}

/// A command in the queue of the writer.
pub(crate) type AnyCommand = Box<dyn QueuedCommand>;

/// A command with its answer and the channel to its caller: the only implementation of [`QueuedCommand`].
pub(crate) struct Queued<C: Command> {
    command: C,
    answer: Option<C::Answer>,
    reply: Reply<C::Answer>,
}

impl<C: Command> Queued<C> {
    /// Wraps a command for the queue. Returns it with the receiver of its answer.
    #[allow(clippy::type_complexity, reason = "a receiver of a result")]
    pub(crate) fn new(command: C) -> (Box<Self>, oneshot::Receiver<Result<C::Answer, StoreError>>) {
        let (reply, answered) = oneshot::channel();
        (Box::new(Self { command, answer: None, reply }), answered)
    }
}

impl<C: Command> QueuedCommand for Queued<C> {
    fn apply<'a>(&'a mut self, transaction: &'a mut Transaction) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            self.answer = Some(self.command.apply(transaction).await?);
            Ok(())
        })
    }

    fn complete(self: Box<Self>, result: Result<(), StoreError>) {
        let Self { answer: kept, reply, .. } = *self;
        answer(reply, result.and_then(|()| kept.ok_or(StoreError::Closed)));
    }
}

impl Answering for AnyCommand {
    fn complete(self, result: Result<(), StoreError>) {
        QueuedCommand::complete(self, result);
    }
}
