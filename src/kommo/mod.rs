//! Speaking to Kommo: what is sent, where it may go, and what the answer says.

mod answer;
mod credentials;
mod oauth;
mod transport;

pub use answer::{Answer, Problem};
pub use credentials::{Bearer, Credentials, LongLived, NoBearer, Promise};
pub use oauth::{App, Grant, GrantError, Granted, token_claims};
pub use transport::{Kommo, KommoError};
