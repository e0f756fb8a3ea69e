//! `accounts`: shows the accounts that the bridge can speak to, gives the link that connects one by OAuth, finishes an
//! installation that came without a link, has an account tried now, and forgets one.
//!
//! It opens the store as an observer, so it works beside a bridge that runs as well as without one; a running bridge
//! notices within a few seconds what was connected or removed.

use clap::Subcommand;
use serde_json::json;
use url::Url;

use crate::accounts::{LINK_LIFE, Listed, OAuthIntegration};
use crate::bridge::Error;
use crate::config::Config;
use model::clock::Clock;
use model::path_prefix;

use super::accounts_access::{CommandOutput, find, open, with_accounts};
use super::accounts_confirm::{self, Confirm};
use super::accounts_resume;
use super::accounts_text as text;
use super::exit::{Failure, print};
use super::health;
use super::screen::Screen;

/// Looks at accounts, connects, resumes and forgets them.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the accounts of the configuration, the connected ones, and those that deliveries wait for
    List,
    /// Print the link with which a person connects an account by OAuth
    Authorize {
        /// The integration, by its name in the configuration; needed where several have a redirect_uri
        #[arg(long, value_name = "NAME")]
        integration: Option<String>,
        /// Where the person is signed in; https://www.amocrm.ru for amoCRM
        #[arg(long, value_name = "URL", default_value = "https://www.kommo.com")]
        site: Url,
    },
    /// Finish the installation of a widget that came without a link: its code is exchanged at HOST
    Confirm(Confirm),
    /// Try an account now, after you have fixed what its deliveries wait for
    Resume {
        /// Its name in the configuration, its host, its subdomain or its number
        account: String,
        /// Only the connection through this integration
        #[arg(long, value_name = "NAME")]
        integration: Option<String>,
    },
    /// Forget a connected account and its tokens
    Remove {
        /// Its host, its subdomain or its number
        account: String,
        /// Only the connection through this integration
        #[arg(long, value_name = "NAME")]
        integration: Option<String>,
    },
}

/// Carries the command out. Results go to stdout, with `json` as one JSON object.
///
/// # Errors
/// The store cannot be opened, read or written; there is no such account or integration, or more than one; or what OAuth
/// needs is not configured.
pub(super) async fn run(args: Args, config: &Config, json: bool) -> Result<(), Failure> {
    let (clock, screen) = (Clock::system(), Screen::stdout());
    let output = match args.command {
        Command::List => list(config, &clock, screen).await?,
        Command::Authorize { integration, site } => {
            authorize(config, &clock, integration.as_deref(), &site).await?.folded(screen)
        }
        Command::Confirm(confirm) => {
            accounts_confirm::run(config, &clock, &confirm, json).await?.folded(screen)
        }
        Command::Resume { account, integration } => {
            accounts_resume::run(config, &clock, &account, integration.as_deref()).await?.folded(screen)
        }
        Command::Remove { account, integration } => {
            remove(config, &clock, &account, integration.as_deref()).await?.folded(screen)
        }
    };
    let text = if json { output.json.to_string() } else { output.text.trim_end().to_owned() };
    Ok(print(&text)?)
}

async fn list(config: &Config, clock: &Clock, screen: Screen) -> Result<CommandOutput, Failure> {
    let (listed, installations) = with_accounts(config, clock, async |accounts| {
        let listed = accounts.list().await.map_err(Error::from)?;
        Ok((listed, accounts.installations().await.map_err(Error::from)?))
    })
    .await?;
    // It is not in the store: it passes, and only the bridge that runs knows.
    let ready = health::ready(config).await.unwrap_or_default();
    let everybody = &ready["everybody_waits"];
    let now = clock.now();
    let below =
        text::installations(&installations, now) + &text::everybody_waits(everybody).unwrap_or_default();
    let text = text::list(&listed, now, screen) + &screen.fold(&below);
    let json = json!({ "accounts": listed, "installations": installations, "everybody_waits": everybody });
    Ok(CommandOutput { json, text })
}

