//! What the commands of `accounts` share: how they open the accounts, find the one that is meant, and print.

use serde_json::Value;

use crate::accounts::{Accounts, Listed};
use crate::bridge::Error;
use crate::bridge::kommo_stack::KommoStack;
use crate::config::Config;
use model::clock::Clock;
use store::Store;

use super::account::{self, Unclear};
use super::accounts_text as text;
use super::exit::Failure;
use super::screen::Screen;

/// What a command prints: as JSON for programs, or as text for operators.
pub(super) struct CommandOutput {
    pub(super) json: Value,
    pub(super) text: String,
}

impl CommandOutput {
    /// The same, with the lines of its text broken for this screen. A table is laid out already, and is never folded.
    pub(super) fn folded(self, screen: Screen) -> Self {
        Self { text: screen.fold(&self.text), ..self }
    }
}

/// Does something with the accounts of the configuration and of the store, if there is one yet.
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

/// The accounts of the configuration and of `store`.
pub(super) async fn open(config: &Config, clock: &Clock, store: Option<Store>) -> Result<Accounts, Failure> {
    let kommo_stack = KommoStack::new(config, clock.clone())?;
    Ok(kommo_stack.accounts(config, store).await.map_err(Error::from)?)
}

/// The one account that is meant.
pub(super) fn find<'a>(
    listed: &'a [Listed],
    wanted: &str,
    integration: Option<&str>,
) -> Result<&'a Listed, Failure> {
    account::find(listed, wanted, integration).map_err(|unclear| match unclear {
        Unclear::NotFound => Failure::running(text::no_account(wanted)),
        Unclear::Several(several) => Failure::usage(text::ambiguous(wanted, &several)),
    })
}
