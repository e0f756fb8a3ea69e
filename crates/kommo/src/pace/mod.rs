//! The pace of all calls to Kommo: rates, pauses, and the number of continues in flight.
//!
//! Kommo counts every call to an account, so continues, the calls of handlers and the renewing of tokens go
//! through one [`CallLimiter`]. It promises:
//!
//! - In no window do more calls to an account start than its rate allows.
//! - A pause that one caller learns of holds for all callers, and a call that was reserved before does not start in it.

mod acquire;
mod arbiter;
mod breaker;
mod cause;
mod effects;
mod global_breaker;
mod limiter;
mod permit;
mod state;
mod window;

pub use cause::{Cause, Pause, Source};
pub use effects::{AccountEvidence, PauseStarted, Resumed};
pub use limiter::{CallLimiter, CallLimits, EverybodyWaits, Paused};
pub use permit::Permit;
pub use state::{CallKind, Hold};
