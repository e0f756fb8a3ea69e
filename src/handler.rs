//! The page that the author of a handler reads.
//!
//! A handler turns what a bot asks into what the bot gets. It may take its time (the bridge has answered
//! Kommo already), it may fail (the bridge retries), and it may run more than once for one job: if it
//! changes anything elsewhere, [`Context::job_id`] is the idempotency key for that. What it logs with `tracing` carries
//! the job's id, the handler's name and the attempt, in a span `job`. A task that it spawns is in that span only if it is
//! spawned `.in_current_span()`.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use kommo::Client;
use model::{AccountId, BotType, Completion, Entity, JobId, Timestamp, error_chain};

/// Answers the widget requests of one name.
///
/// ```
/// use salesbot_bridge::prelude::*;
///
/// struct Greeter;
///
/// #[derive(Deserialize)]
/// struct Question {
///     name: String,
/// }
///
/// impl Handler for Greeter {
///     type Input = Question;
///
///     async fn handle(&self, request: Request<Question>, _: Context) -> Result<Completion, HandlerError> {
///         Ok(Completion::success().data("reply", format!("Hi {}", request.data.name)))
///     }
/// }
/// ```
pub trait Handler: Send + Sync + 'static {
    /// The shape of the request's `data`. From a form every value in it is a string. Data that does not
    /// decode counts as [`HandlerError::fail`]: the bot gets the fallback.
    type Input: DeserializeOwned + Send;

    /// Makes the completion of one request.
    ///
    /// When the attempt's time is over, [`Context::cancelled`] fires and the future is dropped. A panic is caught and counts
    /// as a failed attempt. The log and the job's last error say where it was, and its message only if that is a literal: a
    /// formatted one may quote a customer.
    ///
    /// # Errors
    /// Say at each `?` whether a retry may help: [`HandlerError::retry`] or [`HandlerError::fail`].
    fn handle(
        &self,
        request: Request<Self::Input>,
        context: Context,
    ) -> impl Future<Output = Result<Completion, HandlerError>> + Send;
}

/// What a bot asks.
#[derive(Clone)]
#[non_exhaustive]
pub struct Request<T> {
    /// What the widget put into its request.
    pub data: T,
    /// The account whose bot asks.
    pub account_id: AccountId,
    /// The account's address, `https://example.kommo.com`.
    pub account_url: String,
    /// The lead, contact or customer that the bot talks about, if the request names one.
    pub entity: Option<Entity>,
    /// The kind of bot.
    pub bot_type: BotType,
    /// The bot's number.
    pub bot_id: i64,
    /// When the request came in.
    pub received_at: Timestamp,
}

impl<T> fmt::Debug for Request<T> {
    /// Without the data, which is a customer's: so it cannot get into a log with the rest.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { data: _, account_id, account_url, entity, bot_type, bot_id, received_at } = self;
        f.debug_struct("Request")
            .field("account_id", account_id)
            .field("account_url", account_url)
            .field("entity", entity)
            .field("bot_type", bot_type)
            .field("bot_id", bot_id)
            .field("received_at", received_at)
            .finish_non_exhaustive()
    }
}

/// The circumstances of one attempt.
#[derive(Clone, Debug)]
pub struct Context {
    pub(crate) job_id: JobId,
    pub(crate) attempt: u32,
    pub(crate) deadline: Timestamp,
    pub(crate) remaining: Duration,
    pub(crate) cancelled: CancellationToken,
    pub(crate) kommo: Client,
}

impl Context {
    /// The job: the same over all its attempts, so the idempotency key for whatever the handler does.
    pub const fn job_id(&self) -> JobId {
        self.job_id
    }

    /// Which attempt this is, from 1.
    pub const fn attempt(&self) -> u32 {
        self.attempt
    }

    /// When this attempt is cut off.
    pub const fn deadline(&self) -> Timestamp {
        self.deadline
    }

    /// The time that this attempt had when it began.
    pub const fn time_limit(&self) -> Duration {
        self.remaining
    }

    /// Fires when the attempt is over before the handler is: past its deadline, or when the bridge stops.
    /// For work that the handler has spawned; the handler itself is dropped.
    pub const fn cancelled(&self) -> &CancellationToken {
        &self.cancelled
    }

    /// Makes calls to the account whose bot asks, with the bridge's token for it and in one pace with the continues.
    /// A call waits no longer than the attempt lasts.
    pub const fn kommo(&self) -> &Client {
        &self.kommo
    }
}

/// Why a handler has no completion, and whether it may be asked again.
///
/// The text is kept as the job's last error and logged: leave out what must not be read there.
#[derive(Debug)]
pub struct HandlerError {
    retry: Option<Retry>,
    source: Box<dyn Error + Send + Sync>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Retry {
    WithBackoff,
    After(Duration),
}

impl HandlerError {
    /// A retry may help: a timeout, a server that is down. The next attempt follows after a backoff of 500 ms, doubling;
    /// after `max_attempts`, or when `answer_within` leaves no time for another, the bot gets the fallback.
    pub fn retry(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { retry: Some(Retry::WithBackoff), source: error.into() }
    }

    /// As [`retry`](Self::retry), but not before `delay`, because the backend said so. A longer `delay` than the job has time
    /// is cut short: the last attempt begins a second before `answer_within` is over, because until then the customer waits
    /// anyway. Use [`fail`](Self::fail) where that attempt would be in vain.
    pub fn retry_after(delay: Duration, error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { retry: Some(Retry::After(delay)), source: error.into() }
    }

    /// A retry cannot help: the bot gets the fallback now.
    pub fn fail(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { retry: None, source: error.into() }
    }

    /// The same error with no source but the text that `write` makes of it.
    pub(crate) fn as_text(&self, write: impl FnOnce(String) -> String) -> Self {
        Self { retry: self.retry, source: write(self.to_string()).into() }
    }

    pub(crate) const fn when_to_retry(&self) -> Option<Retry> {
        self.retry
    }
}

impl fmt::Display for HandlerError {
    /// The error and its causes, on one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&error_chain(&*self.source))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the outer")]
    struct Outer(#[source] std::num::ParseIntError);

    #[test]
    fn an_error_tells_its_causes() {
        let parse = "x".parse::<u8>().unwrap_err();
        assert_eq!(HandlerError::retry(Outer(parse)).to_string(), "the outer: invalid digit found in string");
        assert_eq!(HandlerError::fail("no such lead").to_string(), "no such lead");
    }

    #[test]
    fn debug_does_not_show_the_data() {
        let request = Request {
            data: "the-customer's-own-words",
            account_id: AccountId(7),
            account_url: "https://example.kommo.com".into(),
            entity: None,
            bot_type: BotType::Salesbot,
            bot_id: 12,
            received_at: Timestamp::from_millis(0),
        };
        let shown = format!("{request:?}");
        assert!(shown.contains("bot_id: 12") && !shown.contains("words"), "{shown}");
    }
}
