//! The pace of all calls to Kommo: rates, pauses and places, whoever calls.
//!
//! Kommo counts every call to an account, so continues, the calls of handlers and the renewing of tokens go
//! through one [`CallLimiter`]. What it promises: in no window more calls to an account start than its rate
//! allows, a pause that one caller hears of holds for all, and what was reserved before it does not start in it.

mod arbiter;
mod breaker;
mod cause;
mod effects;
mod global_breaker;
mod limiter;
mod permit;
mod state;

pub use cause::{Cause, Pause, Source};
pub use effects::AccountEvidence;
pub use limiter::{CallLimiter, CallLimits, Paused};
pub use permit::Permit;
pub use state::{Errand, Hold};
