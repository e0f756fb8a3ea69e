//! The vocabulary of salesbot-bridge: data, and the rules about it.
//!
//! The crate does no I/O, so each rule is a pure function with a table as its test. It depends on no other crate of the
//! workspace, and on no database or HTTP library.
//!
//! - **Jobs**: [`Job`] and its [`State`], the claims [`RunningJob`] and [`DeliveringJob`], and the reports that consume a claim
//!   ([`transition`]).
//! - **Completions**: the result of a handler ([`Completion`]), and a completion within all of Kommo's limits
//!   ([`CheckedCompletion`]).
//! - **Accounts**: identity and authorization ([`AccountRecord`]), budgets ([`Budget`]), and the reasons why deliveries wait
//!   ([`AccountWait`]).
//! - **Addresses**: the hosts that may get a bearer token ([`HostRules`]), and the URL where a bot waits ([`ReturnUrl`]).
//! - **Policies**: [`Backoff`], [`HandlerPolicy`], and permits that are divided fairly ([`FairSemaphore`]).
//! - **Explanations**: why a job is in its state ([`explain`]), and which errors are the same ([`fingerprint`]).
//! - **Maps**: hash maps for what every job looks up ([`maps`]).
//! - **Time**: a [`Timestamp`], and the [`clock`] that all code takes as an argument. Only the clock waits.

mod account;
mod attempt;
mod budget;
pub mod clock;
mod completion;
mod error_chain;
mod explain;
mod fair_semaphore;
mod fallback;
pub mod filter;
mod fingerprint;
mod hosts;
mod ids;
mod job;
mod job_prefix;
mod json_text;
mod limits;
pub mod maps;
mod note;
mod ordering;
mod outgoing;
mod public_path;
mod redirect_uri;
mod retry;
mod return_url;
mod show_data;
mod state;
mod strict_json;
mod summary;
mod time;
pub mod transition;
mod wait;
mod widget_request;

pub use account::{AccountKey, AccountRecord, AccountState, Authorization, SealedTokens};
pub use attempt::{Attempt, AttemptResult, Stage};
pub use budget::{Budget, RequestRate};
pub use completion::{Button, CheckedCompletion, Completion, Instruction, Show, Step};
pub use error_chain::error_chain;
pub use explain::{
    AccountPace, AccountPause, Because, Code as ExplainCode, ExplainContext, Explanation, HandlerLoad, Line,
    NextStep, Suggestion, WaitsFor, explain,
};
pub use fair_semaphore::FairSemaphore;
pub use fallback::{FallbackReason, UnknownFallbackReason};
pub use filter::Filter;
pub use fingerprint::fingerprint;
pub use hosts::{AllowedHosts, HostPattern, HostPatternError, HostRefusal, HostRules, is_public_address};
pub use ids::{AccountId, Fence, HandlerName, HandlerNameError, JobId};
pub use job::{DeliveringJob, Delivery, HandlerRun, Job, NewJob, RunningJob};
pub use job_prefix::{JobPrefix, JobPrefixError};
pub use json_text::repaired as repaired_json;
pub use limits::{CompletionError, JsonError};
pub use note::{MAX_NOTE_CHARS, MAX_NOTES, Note};
pub use ordering::{Gathering, JobOrdering, MAX_COALESCE_FACTOR, gathered_at};
pub use outgoing::{Authorities, Outgoing, Proxy, ProxyUrl};
pub use public_path::{is_path_prefix, path_below, path_prefix, url_below};
pub use redirect_uri::{RedirectUri, RedirectUriError};
pub use retry::{Backoff, HandlerPolicy, Jitter, LAST_ATTEMPT_MARGIN, next_attempt};
pub use return_url::{BotType, ReturnUrl, ReturnUrlError};
pub use show_data::ShowData;
pub use state::{
    Outcome, OutcomeName, PreparedCompletion, QueueWait, State, StateName, UnknownOutcome, UnknownState,
};
pub use summary::{JobRecord, JobSummary};
pub use time::{Timestamp, whole_millis};
pub use transition::{AfterDelivery, AfterHandler, DeliveryReport, HandlerReport};
pub use wait::{ALL_ACCOUNTS, AccountOrigin, AccountWait, UnknownWaitCause, WaitCause};
pub use widget_request::{Entity, EntityKind, WidgetRequest};

#[cfg(test)]
mod tests;
