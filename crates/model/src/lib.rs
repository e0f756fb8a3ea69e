//! The vocabulary that all rooms share: data and the rules about it, no I/O.
//!
//! Nothing here waits, reads a clock or names a database or an HTTP library, so every rule in this
//! folder is tested as a table.

mod account;
mod attempt;
mod budget;
pub mod clock;
mod completion;
mod fair_semaphore;
mod fallback;
mod hosts;
mod ids;
mod job;
mod job_prefix;
mod json_text;
mod limits;
mod outgoing;
mod public_path;
mod redirect_uri;
mod retry;
mod return_url;
mod state;
mod strict_json;
mod summary;
mod time;
pub mod transition;
mod wait;
mod waits_for;
mod widget_request;

pub use account::{AccountKey, AccountRecord, AccountState, SealedTokens, Standing};
pub use attempt::{Attempt, AttemptResult, Stage};
pub use budget::{Budget, RequestRate};
pub use completion::{Button, CheckedCompletion, Completion, Instruction, Show, Step};
pub use fair_semaphore::Shares;
pub use fallback::{FallbackReason, UnknownReason};
pub use hosts::{HostPattern, HostPatternError, HostRefusal, HostRules, is_public_address};
pub use ids::{AccountId, Fence, HandlerName, HandlerNameError, JobId};
pub use job::{DeliveringJob, Delivery, Job, NewJob, RunningJob};
pub use job_prefix::{JobPrefix, JobPrefixError};
pub use json_text::repaired as repaired_json;
pub use limits::CompletionError;
pub use outgoing::{Authorities, Outgoing, Proxy, ProxyUrl};
pub use public_path::{below, is_path_prefix, path_prefix, routed};
pub use redirect_uri::{RedirectUri, RedirectUriError};
pub use retry::{Backoff, HandlerPolicy, Jitter, LAST_ATTEMPT, next_attempt};
pub use return_url::{BotType, ReturnUrl, ReturnUrlError};
pub use state::{Outcome, OutcomeName, Prepared, State, StateName, UnknownOutcome, UnknownState};
pub use summary::{JobRecord, JobSummary};
pub use time::{Timestamp, whole_millis};
pub use transition::{AfterDelivery, AfterHandler, DeliveryReport, HandlerReport};
pub use wait::{ALL_ACCOUNTS, AccountOrigin, AccountWait, UnknownCause, WaitCause};
pub use waits_for::{Surroundings, WaitsFor, waits_for};
pub use widget_request::{Entity, EntityKind, WidgetRequest};

#[cfg(test)]
mod tests;
