//! Which account a command is about, and the client for it.
//!
//! It is a process of its own, so its pace is its own too: a bridge that runs at the same time does not know of its
//! calls. They are few.

use std::sync::Arc;

use crate::accounts::Accounts;
use crate::bridge::speaking::Speaking;
use crate::clock::Clock;
use crate::config::Config;
use crate::kommo::Client;
use crate::store::Store;

use super::exit::Usage;

/// An account that a command can speak to.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    /// `accounts.NAME`; none for a connected one.
    name: Option<String>,
    /// `https://example.kommo.com`
    origin: Arc<str>,
    /// Kommo's number of it, if it is known.
    number: Option<String>,
}

/// Does something with the client of the account that `wanted` names, or of the only one there is: of the
/// configuration, or connected.
///
/// # Errors
/// There is no such account, or `wanted` is missing where there are several; the store cannot be read; or there is no
/// HTTP client.
pub(super) async fn with_client(
    config: &Config,
    wanted: Option<&str>,
    what: impl AsyncFnOnce(Client) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let clock = Clock::system();
    let speaking = Speaking::new(config, clock.clone())?;
    // Open to the end: a token that has to be renewed on the way is stored before it is used.
    let store = Store::visit(&config.store.url, clock).await?;
    let done = match speaking.clone().accounts(config, store.clone()).await {
        Ok(accounts) => match find(&accounts, wanted).await {
            Ok(origin) => what(speaking.clients(config, &accounts, None).of(origin)).await,
            Err(error) => Err(error),
        },
        Err(error) => Err(error.into()),
    };
    if let Some(store) = store {
        store.close().await;
    }
    done
}

async fn find(accounts: &Accounts, wanted: Option<&str>) -> anyhow::Result<Arc<str>> {
    let mut known: Vec<Known> = Vec::new();
    for listed in accounts.list().await? {
        // Without a key or a name it is one that only its waiting deliveries tell of.
        let host = listed.host.filter(|_| listed.name.is_some() || listed.key.is_some());
        let Some(origin) = host.and_then(|host| accounts.origin_at(&host)) else { continue };
        let number = listed.account_id.map(|id| id.to_string());
        match known.iter_mut().find(|account| account.origin == origin) {
            // Connected too, or through two integrations: one account all the same.
            Some(account) => account.number = account.number.take().or(number),
            None => known.push(Known { name: listed.name, origin, number }),
        }
    }
    Ok(choose(&known, wanted)?.origin.clone())
}

/// The one that is meant: by its name, its address, its host, the first part of its host, or its number.
fn choose<'a>(known: &'a [Known], wanted: Option<&str>) -> Result<&'a Known, Usage> {
    let names = || {
        let names = known.iter().map(|account| account.name.as_deref().unwrap_or(host(account)));
        names.collect::<Vec<_>>().join(", ")
    };
    let Some(wanted) = wanted else {
        return match known {
            [only] => Ok(only),
            [] => Err(Usage(
                "there is no account: run `salesbot-bridge accounts authorize`, or add accounts.NAME with base_url and \
                 access_token to the configuration"
                    .to_owned(),
            )),
            _ => Err(Usage(format!(
                "there are several accounts: add --account NAME, with one of: {}",
                names()
            ))),
        };
    };
    let called: [fn(&Known) -> &str; 5] = [
        |account| account.name.as_deref().unwrap_or_default(),
        |account| &account.origin,
        |account| host(account),
        |account| host(account).split('.').next().unwrap_or_default(),
        |account| account.number.as_deref().unwrap_or_default(),
    ];
    let trimmed = wanted.trim_end_matches('/');
    // What is more exact comes first: a name may look like another account's subdomain.
    for part in called {
        let fits = |account: &&Known| !trimmed.is_empty() && part(account).eq_ignore_ascii_case(trimmed);
        let mut fitting = known.iter().filter(fits);
        match (fitting.next(), fitting.next()) {
            (Some(only), None) => return Ok(only),
            (Some(_), Some(_)) => {
                return Err(Usage(format!(
                    "--account: `{wanted}` fits several accounts; write one of: {}",
                    names()
                )));
            }
            (None, _) => {}
        }
    }
    let there_are = if known.is_empty() { "none".to_owned() } else { names() };
    Err(Usage(format!("--account: there is no account `{wanted}`; there are: {there_are}")))
}

fn host(account: &Known) -> &str {
    account.origin.split_once("://").map_or(&*account.origin, |(_, host)| host)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of the configuration if they have a name, else connected; their numbers are 7, 8, ….
    fn known(accounts: &[(&str, &str)]) -> Vec<Known> {
        let known = |((name, origin), number): (&(&str, &str), u32)| Known {
            name: Some((*name).to_owned()).filter(|name| !name.is_empty()),
            origin: (*origin).into(),
            number: Some(number.to_string()),
        };
        accounts.iter().zip(7..).map(known).collect()
    }

    #[test]
    fn an_account_is_found_by_whatever_names_it() {
        let all = known(&[
            ("shop", "https://acme.kommo.com"),
            ("other", "https://shop.kommo.com"),
            ("third", "https://acme.amocrm.ru"),
            ("", "https://cake.kommo.com"),
        ]);
        for (wanted, expected) in [
            ("shop", Ok("shop")),
            ("SHOP", Ok("shop")),
            ("shop.kommo.com", Ok("other")),
            ("https://acme.amocrm.ru/", Ok("third")),
            ("acme.kommo.com", Ok("shop")),
            ("acme", Err("fits several accounts; write one of: shop, other, third, cake.kommo.com")),
            ("cake", Ok("")),
            ("10", Ok("")),
            ("8", Ok("other")),
            ("", Err("there is no account ``")),
            ("nobody", Err("there is no account `nobody`; there are: shop, other, third, cake.kommo.com")),
        ] {
            let found = choose(&all, Some(wanted));
            match (found, expected) {
                (Ok(account), Ok(name)) => {
                    assert_eq!(account.name.as_deref().unwrap_or_default(), name, "{wanted}")
                }
                (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
                (found, _) => panic!("{wanted}: {found:?}"),
            }
        }
    }

    #[test]
    fn the_only_account_needs_no_name() {
        let one = known(&[("shop", "https://acme.kommo.com")]);
        assert_eq!(choose(&one, None).unwrap().name.as_deref(), Some("shop"));
        assert!(choose(&[], None).unwrap_err().to_string().contains("add accounts.NAME"));
        let two = known(&[("a", "https://a.kommo.com"), ("b", "https://b.kommo.com")]);
        let error = choose(&two, None).unwrap_err().to_string();
        assert_eq!(error, "there are several accounts: add --account NAME, with one of: a, b");
    }
}
