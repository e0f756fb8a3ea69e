//! Speaking to Kommo: what is sent, where it may go, and what the answer says.

mod answer;
mod transport;

pub use answer::{Answer, Problem};
pub use transport::{Kommo, KommoError};
