//! Kommo (formerly amoCRM) for programs: a client of one account, what its responses mean, and the pace of all calls.
//!
//! # For a program of your own
//!
//! A [`Client`] is made from an account's address and a long-lived token. It has the five methods of Kommo's Widgets API, and
//! [`get`](Client::get), [`post`](Client::post) and [`patch`](Client::patch) for every other path:
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
//!     // Kommo is in trouble, or asks to wait: a later call may succeed.
//!     Err(error) if error.is_worth_retrying() => println!("later, in {:?}", error.retry_after()),
//!     Err(error) => return Err(error),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! The client needs a Tokio runtime. It calls no database, no server of its own and no other host.
//!
//! # For a bridge between Kommo and handlers
//!
//! | part | what it is for |
//! |---|---|
//! | [`classify`], [`CallOutcome`] | what a response means: the one place where a status gets its meaning |
//! | [`pace`] | when a call may start: rates, pauses after a refusal or a 429, permits |
//! | [`HttpClient`] | the HTTP client of all calls, continues and OAuth included; [`client_builder`] for one that leaves the machine the same way |
//! | [`ClientFactory`], [`Credentials`] | clients of many accounts, whose tokens are renewed |
//! | [`Grant`], [`GrantError`] | OAuth 2.0: a code or a refresh token for a new pair |
//!
//! # Promises
//!
//! - A token goes only to its account: to a host that the rules allow, over TLS, at a public address. No redirect is followed.
//! - No call of an account starts faster than its rate, or in a pause that Kommo asked for.
//! - A read is tried again if that may help. A write is sent again only if Kommo certainly did nothing.
//! - A response that is not of Kommo's API (a proxy, a parked domain, a captive portal) is never taken for one.
//! - No error and no debug form contains a token, a secret or a body.

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

// The client of one account.
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
pub use response::{BodyEnd, Response};
pub use token_claims::{TokenClaims, token_claims};
pub use token_response::GrantedTokens;
