//! Assertions on why a handler has no completion.

use std::time::Duration;

use crate::handler::{HandlerError, Next, Retry};

/// Assertions on a [`HandlerError`]: whether another attempt follows.
///
/// ```
/// use salesbot_bridge::HandlerError;
/// use salesbot_bridge::testing::AssertError;
///
/// HandlerError::retry("the backend is down").assert_retry();
/// HandlerError::fail("no such lead").assert_fail();
/// ```
pub trait AssertError {
    /// Asserts that another attempt follows, after the bridge's own backoff.
    ///
    /// # Panics
    /// If it is another kind of error; the message has the error.
    #[track_caller]
    fn assert_retry(&self) -> &Self;

    /// Asserts that another attempt follows, and not before `delay`.
    ///
    /// # Panics
    /// If it is another kind of error; the message has the error.
    #[track_caller]
    fn assert_retry_after(&self, delay: Duration) -> &Self;

    /// Asserts that no attempt follows: the bot gets the fallback.
    ///
    /// # Panics
    /// If it is another kind of error; the message has the error.
    #[track_caller]
    fn assert_fail(&self) -> &Self;

    /// Asserts that the handler answers later: see [`Context::complete_later`](crate::Context::complete_later).
    ///
    /// # Panics
    /// If it is another kind of error; the message has the error.
    #[track_caller]
    fn assert_pending(&self) -> &Self;
}

impl AssertError for HandlerError {
    #[track_caller]
    fn assert_retry(&self) -> &Self {
        assert_kind(self, "a retry with backoff")
    }

    #[track_caller]
    fn assert_retry_after(&self, delay: Duration) -> &Self {
        assert_kind(self, &retry_after(delay))
    }

    #[track_caller]
    fn assert_fail(&self) -> &Self {
        assert_kind(self, "a failure without a retry")
    }

    #[track_caller]
    fn assert_pending(&self) -> &Self {
        assert_kind(self, "a callback that comes later")
    }
}

#[track_caller]
fn assert_kind<'e>(error: &'e HandlerError, expected: &str) -> &'e HandlerError {
    let found = match error.next() {
        Next::Retry(Retry::WithBackoff) => "a retry with backoff".to_owned(),
        Next::Retry(Retry::After(delay)) => retry_after(delay),
        Next::Fail => "a failure without a retry".to_owned(),
        Next::AwaitCallback => "a callback that comes later".to_owned(),
    };
    assert!(found == expected, "expected {expected}, found {found}: {error}");
    error
}

fn retry_after(delay: Duration) -> String {
    format!("a retry after {delay:?}")
}
