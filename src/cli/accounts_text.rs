//! Accounts as text, and what is said when one cannot be removed.
//!
//! Texts from outside (hosts, reasons of Kommo) cannot steer the terminal: control characters are replaced.

use anstyle::AnsiColor;
use serde_json::Value;
use url::Url;

use crate::accounts::{Connected, Installation, Listed};
use model::{AccountId, AccountState, AccountWait, RedirectUri, Timestamp, path_below};

use super::screen::Screen;
use super::table::{Cell, Column, Table};
use super::text::{clean, colour, when};

/// A list of accounts.
pub(super) fn list(listed: &[Listed], now: Timestamp, screen: Screen) -> String {
    if listed.is_empty() {
        return "No accounts: add accounts.NAME to the configuration, or connect one with `accounts authorize`.".to_owned();
    }
    let mut table = Table::new([
        Column::new("ACCOUNT"),
        Column::new("NUMBER").right().spare(1),
        Column::new("INTEGRATION").spare(3),
        Column::new("STATE"),
        Column::new("TOKEN UNTIL").spare(2),
        Column::new("WAITING").right(),
        Column::new("WHAT TO DO").below(),
    ]);
    for one in listed {
        let state = match one.state {
            AccountState::Active => AnsiColor::Green,
            AccountState::NeedsAuthorization => AnsiColor::Red,
            AccountState::Revoked => AnsiColor::Yellow,
        };
        table.row([
            clean(&account(one)).into(),
            one.account_id.map(|id| id.to_string()).unwrap_or_default().into(),
            clean(one.integration.as_deref().unwrap_or_default()).into(),
            Cell::styled(one.state.to_string(), colour(state)),
            token(one, now).into(),
            one.waiting.to_string().into(),
            clean(&what_to_do(one)).into(),
        ]);
    }
    table.render(screen)
}

/// That the deliveries of all accounts wait, from the answer of `ready`; `None` if they do not.
pub(super) fn everybody_waits(answer: &Value) -> Option<String> {
    let why = answer["why"].as_str()?;
    let until = match answer["until"].as_str() {
        Some(until) => format!("until {until}"),
        None => "for the answer to the next delivery".to_owned(),
    };
    Some(format!("\n\nThe deliveries of all accounts wait {}: {}", clean(&until), clean(why)))
}

/// Installations that wait, below the list; nothing if there are none.
pub(super) fn installations(waiting: &[Installation], now: Timestamp) -> String {
    if waiting.is_empty() {
        return String::new();
    }
    let lines = waiting.iter().map(|one| {
        let codes = if one.codes == 1 { String::new() } else { format!(", {} codes", one.codes) };
        let line = format!(
            "{} through {}, ends {}{codes}: if it is an account of yours, accounts confirm {}",
            one.host,
            one.integration,
            when(one.expires_at, now),
            one.host
        );
        format!("  {}\n", clean(&line))
    });
    format!("\n\nInstallations without a link, which wait:\n{}", lines.collect::<String>())
}

/// What is asked before an account is connected.
pub(super) fn question(host: &str, account_id: AccountId) -> String {
    format!("{} says that it is account {account_id}. Connect it? [y/N] ", clean(host))
}

/// An installation was finished.
pub(super) fn confirmed(connected: &Connected, host: &str) -> String {
    format!(
        "Account {} at {} is connected through {}. Deliveries that wait for it go out within a few seconds.\n",
        connected.account_id,
        clean(host),
        clean(&connected.integration)
    )
}

/// There is none.
pub(super) fn no_installation(wanted: &str) -> String {
    format!(
        "no installation waits at {}: a code is kept for 20 minutes, and only with integrations.NAME.install_without_link; \
         `accounts list` shows what waits, `accounts authorize` makes a link that needs no confirmation",
        clean(wanted)
    )
}

/// How one is called: where it is, and its name in the configuration.
fn account(one: &Listed) -> String {
    match (&one.host, &one.name) {
        (Some(host), Some(name)) => format!("{host} (accounts.{name})"),
        (Some(host), None) => host.clone(),
        (None, _) => "(unknown host)".to_owned(),
    }
}

