//! Makes one attempt of a handler.

use crate::handler::{Context, Handler, HandlerError, decode_and_handle};
use model::Completion;
use tokio::time::Instant;

use super::request::TestRequest;

/// Makes one attempt of `handler`: decodes the data of `request` as the bridge does, and runs the handler.
///
/// `request` is a [`TestRequest`], or JSON where only the data matters. `context` is a [`TestContext`](super::TestContext), or
/// a [`Context`] that the test has built before.
///
/// ```
/// use salesbot_bridge::Echo;
/// use salesbot_bridge::testing::{AssertAnswer, TestContext, TestRequest, run};
/// use serde_json::json;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let request = TestRequest::new(json!({ "name": "Ann" })).lead(5);
/// let completion = run(&Echo, request, TestContext::new().attempt(2)).await.unwrap();
/// completion.assert_data("name", "Ann");
/// # }
/// ```
///
/// Kommo's bots usually send a form. Then each value in the data is a string, as in `json!({ "price": "100" })`, and an empty
/// object or list is missing.
///
/// A handler alone is not an attempt of the bridge: a panic reaches the test, and no attempt follows.
///
/// # Errors
/// What the handler returns; or, as in the bridge, a [`HandlerError::fail`] if the data does not decode.
///
/// # Panics
/// If the handler does not end within the context's time limit. Then the context's token is cancelled, as in the bridge.
pub async fn run<H: Handler>(
    handler: &H,
    request: impl Into<TestRequest>,
    context: impl Into<Context>,
) -> Result<Completion, HandlerError> {
    let (request, received) = request.into().into_stored();
    let context = context.into();
    let (limit, cancelled) = (context.time_limit(), context.cancelled().clone());
    // However the attempt ends, the handler's own tasks learn of it.
    let _over = cancelled.drop_guard();
    let attempt = decode_and_handle(handler, &request, received, context);
    let started = Instant::now();
    match tokio::time::timeout(limit, attempt).await {
        // A handler that blocks its thread ends before the timer has had a turn.
        Ok(result) if started.elapsed() <= limit => result,
        _ => panic!("the handler has not finished within {limit:?}, the time limit of its attempt"),
    }
}
