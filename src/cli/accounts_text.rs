//! Accounts as text, and the messages of `accounts`.
//!
//! Texts from outside (hosts, reasons from Kommo) cannot control the terminal: their control characters are replaced.

use anstyle::{AnsiColor, Style};
use serde_json::Value;
use url::Url;

use crate::accounts::{Connected, Installation};
use crate::listed_account::ListedAccount;
use model::{AccountId, AccountState, AccountWait, RedirectUri, Timestamp, path_below};

use super::screen::Screen;
use super::table::{Cell, Column, Table};
use super::text::{clean, colour, when};

/// A list of accounts. A red state needs authorization; a yellow one is revoked, or its deliveries wait.
pub(super) fn list(listed: &[ListedAccount], now: Timestamp, screen: Screen) -> String {
    if listed.is_empty() {
        return screen.fold(
            "No accounts: add accounts.NAME to the configuration, or connect one with `accounts authorize`.",
        );
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
            AccountState::Active if one.waits_for.is_none() => AnsiColor::Green,
            AccountState::Active | AccountState::Revoked => AnsiColor::Yellow,
            AccountState::NeedsAuthorization => AnsiColor::Red,
        };
        let waiting = if one.waiting == 0 { Style::new() } else { colour(AnsiColor::Yellow) };
        table.row([
            clean(&account(one)).into(),
            one.account_id.map(|id| id.to_string()).unwrap_or_default().into(),
            clean(one.integration.as_deref().unwrap_or_default()).into(),
            Cell::styled(state_of(one), colour(state)),
            token(one, now).into(),
            Cell::styled(one.waiting.to_string(), waiting),
            clean(&what_to_do(one)).into(),
        ]);
    }
    table.render(screen)
}

/// Says that the deliveries of all accounts wait, from `everybody_waits` of `/health/ready`; `None` if they do not.
pub(super) fn all_accounts_wait(answer: &Value) -> Option<String> {
    let why = answer["why"].as_str()?;
    let until = match answer["until"].as_str() {
        Some(until) => format!("until {until}"),
        None => "for the response to the next delivery".to_owned(),
    };
    Some(format!("\n\nThe deliveries of all accounts wait {}: {}", clean(&until), clean(why)))
}

/// The waiting installations, below the list; empty if there are none.
pub(super) fn installations(waiting: &[Installation], now: Timestamp) -> String {
    if waiting.is_empty() {
        return String::new();
    }
    let lines = waiting.iter().map(|one| {
        let codes = if one.codes == 1 { String::new() } else { format!(", {} codes", one.codes) };
        let line = format!(
            "{} through {}, expires {}{codes}: if the account is yours, run `accounts confirm {}`",
            one.host,
            one.integration,
            when(one.expires_at, now),
            one.host
        );
        format!("  {}\n", clean(&line))
    });
    format!(
        "\n\nInstallations without a link that wait for your confirmation:\n{}",
        lines.collect::<String>()
    )
}

/// The question before an account is connected.
pub(super) fn question(host: &str, account_id: AccountId) -> String {
    format!("{} reports account {account_id}. Connect it? [y/N] ", clean(host))
}

/// The account of an installation was connected.
pub(super) fn confirmed(connected: &Connected, host: &str) -> String {
    format!(
        "Account {} at {} is connected through {}. The bridge sends its waiting deliveries within a few seconds.\n",
        connected.account_id,
        clean(host),
        clean(&connected.integration)
    )
}

/// The error: no installation waits at this host.
pub(super) fn no_installation(wanted: &str) -> String {
    format!(
        "no installation waits at {}: the bridge keeps a code for 20 minutes, and only with \
         integrations.NAME.install_without_link; see `accounts list` for those that wait, or connect the account with \
         `accounts authorize`",
        clean(wanted)
    )
}

/// The state of the account; `paused` if it is active but its deliveries wait.
fn state_of(one: &ListedAccount) -> String {
    match one.state {
        AccountState::Active if one.waits_for.is_some() => "paused".to_owned(),
        state => state.to_string(),
    }
}

/// The account's host, and its name if it is in the configuration.
fn account(one: &ListedAccount) -> String {
    match (&one.host, &one.name) {
        (Some(host), Some(name)) => format!("{host} (accounts.{name})"),
        (Some(host), None) => host.clone(),
        (None, _) => "(unknown host)".to_owned(),
    }
}

