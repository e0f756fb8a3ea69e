//! The pace of all calls to Kommo: rates, pauses, and the number of continues in flight.
//!
//! Kommo counts every call to an account. So continues, the calls of handlers and the renewal of tokens share one
//! [`CallLimiter`]. It promises:
//!
//! - In any window, at most as many calls to an account start as its rate allows.
//! - A pause that one response starts applies to all callers. A call that was reserved before does not start in the pause.

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
pub use effects::{AccountEvidence, Outage, PauseStarted, Resumed};
pub use limiter::{CallLimiter, CallLimits, EverybodyWaits, Pace, Paused};
pub use permit::Permit;
pub use state::{CallKind, Hold};
