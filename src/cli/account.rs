//! Which account a command is about, and the client for it.
//!
//! It is a process of its own, so its pace is its own too: a bridge that runs at the same time does not know of its
//! calls. They are few. Tokens of a connected account are renewed by one process at a time, so a command may do that too.

use std::net::{IpAddr, SocketAddr};

use crate::accounts::Listed;
use crate::bridge::kommo_stack::KommoStack;
use crate::config::Config;
use kommo::Client;
use model::clock::Clock;
use store::Store;

use super::exit::Usage;
use super::text::clean;

/// The client of an account, and the store that its tokens come from.
pub(super) struct AccountSession {
    pub(super) client: Client,
    store: Option<Store>,
}

impl AccountSession {
    /// The client of the account that `wanted` names, or of the only one there is.
    ///
    /// # Errors
    /// There is no such account, or `wanted` is missing where there are several; the store cannot be read; or there is no
    /// HTTP client.
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

/// The address of the account that is meant.
fn choose(listed: &[Listed], wanted: Option<&str>) -> Result<String, Usage> {
    // Those that are only known from their waiting deliveries have no token.
    let able: Vec<&Listed> = listed.iter().filter(|one| one.name.is_some() || one.key.is_some()).collect();
    let names = |some: &[&Listed]| {
        let named = some.iter().map(|one| one.name.as_deref().or(one.host.as_deref()).unwrap_or("?"));
        clean(&named.collect::<Vec<_>>().join(", "))
    };
    let no_account = "there is no account: connect one with `accounts authorize`, or add accounts.NAME with base_url and \
                  access_token to the configuration";
    let one = match wanted {
        Some(wanted) => find(listed, wanted, None).map_err(|unclear| match unclear {
            Unclear::NotFound if able.is_empty() => no_account.to_owned(),
            Unclear::NotFound => {
                format!("--account: there is no account `{}`; there are: {}", clean(wanted), names(&able))
            }
            Unclear::Several(several) => {
                let names = names(&several);
                format!("--account: `{}` fits several accounts; write one of: {names}", clean(wanted))
            }
        }),
        None => match able.as_slice() {
            [only] => Ok(*only),
            [] => Err(no_account.to_owned()),
            several => Err(format!(
                "there are several accounts: add --account NAME, with one of: {}",
                names(several)
            )),
        },
    };
    let one = one.map_err(Usage)?;
    one.origin
        .clone()
        .ok_or_else(|| Usage("the address of this account is not known: connect it again".to_owned()))
}

/// Why no account is meant.
#[derive(Debug)]
pub(super) enum Unclear<'a> {
    /// No account is called so.
    NotFound,
    /// Several accounts are.
    Several(Vec<&'a Listed>),
}

/// The one account that is meant: by its name in the configuration, its host, its subdomain or its number.
///
/// # Errors
/// There is none, or more than one.
pub(super) fn find<'a>(
    listed: &'a [Listed],
    wanted: &str,
    integration: Option<&str>,
) -> Result<&'a Listed, Unclear<'a>> {
    let wanted = wanted.trim().trim_end_matches('/');
    let host = wanted.split_once("://").map_or(wanted, |(_, host)| host);
    let is_named = |one: &Listed| one.name.as_deref().is_some_and(|name| name.eq_ignore_ascii_case(wanted));
    let is_at = |one: &Listed| one.host.as_deref().is_some_and(|known| known.eq_ignore_ascii_case(host));
    let is_number = |one: &Listed| one.account_id.is_some_and(|id| id.to_string() == wanted);
    let is_below = |one: &Listed| subdomain(one).is_some_and(|first| first.eq_ignore_ascii_case(wanted));
    let called: [&dyn Fn(&Listed) -> bool; 4] = [&is_named, &is_at, &is_number, &is_below];
    // What is more exact comes first: a name may look like another account's subdomain.
    for fits in called {
        let through = |one: &&Listed| integration.is_none_or(|name| one.integration.as_deref() == Some(name));
        let found: Vec<&Listed> = listed.iter().filter(|one| fits(one)).filter(through).collect();
        match found.as_slice() {
            [] => {}
            [one] => return Ok(*one),
            _ => return Err(Unclear::Several(found)),
        }
    }
    Err(Unclear::NotFound)
}

/// The first part of its host, unless that is an address.
fn subdomain(one: &Listed) -> Option<&str> {
    let host = one.host.as_deref()?;
    let is_address = host.parse::<SocketAddr>().is_ok() || host.parse::<IpAddr>().is_ok();
    host.split_once('.').map(|(first, _)| first).filter(|_| !is_address)
}

#[cfg(test)]
pub(super) mod tests;
