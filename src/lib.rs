//! salesbot-bridge

mod accounts;
mod admin;
pub mod cli;
mod clock;
pub mod config;
mod deliver;
mod handler;
mod health;
mod kommo;
mod listener;
mod model;
mod problem;
mod receive;
pub mod simulator;
mod store;
mod telemetry;
mod work;

pub use clock::{Clock, ManualClock};

/// Everything that a handler's file needs.
pub mod prelude {
    pub use crate::handler::{Context, Handler, HandlerError, Request};
    pub use crate::model::{Button, Completion, Show, Step};
    pub use serde::Deserialize;
}
