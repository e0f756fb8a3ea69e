//! `accounts`: lists the bridge's accounts, prints the link that connects one by OAuth, confirms an installation that came
//! without a link, resumes an account, and removes one.
//!
//! It opens the store as an observer, so it works beside a running bridge as well as without one. A running bridge notices a
//! change within a few seconds.

use clap::Subcommand;
use serde_json::json;
use url::Url;

use crate::accounts::{LINK_LIFE, OAuthIntegration};
use crate::bridge::Error;
use crate::config::Config;
use crate::listed_account::ListedAccount;
use model::clock::Clock;
use model::path_prefix;
use store::ActionKind;

use super::accounts_access::{CommandOutput, find, open, with_accounts};
use super::accounts_confirm::{self, Confirm};
use super::accounts_resume;
use super::accounts_text as text;
use super::actor::{actor, record};
use super::examples;
use super::exit::{Failure, print};
use super::health;
use super::screen::Screen;

/// The arguments of `accounts`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List configured and connected accounts, and those that deliveries wait for
    #[command(after_help = examples::ACCOUNTS_LIST)]
    List,
    /// Print a link that connects one account by OAuth; it is valid for an hour
    #[command(after_help = examples::ACCOUNTS_AUTHORIZE)]
    Authorize {
        /// The integration, by its name in the configuration; required if several have a redirect_uri
        #[arg(long, value_name = "NAME")]
        integration: Option<String>,
        /// The site that the account's administrator signs in to; https://www.amocrm.ru for amoCRM
        #[arg(long, value_name = "URL", default_value = "https://www.kommo.com", value_parser = site)]
        site: Url,
    },
    /// Connect an account that installed the integration without a link
    #[command(after_help = examples::ACCOUNTS_CONFIRM)]
    Confirm(Confirm),
    /// Retry an account's deliveries now, after you fixed the reason that they wait
    #[command(after_help = examples::ACCOUNTS_RESUME)]
    Resume {
        /// The account, by its name in the configuration, host, subdomain or number
        account: String,
        /// Use only the connection through this integration
        #[arg(long, value_name = "NAME")]
        integration: Option<String>,
    },
    /// Remove a connected account and its tokens from the bridge
    #[command(after_help = examples::ACCOUNTS_REMOVE)]
    Remove {
        /// The account, by its host, subdomain or number
        account: String,
        /// Remove only the connection through this integration
        #[arg(long, value_name = "NAME")]
        integration: Option<String>,
    },
}

fn site(text: &str) -> Result<Url, String> {
    text.parse().map_err(|_| "expected a URL like https://www.kommo.com or https://www.amocrm.ru".to_owned())
}

/// Runs the command. Prints the result to stdout, as one JSON object if `json` is set.
///
/// # Errors
/// The store cannot be opened, read or written; no account or integration matches, or several do; or the configuration lacks
/// what OAuth needs.
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
    // Only the running bridge knows whether all accounts wait: the store does not record it.
    let ready = health::ready(config).await.unwrap_or_default();
    let all_wait = &ready["everybody_waits"];
    let now = clock.now();
    let below =
        text::installations(&installations, now) + &text::all_accounts_wait(all_wait).unwrap_or_default();
    let text = text::list(&listed, now, screen) + &screen.fold(&below);
    let own = json!({ "accounts": listed, "installations": installations, "everybody_waits": all_wait });
    let json = health::served_api(config, "/api/v1/accounts").await.unwrap_or(own);
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
            return Failure::running("the system returned no random bytes for the link: try again".to_owned());
        }
        Failure::usage(
            "store.encryption_key is missing: it signs the link and encrypts the account's tokens; create one with \
             `openssl rand -base64 32`"
                .to_owned(),
        )
    })?;
    let target = format!("integration {}", integration.name);
    record(&config.store.url, clock.clone(), ActionKind::AccountsAuthorize, target).await;
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
            ListedAccount { name: Some(name), .. } => return Err(Failure::usage(text::configured(name))),
            found @ ListedAccount { key: Some(key), .. } => (found, key),
            found => return Err(Failure::running(text::never_connected(found))),
        };
        if !accounts.remove(key, actor()).await.map_err(Error::from)? {
            return Err(Failure::running(text::no_account(account)));
        }
        Ok(CommandOutput { json: json!({ "removed": found }), text: text::removed(found) })
    })
    .await
}

/// Chooses the integration for a link: the named one, or the only one that can connect accounts.
fn choose<'a>(all: &'a [OAuthIntegration], name: Option<&str>) -> Result<&'a OAuthIntegration, String> {
    let names = |some: &[&OAuthIntegration]| {
        some.iter().map(|integration| integration.name.as_str()).collect::<Vec<_>>().join(", ")
    };
    if let Some(name) = name {
        return all.iter().find(|integration| integration.name == name).ok_or_else(|| {
            format!(
                "--integration: unknown integration `{name}` (expected one of: {})",
                names(&all.iter().collect::<Vec<_>>())
            )
        });
    }
    let usable: Vec<&OAuthIntegration> = all.iter().filter(|known| known.redirect_uri.is_some()).collect();
    match (usable.as_slice(), all) {
        ([one], _) => Ok(*one),
        ([], [one]) => Err(no_redirect_uri(one)),
        ([], _) => Err(
            "integrations.NAME.redirect_uri is missing: accounts connect through an integration that has one; \
                        copy it from the integration's page in Kommo"
                .to_owned(),
        ),
        _ => Err(format!("--integration is required: write one of: {}", names(&usable))),
    }
}

fn no_redirect_uri(integration: &OAuthIntegration) -> String {
    format!(
        "integrations.{}.redirect_uri is missing: copy it from the integration's page in Kommo; it is \
         https://HOST/oauth/callback, where HOST leads to the bridge",
        integration.name
    )
}

/// Checks that a link to this site can work.
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
    Err("--site must be a URL like https://www.kommo.com or https://www.amocrm.ru, without a path; http is allowed only \
         with delivery.insecure"
        .to_owned())
}

#[cfg(test)]
mod tests;
