//! salesbot-bridge

pub mod cli;
mod clock;
pub mod config;
mod model;

pub use clock::{Clock, ManualClock};
pub use model::*;

/// Everything that a handler's file needs.
pub mod prelude {
    pub use crate::model::{Button, Completion, Show, Step};
    pub use serde::Deserialize;
}
