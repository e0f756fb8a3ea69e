#![doc = include_str!("../README.md")]

mod accounts;
mod admin;
pub mod bridge;
#[cfg(feature = "cli")]
pub mod cli;
pub mod config;
mod deliver;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod handler;
mod handlers;
mod health;
mod job_log;
mod listener;
mod log_limiter;
mod oauth;
mod panics;
mod problem;
mod receive;
mod secrets;
mod shutdown;
mod stage;
mod telemetry;
mod terminal;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod work;

pub use ::model::clock::{Clock, ManualClock};
pub use ::model::{self, Completion, Show, Step};
pub use bridge::{Bridge, Listeners};
pub use config::Config;
pub use handler::{Context, Handler, HandlerError, Request};
pub use handlers::Echo;
pub use shutdown::Shutdown;
#[cfg(any(feature = "testing", feature = "tools"))]
pub use simulator;
#[cfg(feature = "tools")]
pub use {load, widget_package};

/// Kommo, as the author of a handler sees it: the client of one account, and what it may answer.
pub mod kommo {
    pub use ::kommo::{
        Client, ClientOptions, Error, MAX_WIDGETS, NoBearer, ProblemText, Rating, Reason, SettingField,
        SettingMistake, SettingType, ValidationError, Widget, WidgetPage, WidgetSettings,
    };
}

/// Everything that the file of a handler needs.
pub mod prelude {
    pub use crate::bridge::{self, Bridge};
    pub use crate::handler::{Context, Handler, HandlerError, Request};
    pub use kommo;
    pub use model::{Button, Completion, Show, Step};
    pub use serde::Deserialize;
}
