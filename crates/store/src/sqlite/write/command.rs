//! What the writer does one by one: everything that is not worth batching.

use std::future::Future;
use std::pin::Pin;

use sqlx::SqliteConnection;
use tokio::sync::oneshot;

use crate::StoreError;
use crate::sqlite::write::post_commit::Effects;

/// A change of the store that is carried out inside the writer's transaction.
pub(crate) trait Request: Send + Sync + 'static {
    /// What the asker gets after COMMIT.
    type Answer: Send;

    /// Carries it out. May be called again if the transaction had to be rolled back.
    fn apply(
        &self,
        connection: &mut SqliteConnection,
        effects: &mut Effects,
    ) -> impl Future<Output = Result<Self::Answer, StoreError>> + Send;
}

/// A [`Request`] of any kind, with the one who asked.
pub(crate) trait Errand: Send {
    /// Carries it out and keeps the answer.
    fn apply<'a>(
        &'a mut self,
        connection: &'a mut SqliteConnection,
        effects: &'a mut Effects,
    ) -> Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send + 'a>>;

    /// Answers: what was kept, or why there is nothing.
    fn settle(self: Box<Self>, result: Result<(), StoreError>);
}

/// The only kind of [`Errand`].
pub(crate) struct Pending<R: Request> {
    request: R,
    answer: Option<R::Answer>,
    reply: oneshot::Sender<Result<R::Answer, StoreError>>,
}

impl<R: Request> Pending<R> {
    /// An errand, and where its answer will be.
    #[allow(clippy::type_complexity, reason = "a receiver of a result")]
    pub(crate) fn new(request: R) -> (Box<Self>, oneshot::Receiver<Result<R::Answer, StoreError>>) {
        let (reply, answered) = oneshot::channel();
        (Box::new(Self { request, answer: None, reply }), answered)
    }
}

impl<R: Request> Errand for Pending<R> {
    fn apply<'a>(
        &'a mut self,
        connection: &'a mut SqliteConnection,
        effects: &'a mut Effects,
    ) -> Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send + 'a>> {
        Box::pin(async move {
            self.answer = Some(self.request.apply(connection, effects).await?);
            Ok(())
        })
    }

    fn settle(self: Box<Self>, result: Result<(), StoreError>) {
        let Self { answer, reply, .. } = *self;
        // Whoever asked may have gone away.
        let _nobody_waits = reply.send(result.and_then(|()| answer.ok_or(StoreError::Closed)));
    }
}
