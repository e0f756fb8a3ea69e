//! What a bot got from a test's bridge, and the job behind it.

use std::ops::Deref;

use serde_json::Value;
use simulator::Continue;

use super::AssertAnswer;

/// The continue of a bot that asked a [`TestBridge`](super::TestBridge), and its job. A failed assertion on it also says why
/// the bot got the fallback, if it did.
#[derive(Clone, Debug)]
pub struct TestAnswer {
    with: Continue,
    job: Value,
}

impl TestAnswer {
    pub(super) const fn new(with: Continue, job: Value) -> Self {
        Self { with, job }
    }

    /// The finished job as the API shows it, with its attempts.
    pub const fn job(&self) -> &Value {
        &self.job
    }
}

impl Deref for TestAnswer {
    type Target = Continue;

    fn deref(&self) -> &Continue {
        &self.with
    }
}

impl AssertAnswer for TestAnswer {
    fn body(&self) -> Value {
        self.with.body()
    }

    fn hint(&self) -> Option<String> {
        let reason = self.job["fallback_reason"].as_str()?;
        let error = self.job["last_error"].as_str().unwrap_or("no error is known");
        Some(format!("the bot got the fallback ({reason}): {error}"))
    }
}
