//! Speaking to Kommo: what is sent, where it may go, and what the answer says.

mod answer;
mod credentials;
mod transport;

pub use answer::{Answer, Problem};
pub use credentials::{Bearer, Credentials, LongLived, NoBearer, Promise};
pub use transport::{Kommo, KommoError};