fn token(one: &ListedAccount, now: Timestamp) -> String {
    match one.expires_at {
        Some(moment) => when(moment, now),
        None if one.name.is_some() => "long-lived".to_owned(),
        None => String::new(),
    }
}

fn what_to_do(one: &ListedAccount) -> String {
    let connect = match (&one.key, &one.integration) {
        (Some(_), Some(name)) => format!("run `accounts authorize --integration {name}`"),
        _ => "run `accounts authorize`, or add accounts.NAME with its long-lived token".to_owned(),
    };
    match (one.state, one.reason.as_deref()) {
        (AccountState::Active, _) => one.waits_for.as_ref().map(AccountWait::text).unwrap_or_default(),
        (AccountState::NeedsAuthorization, Some(reason)) => format!("{reason}: {connect}"),
        (AccountState::NeedsAuthorization, None) => connect,
        (AccountState::Revoked, reason) => {
            let reason = reason.unwrap_or("it was disconnected");
            format!("{reason}, so its requests are refused; to connect it again, {connect}")
        }
    }
}

/// How to use a link.
pub(super) fn authorize(link: &Url, integration: &str, redirect_uri: &RedirectUri, prefix: &str) -> String {
    let elsewhere = if path_below(redirect_uri.url().path(), prefix) == "/oauth/callback" {
        ""
    } else {
        "\nThe bridge listens at /oauth/callback, so your proxy must rewrite that path.\n"
    };
    format!(
        "Open this link within an hour, in a browser where you are signed in as an administrator of the account:\n\n  \
         {link}\n\n\
         The link connects one account; create another link for the next.\n\
         Choose the account and allow access for the integration (integrations.{integration}). Kommo then sends the \
         browser to\n{redirect_uri}; a bridge with this configuration must be running there.\n{elsewhere}\
         The page shows which account was connected. The bridge then sends the account's waiting deliveries.\n"
    )
}

/// An account was removed.
pub(super) fn removed(one: &ListedAccount) -> String {
    let called = clean(&one.host.clone().unwrap_or_else(|| "The account with an unknown host".to_owned()));
    let number = one.account_id.map(|id| format!(" ({id})")).unwrap_or_default();
    let waiting = match one.waiting {
        0 => String::new(),
        1 => "1 delivery waits until the account is connected again or the job is cancelled.\n".to_owned(),
        jobs => format!(
            "{jobs} deliveries wait until the account is connected again or the jobs are cancelled.\n"
        ),
    };
    let requests = match one.state {
        AccountState::Revoked => "The bridge accepts its requests again.\n",
        AccountState::Active | AccountState::NeedsAuthorization => "",
    };
    format!(
        "{called}{number} is removed: the bridge deleted its tokens.\n{requests}{waiting}\
         Kommo still lists the integration in the account; an administrator can uninstall it there.\n"
    )
}

/// The error: no account matches.
pub(super) fn no_account(wanted: &str) -> String {
    format!("unknown account {}: `accounts list` shows the known ones", clean(wanted))
}

/// The error: the account is in the configuration, so `accounts remove` cannot remove it.
pub(super) fn configured(name: &str) -> String {
    format!(
        "accounts.{name} is in the configuration, not in the store: remove [accounts.{name}] from the configuration and \
         restart the bridge"
    )
}

/// The error: the account was never connected, so there is nothing to remove.
pub(super) fn never_connected(one: &ListedAccount) -> String {
    let (waiting, them) = match one.waiting {
        1 => ("1 delivery waits".to_owned(), "its job"),
        jobs => (format!("{jobs} deliveries wait"), "their jobs"),
    };
    format!(
        "{} was never connected: it is listed only because {waiting} for it; connect it with `accounts authorize`, or \
         cancel {them} with `jobs cancel`",
        clean(&account(one)),
    )
}

/// The error: several accounts match.
pub(super) fn ambiguous(wanted: &str, several: &[&ListedAccount]) -> String {
    let line = |one: &&ListedAccount| {
        let number = one.account_id.map(|id| format!(", number {id}")).unwrap_or_default();
        let integration =
            one.integration.as_ref().map(|name| format!(", --integration {name}")).unwrap_or_default();
        clean(&format!("{}{number}{integration}", account(one)))
    };
    let lines: String = several.iter().map(|one| format!("\n  {}", line(one))).collect();
    format!(
        "{} matches several accounts; write the host, the number or --integration of one of these:{lines}",
        clean(wanted)
    )
}
