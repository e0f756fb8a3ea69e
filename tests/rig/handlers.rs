//! A slow handler that fails at first, so that kills find running jobs and jobs that wait for a retry.

use std::time::Duration;

use salesbot_bridge::prelude::*;
use serde_json::{Map, Value};

/// Answers with the request's data after `ms` milliseconds. Its first `fails` attempts ask for a retry.
pub struct Work;

impl Handler for Work {
    type Input = Map<String, Value>;

    async fn handle(&self, request: Request<Self::Input>, ctx: Context) -> Result<Completion, HandlerError> {
        let number = |key: &str| request.data.get(key).and_then(Value::as_str).unwrap_or("0").parse::<u32>();
        let ms = number("ms").map_err(HandlerError::fail)?;
        tokio::time::sleep(Duration::from_millis(ms.into())).await;
        if ctx.attempt() <= number("fails").map_err(HandlerError::fail)? {
            let soon = Duration::from_millis(u64::from(ms) * 4);
            return Err(HandlerError::retry_after(soon, "not yet"));
        }
        Ok(request.data.into_iter().fold(Completion::success(), |done, (key, value)| done.data(key, value)))
    }
}

/// Adds the handlers to `bridge`.
pub fn register(bridge: Bridge) -> Bridge {
    bridge.handler("work", Work).handler("old", Work)
}
