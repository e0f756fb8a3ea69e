//! salesbot-bridge

pub mod admin;
mod clock;
pub mod config;
pub mod health;
mod listener;
mod model;
mod problem;
pub mod simulator;
pub mod store;
pub mod telemetry;

pub use clock::{Clock, ManualClock};
pub use model::*;

/// Everything that a handler's file needs.
pub mod prelude {
    pub use crate::model::{Button, Completion, Show, Step};
    pub use serde::Deserialize;
}
