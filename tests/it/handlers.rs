//! Handlers that a test controls.

use std::sync::Arc;

use salesbot_bridge::{Completion, Context, Handler, HandlerError, Request};
use serde_json::Value;
use tokio::sync::{Semaphore, mpsc};

/// Turns a closure into a handler.
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

/// The test's end of a [`Holding`] handler: it reports when the handler runs, and lets it continue.
pub struct Held {
    entered: mpsc::UnboundedReceiver<Context>,
    allowed: Arc<Semaphore>,
}

/// A handler that reports its start and then waits until the test lets it continue.
pub struct Holding {
    entered: mpsc::UnboundedSender<Context>,
    allowed: Arc<Semaphore>,
}

pub fn held() -> (Holding, Held) {
    let (sender, entered) = mpsc::unbounded_channel();
    let allowed = Arc::new(Semaphore::new(0));
    (Holding { entered: sender, allowed: allowed.clone() }, Held { entered, allowed })
}

impl Held {
    /// Waits for the next run, and returns its context.
    pub async fn entered(&mut self) -> Context {
        tokio::time::timeout(crate::bridge::TEST_TIMEOUT, self.entered.recv())
            .await
            .expect("the handler did not run")
            .expect("the bridge has ended")
    }

    /// Whether no further run has begun.
    pub fn is_idle(&mut self) -> bool {
        self.entered.try_recv().is_err()
    }

    /// Lets `runs` runs continue, now or later.
    pub fn let_go(&self, runs: usize) {
        self.allowed.add_permits(runs);
    }
}

impl Handler for Holding {
    type Input = Value;

    async fn handle(&self, _: Request<Value>, context: Context) -> Result<Completion, HandlerError> {
        // Fails only if the test has ended.
        let _unheard = self.entered.send(context);
        self.allowed.acquire().await.map_err(HandlerError::fail)?.forget();
        Ok(Completion::success())
    }
}
