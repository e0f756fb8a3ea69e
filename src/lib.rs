#![doc = include_str!("../README.md")]

mod accounts;
mod admin;
pub mod bridge;
pub mod cli;
mod clock;
pub mod config;
mod deliver;
mod flood;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod handler;
mod handlers;
mod health;
pub mod kommo;
mod listener;
pub mod load;
pub mod model;
mod oauth;
mod pace;
mod paths;
mod problem;
mod receive;
mod secrets;
mod shutdown;
pub mod simulator;
mod store;
mod telemetry;
mod terminal;
pub mod widget_package;
mod work;

pub use bridge::{Bridge, Listeners};
pub use clock::{Clock, ManualClock};
pub use config::Config;
pub use handler::{Context, Handler, HandlerError, Request};
pub use handlers::Echo;
pub use model::{Completion, Show, Step};
pub use shutdown::Shutdown;

/// Everything that the file of a handler needs.
pub mod prelude {
    pub use crate::bridge::{self, Bridge};
    pub use crate::handler::{Context, Handler, HandlerError, Request};
    pub use crate::kommo;
    pub use crate::model::{Button, Completion, Show, Step};
    pub use serde::Deserialize;
}
