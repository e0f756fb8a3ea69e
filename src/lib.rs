//! salesbot-bridge

mod clock;
pub mod config;
mod handler;
mod model;
pub mod simulator;
pub mod store;
pub mod work;

pub use clock::{Clock, ManualClock};
pub use model::*;

/// Everything that a handler's file needs.
pub mod prelude {
    pub use crate::handler::{Context, Handler, HandlerError, Request};
    pub use crate::model::{Button, Completion, Show, Step};
    pub use serde::Deserialize;
}
