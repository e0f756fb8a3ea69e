//! `/api/v1/accounts`: all accounts, with their pace and pauses.

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use serde::Serialize;

use model::{AccountId, AccountPause, AccountState, AccountWait, Timestamp, WaitCause};

use super::Shared;
use super::call::{Answer, STORE_TIMEOUT, within};
use super::live::PaceView;

/// All accounts, and what concerns all of them.
#[derive(Clone, Debug, Default, Serialize)]
pub struct AccountsView {
    /// Configured accounts first, then connected ones, then those that are known only from waiting deliveries.
    pub accounts: Vec<AccountView>,
    /// Installations without a link that wait for confirmation.
    pub installations: Vec<InstallationView>,
}

/// One account. Contains no token.
#[derive(Clone, Debug, Serialize)]
pub struct AccountView {
    /// Its host, with the port unless it is the scheme's default; null if unknown.
    pub host: Option<String>,
    /// Its name in the configuration, if it is configured.
    pub name: Option<String>,
    /// Kommo's number of the account, if it is known.
    pub account_id: Option<AccountId>,
    /// The integration that it is connected through; null unless it is connected.
    pub integration: Option<String>,
    /// Its state.
    pub state: AccountState,
    /// Why it is not active, and what to do.
    pub reason: Option<String>,
    /// When its access token expires; null for a long-lived one.
    pub expires_at: Option<Timestamp>,
    /// When a person last connected it.
    pub connected_at: Option<Timestamp>,
    /// The number of deliveries that wait for it.
    pub waiting: u64,
    /// What they wait for.
    pub waits_for: Option<AccountWait>,
    /// The pause of its calls; null if there is none.
    pub pause: Option<PauseView>,
    /// Its calls per second; null if its address is unknown.
    pub pace: Option<PaceView>,
    /// The command with which a person connects it again; null if that is not necessary.
    pub authorize: Option<String>,
}

/// A pause.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct PauseView {
    /// The cause.
    pub cause: WaitCause,
    /// When the next call tests whether it can end.
    pub until: Timestamp,
}

impl From<AccountPause> for PauseView {
    fn from(pause: AccountPause) -> Self {
        let AccountPause { cause, until } = pause;
        Self { cause, until }
    }
}

/// An installation without a link.
#[derive(Clone, Debug, Serialize)]
pub struct InstallationView {
    /// The account's host.
    pub host: String,
    /// The integration.
    pub integration: String,
    /// The number of waiting codes.
    pub codes: usize,
    /// When the newest code arrived.
    pub received_at: Timestamp,
    /// When the newest code expires.
    pub expires_at: Timestamp,
}

#[derive(Serialize)]
struct Page {
    #[serde(flatten)]
    accounts: AccountsView,
    everybody_waits: Option<crate::health::EverybodyWaits>,
}

/// `GET /api/v1/accounts`
pub(super) async fn list(State(shared): State<Shared>) -> Answer {
    let accounts = within(STORE_TIMEOUT, shared.live.accounts()).await?;
    Ok(Json(Page { accounts, everybody_waits: shared.health.everybody_waits() }).into_response())
}
