//! Why a handler has no completion, and whether another attempt can help.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use model::error_chain;

/// Why an attempt of a handler has no completion, and whether the bridge retries it.
///
/// At each `?`, say whether a retry may help: [`or_retry`](RetryOrFail::or_retry), [`or_retry_after`](RetryOrFail::or_retry_after) or
/// [`or_fail`](RetryOrFail::or_fail). Only a [`kommo::Error`] needs none of them, because it already says so:
///
/// | the error | becomes |
/// |---|---|
/// | [is worth retrying](kommo::Error::is_worth_retrying), and Kommo said when | [`retry_after`](Self::retry_after) |
/// | is worth retrying | [`retry`](Self::retry) |
/// | all others: 404, 422, a token that Kommo refuses, … | [`fail`](Self::fail) |
///
/// If the response to a write is lost, a retry counts as worthwhile, so the next attempt may repeat the write. Use
/// `.or_fail()?` if it must not be repeated.
///
/// The bridge logs the text of the error and its causes, and keeps it as the job's last error. Put nothing confidential
/// into it.
pub struct HandlerError {
    next: Next,
    source: Box<dyn Error + Send + Sync>,
}

/// What follows an attempt that returns no completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Another attempt.
    Retry(Retry),
    /// The fallback.
    Fail,
    /// The answer comes later, by a callback.
    AwaitCallback,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retry {
    WithBackoff,
    After(Duration),
}

impl HandlerError {
    /// A retry may help: a timeout, a server that is down.
    ///
    /// The first delay is 250 to 500 ms. Each further delay is twice as long, up to 8 s or a sixth of `answer_within`,
    /// whichever is longer. After `max_attempts`, or if `answer_within` leaves no time for another attempt, the bot gets the
    /// fallback.
    pub fn retry(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { next: Next::Retry(Retry::WithBackoff), source: error.into() }
    }

    /// A retry may help, but not before `delay` has passed: for a backend that says when to retry.
    ///
    /// If `delay` is longer than the time that the job has left, the last attempt begins one second before `answer_within`
    /// is over, because the customer waits until then anyway. Use [`fail`](Self::fail) if that attempt cannot succeed.
    pub fn retry_after(delay: Duration, error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { next: Next::Retry(Retry::After(delay)), source: error.into() }
    }

    /// A retry cannot help: the bot gets the fallback now.
    pub fn fail(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { next: Next::Fail, source: error.into() }
    }

    /// There is no completion yet: the answer comes later, by a callback.
    pub(crate) fn await_callback() -> Self {
        Self { next: Next::AwaitCallback, source: "the answer comes later, by a callback".into() }
    }

    /// Whether another attempt may help.
    pub const fn is_retryable(&self) -> bool {
        matches!(self.next, Next::Retry(_))
    }

    /// The delay of [`retry_after`](Self::retry_after); `None` for the other two.
    pub const fn retry_delay(&self) -> Option<Duration> {
        match self.next {
            Next::Retry(Retry::After(delay)) => Some(delay),
            Next::Retry(Retry::WithBackoff) | Next::Fail | Next::AwaitCallback => None,
        }
    }

    /// The underlying error, to inspect or downcast.
    pub fn cause(&self) -> &(dyn Error + Send + Sync + 'static) {
        &*self.source
    }

    /// The same decision, with the text that `write` returns in place of the error and its causes.
    pub(crate) fn as_text(&self, write: impl FnOnce(String) -> String) -> Self {
        Self { next: self.next, source: write(self.to_string()).into() }
    }

    pub(crate) const fn next(&self) -> Next {
        self.next
    }
}

impl fmt::Display for HandlerError {
    /// Writes the error and its causes on one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&error_chain(&*self.source))
    }
}

impl fmt::Debug for HandlerError {
    /// Writes the decision and the text, because a test that unwraps the error prints this form.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.next {
            Next::Fail => write!(f, "fail: {self}"),
            Next::Retry(Retry::WithBackoff) => write!(f, "retry: {self}"),
            Next::Retry(Retry::After(delay)) => write!(f, "retry after {delay:?}: {self}"),
            Next::AwaitCallback => write!(f, "{self}"),
        }
    }
}

impl From<kommo::Error> for HandlerError {
    fn from(error: kommo::Error) -> Self {
        match error.retry_after() {
            _ if !error.is_worth_retrying() => Self::fail(error),
            Some(delay) => Self::retry_after(delay, error),
            None => Self::retry(error),
        }
    }
}

/// Decides at a `?` whether another attempt can help.
///
/// It works on every `Result` with an error that converts into a boxed error: errors of the standard library and of other
/// crates, [`kommo::Error`] (it replaces that error's own decision), `&str` and `String`. For an `Option`, first say what is
/// missing:
///
/// ```
/// use salesbot_bridge::prelude::*;
///
/// async fn price(text: Option<&str>) -> Result<u64, HandlerError> {
///     let text = text.ok_or("the request has no price").or_fail()?;
///     text.parse().or_fail()
/// }
/// ```
pub trait RetryOrFail<T> {
    /// Turns the error into [`HandlerError::retry`].
    ///
    /// # Errors
    /// `self` is an error.
    fn or_retry(self) -> Result<T, HandlerError>;

    /// Turns the error into [`HandlerError::retry_after`].
    ///
    /// # Errors
    /// `self` is an error.
    fn or_retry_after(self, delay: Duration) -> Result<T, HandlerError>;

    /// Turns the error into [`HandlerError::fail`].
    ///
    /// # Errors
    /// `self` is an error.
    fn or_fail(self) -> Result<T, HandlerError>;
}

impl<T, E: Into<Box<dyn Error + Send + Sync>>> RetryOrFail<T> for Result<T, E> {
    fn or_retry(self) -> Result<T, HandlerError> {
        self.map_err(HandlerError::retry)
    }

    fn or_retry_after(self, delay: Duration) -> Result<T, HandlerError> {
        self.map_err(|error| HandlerError::retry_after(delay, error))
    }

    fn or_fail(self) -> Result<T, HandlerError> {
        self.map_err(HandlerError::fail)
    }
}

#[cfg(test)]
mod tests;
