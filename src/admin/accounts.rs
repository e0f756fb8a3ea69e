//! `/api/v1/accounts`: all accounts, with their pace and pauses.

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use serde::Serialize;

use model::{AccountPause, AccountState, Timestamp, WaitCause};
use utoipa::ToSchema;

use crate::listed_account::ListedAccount;
use crate::schema;

use super::Shared;
use super::call::{Answer, STORE_TIMEOUT, within};
use super::document::tag;
use super::live::PaceView;
use super::responses::StoreErrors;

/// All accounts, and what concerns all of them.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct AccountsView {
    /// Configured accounts first, then connected ones, then those that are known only from waiting deliveries.
    pub accounts: Vec<AccountView>,
    /// Installations without a link that wait for confirmation.
    pub installations: Vec<InstallationView>,
}

/// One account, and what only the running bridge knows of it. Contains no token.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Account)]
pub struct AccountView {
    /// The account.
    #[serde(flatten)]
    pub account: ListedAccount,
    /// The pause of its calls; null if there is none.
    pub pause: Option<PauseView>,
    /// Its calls per second; null if its address is unknown.
    pub pace: Option<PaceView>,
    /// The command with which a person connects it again; null if that is not necessary.
    pub authorize: Option<String>,
}

/// Returns the origin of an account whose deliveries an operator may resume; `None` if it is unknown.
///
/// # Errors
/// The account has no token to retry with. The text says why.
pub fn origin_to_resume<'a>(
    state: AccountState,
    reason: Option<&str>,
    origin: Option<&'a str>,
) -> Result<Option<&'a str>, String> {
    match state {
        AccountState::Active => Ok(origin),
        AccountState::NeedsAuthorization | AccountState::Revoked => {
            Err(reason.unwrap_or("it has no token").to_owned())
        }
    }
}

/// A pause.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[schema(as = Pause)]
pub struct PauseView {
    /// The cause.
    #[schema(value_type = schema::WaitCause)]
    pub cause: WaitCause,
    /// When the next call tests whether it can end.
    #[schema(value_type = schema::Moment)]
    pub until: Timestamp,
}

impl From<AccountPause> for PauseView {
    fn from(pause: AccountPause) -> Self {
        let AccountPause { cause, until } = pause;
        Self { cause, until }
    }
}

/// An installation without a link.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Installation)]
pub struct InstallationView {
    /// The account's host.
    pub host: String,
    /// The integration.
    pub integration: String,
    /// The number of waiting codes.
    pub codes: usize,
    /// When the newest code arrived.
    #[schema(value_type = schema::Moment)]
    pub received_at: Timestamp,
    /// When the newest code expires.
    #[schema(value_type = schema::Moment)]
    pub expires_at: Timestamp,
}

/// The accounts, and whether all of them wait.
#[derive(Serialize, ToSchema)]
#[schema(as = AccountsPage)]
struct Page {
    #[serde(flatten)]
    accounts: AccountsView,
    /// Why the deliveries of all accounts wait; null if they do not.
    everybody_waits: Option<crate::health::EverybodyWaits>,
}

/// Lists all accounts
///
/// With their authorization, pace and pauses. This API does not resume, connect or remove an account: the commands
/// `accounts resume`, `accounts authorize` and `accounts remove` do, and the page of accounts resumes one too.
#[utoipa::path(get, path = "/api/v1/accounts", tag = tag::STATE, operation_id = "listAccounts",
    responses((status = 200, description = "The accounts.", body = Page), StoreErrors))]
pub(super) async fn list(State(shared): State<Shared>) -> Answer {
    let accounts = within(STORE_TIMEOUT, shared.live.accounts()).await?;
    Ok(Json(Page { accounts, everybody_waits: shared.health.everybody_waits() }).into_response())
}
