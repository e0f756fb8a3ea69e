//! A simulated Kommo for one test.

use std::ops::Deref;
use std::thread::JoinHandle;

use model::clock::{Clock, ManualClock};
use simulator::{Options, Simulator};
use tokio::sync::oneshot;

use super::TEST_TIMEOUT;

/// A simulated Kommo account on a free port of this machine. It is a [`Simulator`] with a thread of its own: it also answers
/// while the test or a handler blocks a thread. It stops when it is dropped.
///
/// ```
/// use salesbot_bridge::prelude::*;
/// use salesbot_bridge::testing::{
///     AssertAnswer, AssertCalls, AssertError, CannedResponse, Fault, TestContext, TestKommo, TestRequest, run,
/// };
///
/// struct Price;
///
/// impl Handler for Price {
///     type Input = Value;
///
///     async fn handle(&self, request: Request<Value>, context: Context) -> Result<Completion, HandlerError> {
///         let lead = request.entity.ok_or_else(|| HandlerError::fail("no lead"))?.id;
///         let lead = context.kommo().get_json(&format!("/api/v4/leads/{lead}")).await?;
///         Ok(Completion::success().data("price", &lead["price"]))
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let kommo = TestKommo::start().await;
/// kommo.respond("GET /api/v4/leads/5", json!({ "price": 100 }));
/// kommo.respond("GET /api/v4/leads/6", CannedResponse::status(404));
/// kommo.respond("GET /api/v4/leads/7", Fault::Reset);
/// let price = async |lead| {
///     let request = TestRequest::new(json!({})).lead(lead);
///     run(&Price, request, TestContext::new().kommo(&kommo)).await
/// };
///
/// price(5).await.unwrap().assert_data("price", 100);
/// price(6).await.unwrap_err().assert_fail();
/// price(7).await.unwrap_err().assert_retry();
/// kommo.assert_called("GET /api/v4/leads/7");
/// # }
/// ```
#[derive(Debug)]
pub struct TestKommo {
    simulator: Simulator,
    /// The thread ends when this is dropped.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl TestKommo {
    /// Starts an account. Its bots wait longer than Kommo's 2 s for the answer to their requests, so that a busy machine fails
    /// no test.
    ///
    /// # Panics
    /// If no port is free.
    pub async fn start() -> Self {
        Self::with(Options { answer_timeout: TEST_TIMEOUT, ..Options::default() }).await
    }

    /// Starts an account with these options, exactly as they are.
    ///
    /// # Panics
    /// If it cannot listen on [`Options::listen`].
    pub async fn with(options: Options) -> Self {
        let (send, started) = oneshot::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let run = async move {
            // A test that has failed no longer receives it.
            let _unheard = send.send(Simulator::start(options).await);
            let _dropped = stopped.await;
        };
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime for the simulated Kommo").block_on(run);
        });
        let simulator = started.await.expect("the thread of the simulated Kommo lives");
        let simulator = simulator.unwrap_or_else(|error| panic!("the simulated Kommo cannot start: {error}"));
        Self { simulator, stop: Some(stop), thread: Some(thread) }
    }
}

impl Deref for TestKommo {
    type Target = Simulator;

    fn deref(&self) -> &Simulator {
        &self.simulator
    }
}

impl Drop for TestKommo {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

/// A clock that shows the machine's time, and does not move until the test advances it.
pub fn manual_clock() -> ManualClock {
    ManualClock::new(Clock::system().now())
}
