//! Commands: the operations that the writer carries out one by one, unlike requests and reports.

use std::future::Future;
use std::pin::Pin;

use sqlx::SqliteConnection;
use tokio::sync::oneshot;

use crate::StoreError;
use crate::sqlite::write::post_commit::PostCommit;

/// A change of the store that runs inside the writer's transaction.
pub(crate) trait Command: Send + Sync + 'static {
    /// The result that the caller gets after COMMIT.
    type Answer: Send;

    /// Carries out the command. This may run again if the transaction had to be rolled back.
    fn apply(
        &self,
        connection: &mut SqliteConnection,
        post_commit: &mut PostCommit,
    ) -> impl Future<Output = Result<Self::Answer, StoreError>> + Send;
}

/// A [`Command`] of any type, with the channel to its caller.
pub(crate) trait QueuedCommand: Send {
    /// Carries out the command and keeps its answer.
    fn apply<'a>(
        &'a mut self,
        connection: &'a mut SqliteConnection,
        post_commit: &'a mut PostCommit,
    ) -> Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send + 'a>>;

    /// Answers the caller with the kept answer, or with the error.
    fn complete(self: Box<Self>, result: Result<(), StoreError>);
}

/// A command with its answer and the channel to its caller: the only implementation of [`QueuedCommand`].
pub(crate) struct Queued<C: Command> {
    command: C,
    answer: Option<C::Answer>,
    reply: oneshot::Sender<Result<C::Answer, StoreError>>,
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
    fn apply<'a>(
        &'a mut self,
        connection: &'a mut SqliteConnection,
        post_commit: &'a mut PostCommit,
    ) -> Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send + 'a>> {
        Box::pin(async move {
            self.answer = Some(self.command.apply(connection, post_commit).await?);
            Ok(())
        })
    }

    fn complete(self: Box<Self>, result: Result<(), StoreError>) {
        let Self { answer, reply, .. } = *self;
        // The caller may have gone away.
        let _no_one_waits = reply.send(result.and_then(|()| answer.ok_or(StoreError::Closed)));
    }
}
