//! The interface for authors of handlers: [`Handler`], [`Request`], [`Context`] and [`HandlerError`].
//!
//! A handler turns a bot's question into an answer. It may be slow, because the bridge has already answered Kommo. It may
//! fail, because the bridge retries it. It may run more than once for one job: if it changes anything elsewhere, use
//! [`Context::job_id`] as the idempotency key.
//!
//! Each attempt runs in a span `job` with the job's id, the handler's name and the attempt, so each line that the handler
//! logs with `tracing` contains them. Spawn a task with `.in_current_span()` to keep it in that span.

mod any;
mod callback_urls;
pub(crate) mod completion_json;
mod error;
mod later;
mod notes;
mod undecodable;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use kommo::Client;
use model::{AccountId, BotType, Completion, Entity, EntityKind, JobId, Timestamp};

pub(crate) use any::{Admission, AnyHandler, HandlerFuture, ReceivedAt};
#[cfg(any(test, feature = "testing"))]
pub(crate) use any::{decode_and_handle, request_with};
pub(crate) use callback_urls::CallbackUrls;
pub use error::{HandlerError, RetryOrFail};
pub(crate) use error::{Next, Retry};
pub use later::Later;
pub(crate) use notes::Notes;

/// Answers the widget requests to one name.
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
    /// The type that the request's `data` is decoded into. In a form every value is a string.
    ///
    /// If the data does not decode, the bot gets the fallback without a retry, as after [`HandlerError::fail`].
    type Input: DeserializeOwned + Send;

    /// Answers one request.
    ///
    /// When the attempt's time is over, [`Context::cancelled`] fires and the bridge drops the future. A panic counts as a
    /// failed attempt, which the bridge retries. The log and the job's last error say where the handler panicked. They quote
    /// the message only if it is a literal, because a formatted message may quote a customer.
    ///
    /// # Errors
    /// The handler has no completion. Say at each `?` whether a retry may help: see [`HandlerError`].
    fn handle(
        &self,
        request: Request<Self::Input>,
        context: Context,
    ) -> impl Future<Output = Result<Completion, HandlerError>> + Send;
}

/// A bot's question.
#[derive(Clone)]
#[non_exhaustive]
pub struct Request<T> {
    /// The widget's data.
    pub data: T,
    /// The data of the messages that came before this one, if `handlers.NAME.coalesce` joined them; oldest first. The
    /// completion answers all of them. Empty without `coalesce`, and for a message that came alone.
    pub earlier: Vec<T>,
    /// The account of the bot.
    pub account_id: AccountId,
    /// The account's address, `https://example.kommo.com`.
    pub account_url: String,
    /// The lead, contact or customer that the bot talks about; `None` if the request names none.
    pub entity: Option<Entity>,
    /// The kind of bot.
    pub bot_type: BotType,
    /// The bot's number.
    pub bot_id: i64,
    /// When the bridge received the request.
    pub received_at: Timestamp,
}

impl<T> Request<T> {
    /// The data of all messages that the completion answers, oldest first: [`earlier`](Self::earlier), then
    /// [`data`](Self::data).
    pub fn inputs(&self) -> impl Iterator<Item = &T> {
        self.earlier.iter().chain([&self.data])
    }

    /// The id of the lead that the bot talks about; `None` if it talks about a contact or a customer, or the request names
    /// nothing.
    pub fn lead_id(&self) -> Option<i64> {
        self.entity.filter(|entity| entity.kind == EntityKind::Lead).map(|lead| lead.id)
    }
}

impl<T> fmt::Debug for Request<T> {
    /// Omits the data, because it belongs to the customer and must not get into a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { data: _, earlier: _, account_id, account_url, entity, bot_type, bot_id, received_at } =
            self;
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

/// One attempt: its job, its time limit, and a client for calls to Kommo.
#[derive(Clone)]
pub struct Context {
    pub(crate) job_id: JobId,
    pub(crate) attempt: u32,
    pub(crate) deadline: Timestamp,
    pub(crate) remaining: Duration,
    pub(crate) cancelled: CancellationToken,
    pub(crate) kommo: Client,
    /// When the bot gets the fallback, by the calendar.
    pub(crate) answer_by: Timestamp,
    pub(crate) callbacks: Arc<CallbackUrls>,
    pub(crate) notes: Notes,
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { job_id, attempt, deadline, remaining, cancelled, answer_by, .. } = self;
        f.debug_struct("Context")
            .field("job_id", job_id)
            .field("attempt", attempt)
            .field("deadline", deadline)
            .field("remaining", remaining)
            .field("cancelled", cancelled)
            .field("answer_by", answer_by)
            .finish_non_exhaustive()
    }
}

