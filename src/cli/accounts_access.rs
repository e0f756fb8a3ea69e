//! What the commands of `accounts` share: opening the accounts, finding one, and the form of their output.

use serde_json::Value;

use crate::accounts::Accounts;
use crate::bridge::Error;
use crate::bridge::kommo_stack::KommoStack;
use crate::config::Config;
use crate::listed_account::ListedAccount;
use model::clock::Clock;
use store::Store;

use super::account::{self, Unclear};
use super::accounts_text as text;
use super::exit::Failure;
use super::screen::Screen;

/// The output of a command: JSON for programs, text for operators.
pub(super) struct CommandOutput {
    pub(super) json: Value,
    pub(super) text: String,
}

impl CommandOutput {
    /// Breaks the lines of the text for this screen. Not for tables, which are already laid out.
    pub(super) fn folded(self, screen: Screen) -> Self {
        Self { text: screen.fold(&self.text), ..self }
    }
}

/// Calls `what` with the accounts of the configuration, and of the store if it exists.
pub(super) async fn with_accounts<T>(
    config: &Config,
    clock: &Clock,
    what: impl AsyncFnOnce(&Accounts) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let store = Store::observe(&config.store.url, clock.clone()).await.map_err(Error::from)?;
    let done = match open(config, clock, store.clone()).await {
        Ok(accounts) => what(&accounts).await,
        Err(failure) => Err(failure),
    };
    if let Some(store) = store {
        store.close().await;
    }
    done
}

/// Opens the accounts of the configuration and of `store`.
pub(super) async fn open(config: &Config, clock: &Clock, store: Option<Store>) -> Result<Accounts, Failure> {
    let kommo_stack = KommoStack::new(config, clock.clone())?;
    Ok(kommo_stack.accounts(config, store).await.map_err(Error::from)?)
}

/// Finds the account that `wanted` names.
///
/// # Errors
/// No account or several match.
pub(super) fn find<'a>(
    listed: &'a [ListedAccount],
    wanted: &str,
    integration: Option<&str>,
) -> Result<&'a ListedAccount, Failure> {
    account::find(listed, wanted, integration).map_err(|unclear| match unclear {
        Unclear::NotFound => Failure::running(text::no_account(wanted)),
        Unclear::Several(several) => Failure::usage(text::ambiguous(wanted, &several)),
    })
}
