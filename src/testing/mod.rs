//! The kit for tests of handlers: unit tests without a bridge, integration tests with a real one.
//!
//! Add it as a dev-dependency, so that no program contains it:
//!
//! ```toml
//! [dev-dependencies]
//! salesbot-bridge = { git = "…", features = ["testing"] }
//! tokio = { version = "1", features = ["macros", "rt"] }
//! ```
//!
//! # A unit test
//!
//! [`run`] makes one attempt of a handler. It decodes JSON as the bridge does, so the test covers the handler's `Input` too:
//!
//! ```
//! use salesbot_bridge::prelude::*;
//! use salesbot_bridge::testing::{AssertAnswer, TestContext, run};
//! # struct Greeter;
//! # #[derive(Deserialize)]
//! # struct Question { name: String }
//! # impl Handler for Greeter {
//! #     type Input = Question;
//! #     async fn handle(&self, request: Request<Question>, _: Context) -> Result<Completion, HandlerError> {
//! #         Ok(Completion::success().data("reply", format!("Hi {}", request.data.name)))
//! #     }
//! # }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! // In a `#[tokio::test]`:
//! let completion = run(&Greeter, json!({ "name": "Ann" }), TestContext::new()).await.unwrap();
//! completion.assert_data("reply", "Hi Ann");
//! # }
//! ```
//!
//! | part | what it is for |
//! |---|---|
//! | [`TestRequest`], [`TestContext`] | build the two arguments of a handler; what a test does not set has a default |
//! | [`TestKommo`] | simulates Kommo for handlers that call it: responds as the test says, and records what it received |
//! | [`AssertAnswer`], [`AssertError`], [`AssertCalls`] | assertions that show the difference |
//!
//! # An integration test
//!
//! [`TestBridge`] is a real bridge on free ports, with a store in a temporary folder and a simulated Kommo:
//!
//! ```
//! use salesbot_bridge::testing::{AssertAnswer, TestBridge};
//! use serde_json::json;
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! // In a `#[tokio::test]`:
//! let bridge = TestBridge::start(|bridge| bridge.handler("echo", salesbot_bridge::Echo)).await;
//! let answer = bridge.answer_to("echo", json!({ "name": "Ann" })).await;
//! answer.assert_data("name", "Ann");
//! bridge.stop().await;
//! # }
//! ```
//!
//! # Promises
//!
//! - Input decodes as in the bridge: both run the same code.
//! - A test calls no other machine. A handler whose context has no Kommo panics when it calls one.
//! - A [`TestBridge`] that stops or is dropped fails the test if a job is unfinished, unless the test allows it.
//! - Each bridge and each Kommo has its own thread, ports and folder. Only the metrics are those of the process. Tests run in
//!   parallel, on any kind of Tokio runtime, but not with Tokio's paused time (`start_paused`): then each wait for a response
//!   times out at once.
//! - Nothing sleeps. The kit waits for events, at most [`TEST_TIMEOUT`] (for the end of a bridge, `workers.grace` longer); then
//!   the test fails and says what is missing.
//!
//! If an `async` function of the kit panics, the message names a line of the kit. Run the test with `RUST_BACKTRACE=1` to see
//! the line of the test.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod answer;
mod bridge;
mod builder;
mod calls;
mod client;
mod context;
mod difference;
mod error;
mod kommo;
mod request;
mod run;
mod running;
mod test_answer;
mod wait;

#[cfg(test)]
mod tests;

use std::time::Duration;

pub use answer::AssertAnswer;
pub use bridge::TestBridge;
pub use builder::{TestBridgeBuilder, TestFolder};
pub use calls::AssertCalls;
pub use context::TestContext;
pub use error::AssertError;
pub use kommo::{TestKommo, manual_clock};
pub use request::TestRequest;
pub use run::run;
pub use simulator::{
    Ack, ApiCall, BodyStyle, Bot, CannedResponse, Continue, Fault, Options, Plan, Simulator, TokenStyle,
};
pub use test_answer::TestAnswer;
pub use wait::continued;

/// The longest that the kit waits for one event. It is longer than any test needs, also on a busy machine.
pub const TEST_TIMEOUT: Duration = Duration::from_secs(30);
