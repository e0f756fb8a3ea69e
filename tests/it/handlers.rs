//! Handlers that do what a test tells them.

use std::sync::Arc;

use salesbot_bridge::{Completion, Context, Handler, HandlerError, Request};
use serde_json::Value;
use tokio::sync::{Semaphore, mpsc};

/// A closure as a handler.
pub struct Does<F>(pub F);

impl<F, Made> Handler for Does<F>
where
    F: Fn(Request<Value>, Context) -> Made + Send + Sync + 'static,
    Made: Future<Output = Result<Completion, HandlerError>> + Send,
{
    type Input = Value;

    fn handle(
        &self,
        request: Request<Value>,
        context: Context,
    ) -> impl Future<Output = Result<Completion, HandlerError>> + Send {
        (self.0)(request, context)
    }
}

/// A handler that says when it runs and goes on when it is let go, and the test's end of it.
pub struct Held {
    entered: mpsc::UnboundedReceiver<Context>,
    go_on: Arc<Semaphore>,
}

/// The bridge's end.
pub struct Holding {
    entered: mpsc::UnboundedSender<Context>,
    go_on: Arc<Semaphore>,
}

pub fn held() -> (Holding, Held) {
    let (tell, entered) = mpsc::unbounded_channel();
    let go_on = Arc::new(Semaphore::new(0));
    (Holding { entered: tell, go_on: go_on.clone() }, Held { entered, go_on })
}

impl Held {
    /// Waits until it runs once more, and gives the context of that run.
    pub async fn entered(&mut self) -> Context {
        tokio::time::timeout(crate::bridge::TEST_TIMEOUT, self.entered.recv())
            .await
            .expect("the handler was not run")
            .expect("the bridge has ended")
    }

    /// Whether it has not run since.
    pub fn is_idle(&mut self) -> bool {
        self.entered.try_recv().is_err()
    }

    /// Lets so many runs go on, now or later.
    pub fn let_go(&self, runs: usize) {
        self.go_on.add_permits(runs);
    }
}

impl Handler for Holding {
    type Input = Value;

    async fn handle(&self, _: Request<Value>, context: Context) -> Result<Completion, HandlerError> {
        // A test that has ended does not listen any more.
        let _unheard = self.entered.send(context);
        self.go_on.acquire().await.map_err(HandlerError::fail)?.forget();
        Ok(Completion::success())
    }
}
