//! What only the running bridge knows, in memory: permits, breakers and the pace of accounts; and the settings that the
//! API shows. The admin listener asks for it, and does not name the rooms that know it.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::schema;
use model::{AccountPace, AccountPause, HandlerLoad, HandlerName, Timestamp};
use store::{Actor, StoreError, StoreUrl};

use super::accounts::AccountsView;

/// A read of the accounts.
pub type ListedAccounts<'a> = Pin<Box<dyn Future<Output = Result<AccountsView, StoreError>> + Send + 'a>>;

/// A test of a handler. The error says why nothing was sent.
pub type TestedHandler<'a> = Pin<Box<dyn Future<Output = Result<TrialView, String>> + Send + 'a>>;

/// The result of a test request to a handler.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TrialView {
    /// The length of the request's body.
    pub request_bytes: usize,
    /// The HTTP status; null if there was no response.
    pub status: Option<u16>,
    /// The time until the end of the response, or until the test gave up.
    pub duration_ms: u64,
    /// The beginning of the response's body; null if it is empty.
    pub response: Option<String>,
    /// What would follow for a job: `answer`, `callback`, `retry` or `fail`.
    pub meaning: &'static str,
    /// Why, or advice.
    pub why: Option<String>,
    /// What the bot would get; null unless the meaning is `answer`.
    pub completion: Option<Value>,
}

/// What the running bridge knows.
pub trait Live: Send + Sync {
    /// What a handler does at the moment; `None` if there is no such handler.
    fn load(&self, handler: &HandlerName) -> Option<HandlerLoad>;

    /// How many jobs may await a callback of a handler; `None` if any number may.
    fn max_awaiting(&self, handler: &HandlerName) -> Option<u64>;

    /// The pace of the account at `origin`.
    fn pace(&self, origin: &str) -> Option<AccountPace>;

    /// The pause of the calls to the account at `origin`.
    fn pause(&self, origin: &str) -> Option<AccountPause>;

    /// The settings of all handlers, by name.
    fn handlers(&self) -> Vec<HandlerSettings>;

    /// All accounts.
    fn accounts(&self) -> ListedAccounts<'_>;

    /// `delivery.give_up_after`
    fn give_up_after(&self) -> Duration;

    /// How many accounts are paused, or not active, or wait for an operator. Reads only memory.
    fn accounts_in_trouble(&self) -> usize;

    /// Sends a test request with the widget's `data` to a handler; `None` unless the handler is at a URL.
    fn test_handler(&self, handler: &HandlerName, data: Value) -> Option<TestedHandler<'_>>;

    /// The settings of the store.
    fn store(&self) -> StoreSettings;

    /// The scheduled backups; `None` if no folder is configured.
    fn backups(&self) -> Option<BackupsState>;

    /// Asks for a backup now. It is recorded in the log of actions as one of `by` when it ends.
    fn back_up_now(&self, by: Actor);

    /// `server.public_url` without a slash at its end; `None` if it is not set.
    fn public_url(&self) -> Option<&str>;
}

/// The settings of a handler.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct HandlerSettings {
    /// Its name.
    #[schema(value_type = schema::HandlerName)]
    pub name: HandlerName,
    /// `rust` if it is registered in Rust, otherwise `handlers.NAME.kind`.
    pub kind: String,
    /// Its URL; null unless it is at one.
    pub url: Option<String>,
    /// `handlers.NAME.max_attempts`.
    pub max_attempts: u32,
    /// `handlers.NAME.attempt_timeout`, in milliseconds.
    pub attempt_timeout_ms: u64,
    /// `handlers.NAME.answer_within`, in milliseconds.
    pub answer_within_ms: u64,
    /// `handlers.NAME.ordering`.
    #[schema(value_type = String, example = "conversation")]
    pub ordering: &'static str,
    /// `handlers.NAME.coalesce`, in milliseconds.
    pub coalesce_ms: u64,
}

/// The settings of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSettings {
    /// `store.url`
    pub url: StoreUrl,
    /// `store.retention`
    pub retention: Duration,
    /// `store.body_retention`
    pub body_retention: Duration,
    /// `store.backup_folder`
    pub backup_folder: Option<PathBuf>,
}

/// The scheduled backups of the running bridge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupsState {
    /// `store.backup_every`
    pub every: Duration,
    /// `store.backup_keep`
    pub keep: usize,
    /// Whether one is asked for and has not begun.
    pub is_asked_for: bool,
    /// Since when one is being written; `None` if none is.
    pub running_since: Option<Timestamp>,
    /// When the last one of this process ended; the error says why it failed.
    pub last: Option<(Timestamp, Result<(), String>)>,
}

/// A pace as JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Pace)]
pub struct PaceView {
    /// The calls that started within the current second, or are about to.
    pub used: usize,
    /// How many may.
    pub limit: usize,
    /// When the next call may start, apart from pauses; null if at once.
    #[schema(value_type = Option<schema::Moment>)]
    pub next_at: Option<Timestamp>,
}

impl From<AccountPace> for PaceView {
    fn from(pace: AccountPace) -> Self {
        let AccountPace { used, limit, next_at } = pace;
        Self { used, limit, next_at }
    }
}
