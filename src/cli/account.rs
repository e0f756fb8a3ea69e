//! The account that a command is about, and the client for it.
//!
//! A command is a separate process with a separate pace, so a running bridge does not count the command's calls. They are
//! few. A command may renew the tokens of a connected account, because only one process renews them at a time.

use std::net::{IpAddr, SocketAddr};

use crate::bridge::kommo_stack::KommoStack;
use crate::config::Config;
use crate::listed_account::ListedAccount;
use kommo::Client;
use model::clock::Clock;
use store::Store;

use super::exit::Usage;
use super::text::clean;

/// The client of an account, and the store that holds its tokens.
pub(super) struct AccountSession {
    pub(super) client: Client,
    /// `None` if there is no store yet.
    pub(super) store: Option<Store>,
}

impl AccountSession {
    /// Opens the account that `wanted` names, or the only account.
    ///
    /// # Errors
    /// No account or several match, the store cannot be read, or the HTTP client cannot be built.
    pub(super) async fn open(config: &Config, wanted: Option<&str>) -> anyhow::Result<Self> {
        let clock = Clock::system();
        let store = Store::observe(&config.store.url, clock.clone()).await?;
        let kommo_stack = KommoStack::new(config, clock)?;
        let accounts = kommo_stack.clone().accounts(config, store.clone()).await?;
        let origin = choose(&accounts.list().await?, wanted)?;
        Ok(Self { client: kommo_stack.clients(config, &accounts, None).client_at(origin), store })
    }

    /// Closes the store.
    pub(super) async fn close(self) {
        if let Some(store) = self.store {
            store.close().await;
        }
    }
}

/// The origin of the account that `wanted` names, or of the only account.
fn choose(listed: &[ListedAccount], wanted: Option<&str>) -> Result<String, Usage> {
    // An account that is known only from its waiting deliveries has no token.
    let usable: Vec<&ListedAccount> =
        listed.iter().filter(|one| one.name.is_some() || one.key.is_some()).collect();
    let names = |some: &[&ListedAccount]| {
        let named = some.iter().map(|one| one.name.as_deref().or(one.host.as_deref()).unwrap_or("?"));
        clean(&named.collect::<Vec<_>>().join(", "))
    };
    let no_account = "no account is configured or connected: connect one with `accounts authorize`, or add accounts.NAME with base_url and \
                  access_token to the configuration";
    let one = match wanted {
        Some(wanted) => find(listed, wanted, None).map_err(|unclear| match unclear {
            Unclear::NotFound if usable.is_empty() => no_account.to_owned(),
            Unclear::NotFound => {
                format!(
                    "--account: unknown account `{}` (expected one of: {})",
                    clean(wanted),
                    names(&usable)
                )
            }
            Unclear::Several(several) => {
                let names = names(&several);
                format!("--account: `{}` matches several accounts: write one of: {names}", clean(wanted))
            }
        }),
        None => match usable.as_slice() {
            [only] => Ok(*only),
            [] => Err(no_account.to_owned()),
            several => {
                Err(format!("there are several accounts: add --account with one of: {}", names(several)))
            }
        },
    };
    let one = one.map_err(Usage)?;
    one.origin.clone().ok_or_else(|| {
        Usage("the address of this account is unknown: connect it with `accounts authorize`".to_owned())
    })
}

/// Why a text does not name one account.
#[derive(Debug)]
pub(super) enum Unclear<'a> {
    /// No account matches.
    NotFound,
    /// Several accounts match.
    Several(Vec<&'a ListedAccount>),
}

/// Finds an account by its name in the configuration, its host, its number or its subdomain.
///
/// # Errors
/// No account or several match.
pub(super) fn find<'a>(
    listed: &'a [ListedAccount],
    wanted: &str,
    integration: Option<&str>,
) -> Result<&'a ListedAccount, Unclear<'a>> {
    let wanted = wanted.trim().trim_end_matches('/');
    let host = wanted.split_once("://").map_or(wanted, |(_, host)| host);
    let is_named =
        |one: &ListedAccount| one.name.as_deref().is_some_and(|name| name.eq_ignore_ascii_case(wanted));
    let is_at =
        |one: &ListedAccount| one.host.as_deref().is_some_and(|known| known.eq_ignore_ascii_case(host));
    let is_number = |one: &ListedAccount| one.account_id.is_some_and(|id| id.to_string() == wanted);
    let is_below =
        |one: &ListedAccount| subdomain(one).is_some_and(|first| first.eq_ignore_ascii_case(wanted));
    // Exact matches come first: a name may look like another account's subdomain.
    let matchers: [&dyn Fn(&ListedAccount) -> bool; 4] = [&is_named, &is_at, &is_number, &is_below];
    for matches in matchers {
        let through =
            |one: &&ListedAccount| integration.is_none_or(|name| one.integration.as_deref() == Some(name));
        let found: Vec<&ListedAccount> = listed.iter().filter(|one| matches(one)).filter(through).collect();
        match found.as_slice() {
            [] => {}
            [one] => return Ok(*one),
            _ => return Err(Unclear::Several(found)),
        }
    }
    Err(Unclear::NotFound)
}

/// The first part of the account's host; `None` if the host is an IP address.
fn subdomain(one: &ListedAccount) -> Option<&str> {
    let host = one.host.as_deref()?;
    let is_address = host.parse::<SocketAddr>().is_ok() || host.parse::<IpAddr>().is_ok();
    host.split_once('.').map(|(first, _)| first).filter(|_| !is_address)
}

#[cfg(test)]
pub(super) mod tests;