async fn authorize(
    config: &Config,
    clock: &Clock,
    name: Option<&str>,
    site: &Url,
) -> Result<CommandOutput, Failure> {
    check_site(site, config.delivery.hosts.insecure).map_err(Failure::usage)?;
    let accounts = open(config, clock, None).await?;
    let integration = choose(accounts.integrations(), name).map_err(Failure::usage)?;
    let redirect_uri =
        integration.redirect_uri.as_ref().ok_or_else(|| Failure::usage(no_redirect_uri(integration)))?;
    let expires_at = clock.now() + LINK_LIFE;
    let link = accounts.authorization_link(site, integration).ok_or_else(|| {
        if config.store.encryption_key.is_some() {
            return Failure::running("the system gives no random bytes, which a link needs".to_owned());
        }
        Failure::usage(
            "store.encryption_key is missing: it signs the link and encrypts the account's tokens; make one with \
             `openssl rand -base64 32`"
                .to_owned(),
        )
    })?;
    let prefix = config.server.public_url.as_ref().map(path_prefix).unwrap_or_default();
    let json = json!({
        "link": link,
        "integration": integration.name,
        "redirect_uri": redirect_uri,
        "expires_at": expires_at,
    });
    Ok(CommandOutput { json, text: text::authorize(&link, &integration.name, redirect_uri, prefix) })
}

async fn remove(
    config: &Config,
    clock: &Clock,
    account: &str,
    integration: Option<&str>,
) -> Result<CommandOutput, Failure> {
    with_accounts(config, clock, async |accounts| {
        let listed = accounts.list().await.map_err(Error::from)?;
        let (found, key) = match find(&listed, account, integration)? {
            Listed { name: Some(name), .. } => return Err(Failure::usage(text::of_configuration(name))),
            found @ Listed { key: Some(key), .. } => (found, key),
            found => return Err(Failure::running(text::never_connected(found))),
        };
        if !accounts.remove(key).await.map_err(Error::from)? {
            return Err(Failure::running(text::no_account(account)));
        }
        Ok(CommandOutput { json: json!({ "removed": found }), text: text::removed(found) })
    })
    .await
}

/// The integration that a link is for.
fn choose<'a>(all: &'a [OAuthIntegration], name: Option<&str>) -> Result<&'a OAuthIntegration, String> {
    let names = |some: &[&OAuthIntegration]| {
        some.iter().map(|integration| integration.name.as_str()).collect::<Vec<_>>().join(", ")
    };
    if let Some(name) = name {
        return all.iter().find(|integration| integration.name == name).ok_or_else(|| {
            format!(
                "--integration: there is no integrations.{name}, but: {}",
                names(&all.iter().collect::<Vec<_>>())
            )
        });
    }
    let able: Vec<&OAuthIntegration> = all.iter().filter(|known| known.redirect_uri.is_some()).collect();
    match (able.as_slice(), all) {
        ([one], _) => Ok(*one),
        ([], [one]) => Err(no_redirect_uri(one)),
        ([], _) => Err(
            "integrations.NAME.redirect_uri is missing: accounts are connected through an integration that \
                        has one; set it just as it stands on the integration's page in Kommo"
                .to_owned(),
        ),
        _ => Err(format!("--integration is needed: say through which one, {}", names(&able))),
    }
}

fn no_redirect_uri(integration: &OAuthIntegration) -> String {
    format!(
        "integrations.{}.redirect_uri is missing: set it just as it stands on the integration's page in Kommo, \
         https://HOST/oauth/callback with the host that the bridge is reached at",
        integration.name
    )
}

/// Whether an operator can be sent there.
fn check_site(site: &Url, insecure: bool) -> Result<(), String> {
    let scheme = match site.scheme() {
        "https" => true,
        "http" => insecure,
        _ => false,
    };
    let bare = site.path() == "/" && site.query().is_none() && site.fragment().is_none();
    let no_user = site.username().is_empty() && site.password().is_none();
    if scheme && bare && no_user && site.host().is_some() {
        return Ok(());
    }
    Err("--site must be like https://www.kommo.com or https://www.amocrm.ru: https (http under delivery.insecure alone) \
         and a host"
        .to_owned())
}

#[cfg(test)]
mod tests;
