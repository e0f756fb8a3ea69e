//! The vocabulary that all rooms share: data and the rules about it, no I/O.
//!
//! Nothing here waits, reads a clock or names a database or an HTTP library, so every rule in this
//! folder is tested as a table.

mod account;
mod attempt;
mod budget;
mod completion;
mod finite;
mod hosts;
mod ids;
mod job;
mod json_text;
mod limits;
mod public_path;
mod redirect_uri;
mod retry;
mod return_url;
mod shares;
mod state;
mod summary;
mod time;
pub(crate) mod transition;
mod widget_request;

pub use account::{AccountKey, AccountRecord, AccountState, SealedTokens, Standing};
pub use attempt::{Attempt, AttemptResult, Stage};
pub use budget::{Budget, RequestRate};
pub use completion::{Button, CheckedCompletion, Completion, Instruction, Show, Step};
pub use hosts::{HostPattern, HostPatternError, HostRefusal, HostRules, is_public_address};
pub use ids::{AccountId, Fence, HandlerName, HandlerNameError, JobId};
pub use job::{DeliveringJob, Delivery, Job, NewJob, RunningJob};
pub use json_text::repaired as repaired_json;
pub use limits::CompletionError;
pub use public_path::{below, is_path_prefix, path_prefix, routed};
pub use redirect_uri::{RedirectUri, RedirectUriError};
pub use retry::{Backoff, HandlerPolicy};
pub use return_url::{BotType, ReturnUrl, ReturnUrlError};
pub use shares::Shares;
pub use state::{Outcome, Prepared, State, StateName, UnknownState};
pub use summary::{JobRecord, JobSummary};
pub use time::{Timestamp, whole_millis};
pub use transition::{AfterDelivery, AfterHandler, DeliveryReport, HandlerReport};
pub use widget_request::{Entity, EntityKind, WidgetRequest};