fn token(one: &Listed, now: Timestamp) -> String {
    match one.expires_at {
        Some(moment) => when(moment, now),
        None if one.name.is_some() => "long-lived".to_owned(),
        None => String::new(),
    }
}

fn what_to_do(one: &Listed) -> String {
    let command = match (&one.key, &one.integration) {
        (Some(_), Some(name)) => format!("accounts authorize --integration {name}"),
        _ => "accounts authorize, or add accounts.NAME with its long-lived token".to_owned(),
    };
    match (one.state, one.reason.as_deref()) {
        (AccountState::Active, _) => one.waits_for.as_ref().map(AccountWait::text).unwrap_or_default(),
        (AccountState::NeedsAuthorization, Some(reason)) => format!("{reason}: {command}"),
        (AccountState::NeedsAuthorization, None) => command,
        (AccountState::Revoked, reason) => {
            let reason = reason.unwrap_or("it was disconnected");
            format!("{reason}, so its requests are refused; if that was not meant: {command}")
        }
    }
}

/// What to do with a link.
pub(super) fn authorize(link: &Url, integration: &str, redirect_uri: &RedirectUri, prefix: &str) -> String {
    let elsewhere = if path_below(redirect_uri.url().path(), prefix) == "/oauth/callback" {
        ""
    } else {
        "\nThat is not /oauth/callback, where the bridge listens: your proxy has to lead there.\n"
    };
    format!(
        "Open this link within an hour, in a browser where you are signed in to the account as its administrator:\n\n  \
         {link}\n\n\
         It is good for one account; make another link for each further one.\n\
         Choose the account and allow access for the integration (integrations.{integration}). Kommo then sends the \
         browser to\n{redirect_uri}; a bridge with this configuration must be running there.\n{elsewhere}\
         It shows which account was connected. Deliveries that wait for the account go out by themselves.\n"
    )
}

/// An account was removed.
pub(super) fn removed(one: &Listed) -> String {
    let called = clean(&one.host.clone().unwrap_or_else(|| "The account of an unknown host".to_owned()));
    let number = one.account_id.map(|id| format!(" ({id})")).unwrap_or_default();
    let waiting = match one.waiting {
        0 => String::new(),
        1 => "1 delivery waits for it, until it is authorized again or the job is cancelled.\n".to_owned(),
        jobs => format!(
            "{jobs} deliveries wait for it, until it is authorized again or the jobs are cancelled.\n"
        ),
    };
    let requests = match one.state {
        AccountState::Revoked => "Its requests are accepted again.\n",
        AccountState::Active | AccountState::NeedsAuthorization => "",
    };
    format!(
        "{called}{number} is removed: the bridge has no tokens for it any more.\n{requests}{waiting}\
         Kommo still lists the integration in that account; an administrator can uninstall it there.\n"
    )
}

/// There is none.
pub(super) fn no_account(wanted: &str) -> String {
    format!("there is no account {}: `accounts list` shows them all", clean(wanted))
}

/// It stands in the configuration.
pub(super) fn of_configuration(name: &str) -> String {
    format!(
        "accounts.{name} stands in the configuration and is not in the store: take [accounts.{name}] out of the \
         configuration and restart the bridge"
    )
}

/// There is nothing to remove.
pub(super) fn never_connected(one: &Listed) -> String {
    format!(
        "{} was never connected: it is only listed because {} of its deliveries wait; connect it with `accounts \
         authorize`, or cancel them with `jobs cancel`",
        clean(&account(one)),
        one.waiting
    )
}

/// Several are called so.
pub(super) fn ambiguous(wanted: &str, several: &[&Listed]) -> String {
    let line = |one: &&Listed| {
        let number = one.account_id.map(|id| format!(", number {id}")).unwrap_or_default();
        let integration =
            one.integration.as_ref().map(|name| format!(", --integration {name}")).unwrap_or_default();
        clean(&format!("{}{number}{integration}", account(one)))
    };
    let lines: String = several.iter().map(|one| format!("\n  {}", line(one))).collect();
    format!(
        "{} is not clear: say the whole host, the number or --integration of one of these:{lines}",
        clean(wanted)
    )
}