impl Context {
    /// The job's id. It is the same in all attempts: use it as the idempotency key of calls to other services.
    pub const fn job_id(&self) -> JobId {
        self.job_id
    }

    /// The number of this attempt, from 1.
    pub const fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The moment at which the bridge ends this attempt, by the calendar.
    pub const fn deadline(&self) -> Timestamp {
        self.deadline
    }

    /// The time between the start of this attempt and its deadline.
    pub const fn time_limit(&self) -> Duration {
        self.remaining
    }

    /// Fires when the attempt ends: the handler returned, its time is over, or the bridge stops and no longer waits.
    ///
    /// The bridge then drops the handler's future. Give a clone of this token to tasks that the handler spawns.
    pub const fn cancelled(&self) -> &CancellationToken {
        &self.cancelled
    }

    /// The client for calls to the bot's account. It has the bridge's token for the account, and shares the account's rate
    /// limit with the continues. A call waits no longer than the attempt lasts.
    pub const fn kommo(&self) -> &Client {
        &self.kommo
    }

    /// Adds a line to the job's time line, which `jobs show` and the API show with the attempts. A job keeps its first 100
    /// notes, and of each note the first 500 characters. The log does not get it.
    ///
    /// Does not wait for the disk. A note that is written just before a crash may be lost.
    pub fn note(&self, text: impl Into<String>) {
        self.notes.add(self.job_id, text.into());
    }

    /// Lets the job be answered later, from anywhere. The handler passes the handle on, and returns
    /// [`Later::pending`]. The job then awaits its answer without a worker. It survives a restart, and does not run again
    /// after a crash. If no answer comes within `handlers.NAME.answer_within`, the bot gets the fallback.
    ///
    /// ```
    /// use salesbot_bridge::prelude::*;
    ///
    /// # fn ask_a_colleague(_: salesbot_bridge::Later) {}
    /// async fn handle(context: Context) -> Result<Completion, HandlerError> {
    ///     let later = context.complete_later()?;
    ///     ask_a_colleague(later.clone()); // who POSTs to `later.callback_url()`
    ///     later.pending()
    /// }
    /// ```
    ///
    /// # Errors
    /// Neither `server.callback_url` nor `server.public_url` is set. A retry does not help.
    pub fn complete_later(&self) -> Result<Later, HandlerError> {
        let url = self.callback_url().ok_or_else(|| {
            HandlerError::fail(
                "the job cannot be answered later: set server.callback_url to the bridge's address",
            )
        })?;
        Ok(Later::new(self.job_id, self.attempt, url.expose_secret().to_owned(), self.answer_by))
    }

    /// `text` without the token of the job's callback URL.
    pub(crate) fn without_token(&self, text: &str) -> String {
        self.callbacks.without_token(self.job_id, text)
    }

    /// The URL that takes the job's answer later; `None` if `server.callback_url` is not set.
    pub(crate) fn callback_url(&self) -> Option<SecretString> {
        self.callbacks.url(self.job_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(entity: Option<Entity>) -> Request<&'static str> {
        Request {
            data: "the-customer's-own-words",
            earlier: vec!["the-first-words"],
            account_id: AccountId(7),
            account_url: "https://example.kommo.com".into(),
            entity,
            bot_type: BotType::Salesbot,
            bot_id: 12,
            received_at: Timestamp::from_millis(0),
        }
    }

    #[test]
    fn only_a_lead_has_the_id_of_a_lead() {
        for (kind, id) in [
            (Some(EntityKind::Lead), Some(5)),
            (Some(EntityKind::Contact), None),
            (Some(EntityKind::Customer), None),
            (None, None),
        ] {
            let entity = kind.map(|kind| Entity { kind, id: 5 });
            assert_eq!(request(entity).lead_id(), id, "{kind:?}");
        }
    }

    #[test]
    fn the_inputs_are_in_the_order_of_the_messages() {
        let request = request(None);
        assert_eq!(Vec::from_iter(request.inputs()), [&"the-first-words", &"the-customer's-own-words"]);
    }

    #[test]
    fn debug_does_not_show_the_data() {
        let shown = format!("{:?}", request(None));
        assert!(shown.contains("bot_id: 12") && !shown.contains("words"), "{shown}");
    }
}
