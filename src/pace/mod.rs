//! The pace of all calls to Kommo: rates, pauses and places, whoever calls.
//!
//! Kommo counts every call to an account, so continues, the calls of handlers and the renewing of tokens go
//! through one [`Gate`]. What it promises: in no window more calls to an account start than its rate
//! allows, and a pause that one caller was told holds for all.

mod gate;
mod pause;
mod rate;
mod turns;

pub use gate::{Gate, Limits, Pass, Paused};
pub use pause::{Cause, Pause, Scope};
pub use rate::{Errand, Hold};
