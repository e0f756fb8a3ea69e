//! Speaking to Kommo: what is asked, where it may go, and what the answer says.
//!
//! [`Client`] is for everybody: the Widgets API and any other call to one account, paced, and tried again where that
//! may help. Below it lie the parts of the bridge: the HTTP client that keeps the host rules, credentials, OAuth.
//!
//! What it promises: a token goes to its account alone, no call goes past the pace, and no error tells a token, a
//! secret or a body.

mod calls;
mod client;
mod credentials;
mod error;
#[cfg(any(test, fuzzing, feature = "testing"))]
pub mod fuzzing;
mod lenient;
mod oauth;
mod outgoing;
pub mod pace;
mod problem;
mod request;
mod resolver;
mod retry;
mod retry_after;
mod settings;
#[cfg(any(test, feature = "testing"))]
mod testing;
mod token_response;
mod transport;
mod widgets;

#[cfg(test)]
mod tests;

pub use calls::MOST_WIDGETS;
pub use client::{Client, ClientOptions};
pub use credentials::NoBearer;
pub use error::{Error, Said, ValidationError};
pub use settings::{SettingMistake, Settings};
pub use widgets::{Rating, SettingField, SettingType, Widget, WidgetPage};

pub use client::Clients;
pub use credentials::{Bearer, Credentials, Promise, Whose};
pub use oauth::{App, Grant, GrantError, token_claims};
pub use outgoing::client_builder;
pub use problem::{Answer, Problem};
pub use token_response::Granted;
pub use transport::{Kommo, KommoError};
