//! A client for Kommo (formerly amoCRM): typed calls to an account, the meaning of each response, and the pace of all
//! calls.
//!
//! # In your own program
//!
//! Create a [`Client`] with an account's address and a long-lived token. It has the five methods of Kommo's Widgets API,
//! and [`get`](Client::get), [`post`](Client::post) and [`patch`](Client::patch) for any other path:
//!
//! ```no_run
//! use salesbot_bridge_kommo::{Client, ClientOptions, Error};
//!
//! #[derive(serde::Deserialize)]
//! struct Lead {
//!     price: i64,
//! }
//!
//! # async fn run() -> Result<(), Error> {
//! let kommo = Client::new("https://example.kommo.com", "a long-lived token".into(), ClientOptions::default())?;
//! match kommo.get::<Lead>("/api/v4/leads/7").await {
//!     Ok(lead) => println!("{}", lead.price),
//!     Err(Error::NotFound(_)) => println!("there is no such lead"),
//!     // Kommo has a problem or asks us to wait. A later call may succeed.
//!     Err(error) if error.is_worth_retrying() => println!("retry after {:?}", error.retry_after()),
//!     Err(error) => return Err(error),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! The client needs a Tokio runtime. It needs no database and no server, and calls no host except the account's.
//!
//! # In a bridge between Kommo and handlers
//!
//! | part | purpose |
//! |---|---|
//! | [`classify`], [`CallOutcome`] | the meaning of a response; no other code interprets a status |
//! | [`pace`] | the limits on when a call may start: rates, pauses after a refusal or a 429, permits |
//! | [`HttpClient`] | the HTTP client for all calls, including continues and OAuth; [`client_builder`] builds another client with the same proxy and certificates |
//! | [`ClientFactory`], [`Credentials`] | clients for many accounts, with tokens that are renewed |
//! | [`Grant`], [`GrantError`] | OAuth 2.0: exchanges a code or a refresh token for a new pair of tokens |
//!
//! # Promises
//!
//! - A token is sent only to its account: to an allowed host, over TLS, at a public address (unless the options permit
//!   others). The client follows no redirects.
//! - Calls to an account never exceed its rate, and never start in a pause that Kommo asked for.
//! - The client retries a read if that may help. It retries a write only if Kommo certainly did nothing.
//! - A 200 or 206 with an HTML page, or a 404 without JSON, never counts as a response of Kommo's API: it comes from a proxy,
//!   a parked domain or a captive portal.
//! - No error and no `Debug` output contains a token, a secret or a body.

mod calls;
mod client;
mod credentials;
mod error;
#[cfg(any(test, fuzzing, feature = "testing"))]
pub mod fuzzing;
mod http_client;
mod lenient;
mod oauth;
mod outcome;
mod outgoing;
pub mod pace;
mod problem;
mod reason;
mod request;
mod resolver;
mod response;
mod retry;
mod retry_after;
mod setting_field;
mod settings;
#[cfg(any(test, feature = "testing"))]
mod testing;
mod token_claims;
mod token_response;
mod widgets;

#[cfg(test)]
mod tests;

// The client for one account.
pub use calls::MAX_WIDGETS;
pub use client::{Client, ClientOptions};
pub use credentials::NoBearer;
pub use error::{Error, ProblemText};
pub use problem::ValidationError;
pub use reason::Reason;
pub use setting_field::{SettingField, SettingType};
pub use settings::{SettingMistake, WidgetSettings};
pub use widgets::{Rating, Widget, WidgetPage};

// The parts of a bridge.
pub use client::ClientFactory;
pub use credentials::{AccountRef, Bearer, BearerFuture, Credentials};
pub use http_client::{Call, HttpClient, HttpClientError};
pub use oauth::{AccountAddress, Grant, GrantError, OAuthApp};
pub use outcome::{CallFailure, CallOutcome, classify};
pub use outgoing::client_builder;
pub use problem::ApiProblem;
pub use resolver::{Lookup, system_lookup};
pub use response::{BodyEnd, Response};
pub use token_claims::{TokenClaims, token_claims};
pub use token_response::GrantedTokens;
