#![doc = include_str!("../docs/writing-handlers.md")]
#![warn(unnameable_types)]

mod accounts;
mod admin;
pub mod bridge;
mod callback;
#[cfg(feature = "cli")]
pub mod cli;
pub mod config;
mod deliver;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod handler;
mod handlers;
mod health;
mod history;
mod job_log;
mod listed_account;
mod listed_setting;
mod listener;
mod log_limiter;
mod meters;
mod oauth;
mod panics;
mod problem;
mod receive;
mod request_body;
mod schema;
mod secrets;
mod shutdown;
mod stage;
mod telemetry;
mod terminal;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod work;

pub use bridge::{Bridge, Listeners};
pub use config::Config;
pub use shutdown::Shutdown;

pub use handler::{Context, Handler, HandlerError, Later, Request, RetryOrFail};
pub use handlers::Echo;

// The types in a request and its context.
pub use model::{AccountId, BotType, Entity, EntityKind, JobId, Timestamp};
#[doc(no_inline)]
pub use tokio_util::sync::CancellationToken;

// A completion and its parts.
pub use model::{Button, CheckedCompletion, Completion, CompletionError, JsonError, Show, Step};

pub use model::clock::{Clock, ManualClock};

/// The whole simulator of Kommo. Tests of handlers need only what [`testing`] has of it.
#[cfg(feature = "testing")]
#[doc(no_inline)]
pub use simulator;

/// The client for calls to one Kommo account, and its errors.
pub mod kommo {
    pub use ::kommo::{
        Client, ClientOptions, Error, HttpClientError, MAX_WIDGETS, NoBearer, ProblemText, Rating, Reason,
        SettingField, SettingMistake, SettingType, ValidationError, Widget, WidgetPage, WidgetSettings,
    };

    // The URL where a bot waits, for `Client::continue_bot`.
    pub use model::{ReturnUrl, ReturnUrlError};

    // The fields of `ClientOptions`.
    pub use model::{
        AllowedHosts, Authorities, HostPattern, HostPatternError, HostRefusal, HostRules, Outgoing, Proxy,
        ProxyUrl,
    };

    #[doc(no_inline)]
    pub use secrecy::SecretString;
}

/// The names that most handlers need: `use salesbot_bridge::prelude::*;`.
pub mod prelude {
    #[doc(no_inline)]
    pub use crate::{
        Bridge, Button, Completion, Context, Handler, HandlerError, Request, RetryOrFail, Show, Step, bridge,
        kommo,
    };
    #[doc(no_inline)]
    pub use serde::Deserialize;
    #[doc(no_inline)]
    pub use serde_json::{Value, json};
}

/// Compiles the examples of README.md.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
