//! Which account a command is about, and the client for it.
//!
//! It is a process of its own, so its pace is its own too: a bridge that runs at the same time does not know of its
//! calls. They are few.

use crate::bridge::speaking::Speaking;
use crate::clock::Clock;
use crate::config::Config;
use crate::kommo::Client;

use super::exit::Usage;

/// An account that a command can speak to.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    /// `accounts.NAME`
    name: String,
    /// `https://example.kommo.com`
    origin: String,
}

/// The client of the account that `wanted` names, or of the only one there is.
///
/// # Errors
/// There is no such account, or `wanted` is missing where there are several; or there is no HTTP client.
pub(super) async fn client(config: &Config, wanted: Option<&str>) -> anyhow::Result<Client> {
    let known: Vec<Known> = config
        .accounts
        .iter()
        .map(|(name, account)| Known {
            name: name.clone(),
            origin: account.base_url.origin().ascii_serialization(),
        })
        .collect();
    let origin = choose(&known, wanted)?.origin.clone();
    let speaking = Speaking::new(config, Clock::system())?;
    let accounts = speaking.clone().accounts(config, None).await?;
    Ok(speaking.clients(config, &accounts, None).of(origin))
}

/// The one that is meant: by its name, its address, its host, or the first part of its host.
fn choose<'a>(known: &'a [Known], wanted: Option<&str>) -> Result<&'a Known, Usage> {
    let names = || known.iter().map(|account| account.name.as_str()).collect::<Vec<_>>().join(", ");
    let Some(wanted) = wanted else {
        return match known {
            [only] => Ok(only),
            [] => Err(Usage(
                "there is no account: add accounts.NAME with base_url and access_token to the configuration"
                    .to_owned(),
            )),
            _ => Err(Usage(format!(
                "there are several accounts: add --account NAME, with one of: {}",
                names()
            ))),
        };
    };
    let called: [fn(&Known) -> &str; 4] = [
        |account| &account.name,
        |account| &account.origin,
        |account| host(account),
        |account| host(account).split('.').next().unwrap_or_default(),
    ];
    let trimmed = wanted.trim_end_matches('/');
    // What is more exact comes first: a name may look like another account's subdomain.
    for part in called {
        let mut fitting = known.iter().filter(|account| part(account).eq_ignore_ascii_case(trimmed));
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
    account.origin.split_once("://").map_or(account.origin.as_str(), |(_, host)| host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(accounts: &[(&str, &str)]) -> Vec<Known> {
        let known = |(name, origin): &(&str, &str)| Known { name: (*name).into(), origin: (*origin).into() };
        accounts.iter().map(known).collect()
    }

    #[test]
    fn an_account_is_found_by_whatever_names_it() {
        let all = known(&[
            ("shop", "https://acme.kommo.com"),
            ("other", "https://shop.kommo.com"),
            ("third", "https://acme.amocrm.ru"),
        ]);
        for (wanted, expected) in [
            ("shop", Ok("shop")),
            ("SHOP", Ok("shop")),
            ("shop.kommo.com", Ok("other")),
            ("https://acme.amocrm.ru/", Ok("third")),
            ("acme.kommo.com", Ok("shop")),
            ("acme", Err("fits several accounts; write one of: shop, other, third")),
            ("nobody", Err("there is no account `nobody`; there are: shop, other, third")),
        ] {
            let found = choose(&all, Some(wanted));
            match (found, expected) {
                (Ok(account), Ok(name)) => assert_eq!(account.name, name, "{wanted}"),
                (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
                (found, _) => panic!("{wanted}: {found:?}"),
            }
        }
    }

    #[test]
    fn the_only_account_needs_no_name() {
        let one = known(&[("shop", "https://acme.kommo.com")]);
        assert_eq!(choose(&one, None).unwrap().name, "shop");
        assert!(choose(&[], None).unwrap_err().to_string().contains("add accounts.NAME"));
        let two = known(&[("a", "https://a.kommo.com"), ("b", "https://b.kommo.com")]);
        let error = choose(&two, None).unwrap_err().to_string();
        assert_eq!(error, "there are several accounts: add --account NAME, with one of: a, b");
    }
}
