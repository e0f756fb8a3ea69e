//! `accounts confirm HOST`: connects an account that installed the integration without a link.
//!
//! Anyone can send the bridge an installation with any host, so the bridge sends nothing to the host until an operator
//! confirms it. The command sends the integration's secret there, and shows the account's number before it connects the
//! account.

use serde_json::json;

use crate::accounts::{ConnectError, Installation};
use crate::bridge::Error;
use crate::config::Config;
use model::AccountId;
use model::clock::Clock;

use super::accounts_access::{CommandOutput, with_accounts};
use super::accounts_text as text;
use super::actor::actor;
use super::ask;
use super::exit::Failure;

/// The arguments of `accounts confirm`.
#[derive(Debug, clap::Args)]
pub(super) struct Confirm {
    /// The account's host, as `accounts list` shows it
    host: String,
    /// The account's number in Kommo; any other account is refused
    #[arg(long, value_name = "NUMBER")]
    account: Option<i64>,
    /// Connect whichever account HOST names, without asking
    #[arg(long, conflicts_with = "account")]
    yes: bool,
    /// Confirm only the installation of this integration
    #[arg(long, value_name = "NAME")]
    integration: Option<String>,
}

/// How to decide whether the account that HOST names is the right one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    /// It must have this number.
    Number(AccountId),
    /// Every account is right.
    Any,
    /// The operator decides.
    Ask,
}

/// Runs the command. Asks no question if `json` is set.
///
/// # Errors
/// No installation waits at the host, the account is not the expected one, Kommo refuses the code, or the store cannot be
/// written.
pub(super) async fn run(
    config: &Config,
    clock: &Clock,
    confirm: &Confirm,
    json: bool,
) -> Result<CommandOutput, Failure> {
    let expected = expected(confirm, ask::can_ask(json)).map_err(Failure::usage)?;
    with_accounts(config, clock, async |accounts| {
        let waiting = accounts.installations().await.map_err(Error::from)?;
        let one = find(&waiting, &confirm.host, confirm.integration.as_deref())?;
        let accept = |account_id| match expected {
            Expected::Number(wanted) => wanted == account_id,
            Expected::Any => true,
            Expected::Ask => ask::ask(&text::question(&one.host, account_id)),
        };
        let connected = accounts.confirm(one, accept, actor()).await.map_err(|error| failure(&error))?;
        Ok(CommandOutput {
            json: json!({ "connected": {
                "host": one.host,
                "account_id": connected.account_id,
                "integration": connected.integration,
            } }),
            text: text::confirmed(&connected, &one.host),
        })
    })
    .await
}

fn expected(confirm: &Confirm, can_ask: bool) -> Result<Expected, String> {
    match (confirm.account, confirm.yes) {
        (Some(number), _) if number > 0 => Ok(Expected::Number(AccountId(number))),
        (Some(_), _) => Err("--account must be the account's number in Kommo, which is greater than 0".to_owned()),
        (None, true) => Ok(Expected::Any),
        (None, false) if can_ask => Ok(Expected::Ask),
        (None, false) => {
            Err("cannot ask whether the account is the right one, because stdin is not a terminal or --json is set: add \
                 --account NUMBER with the account's number in Kommo, or --yes to connect whichever account HOST names"
                .to_owned())
        }
    }
}

/// Finds the installation at this host, through this integration if one is named.
///
/// # Errors
/// No installation or several match.
fn find<'a>(
    waiting: &'a [Installation],
    wanted: &str,
    integration: Option<&str>,
) -> Result<&'a Installation, Failure> {
    let bare = wanted.trim().trim_end_matches('/');
    let host = bare.split_once("://").map_or(bare, |(_, host)| host);
    let found: Vec<&Installation> = waiting
        .iter()
        .filter(|one| one.host.eq_ignore_ascii_case(host))
        .filter(|one| integration.is_none_or(|name| one.integration == name))
        .collect();
    match found.as_slice() {
        [one] => Ok(one),
        [] => Err(Failure::running(text::no_installation(wanted))),
        several => {
            let names: Vec<&str> = several.iter().map(|one| one.integration.as_str()).collect();
            Err(Failure::usage(format!(
                "--integration is required: several installations wait at this host; write one of: {}",
                names.join(", ")
            )))
        }
    }
}

fn failure(error: &ConnectError) -> Failure {
    Failure::running(match error {
        ConnectError::Declined(account_id) => format!(
            "the host reports account {account_id}, which was not confirmed: nothing was stored, and the installation's code \
             is used up; install the integration again, or use `accounts authorize`"
        ),
        other => other.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Timestamp;

    fn confirm(account: Option<i64>, yes: bool) -> Confirm {
        Confirm { host: "a.kommo.com".into(), account, yes, integration: None }
    }

    #[test]
    fn without_a_terminal_the_account_needs_a_number_or_yes() {
        for (account, yes, can_ask, expected_is) in [
            (Some(7), false, false, Ok(Expected::Number(AccountId(7)))),
            (None, true, false, Ok(Expected::Any)),
            (None, false, true, Ok(Expected::Ask)),
        ] {
            assert_eq!(expected(&confirm(account, yes), can_ask), expected_is);
        }
        assert!(expected(&confirm(None, false), false).unwrap_err().contains("--account NUMBER"));
        assert!(expected(&confirm(Some(0), false), true).is_err());
    }

    #[test]
    fn an_installation_is_found_by_host_and_integration() {
        let at = Timestamp::from_millis(0);
        let one = |host: &str, integration: &str| Installation {
            origin: format!("https://{host}").into(),
            host: host.into(),
            integration: integration.into(),
            codes: 1,
            received_at: at,
            expires_at: at,
            client_uuid: integration.into(),
        };
        let waiting = [one("a.kommo.com", "main"), one("a.kommo.com", "other"), one("b.kommo.com", "main")];
        let found = |host: &str, integration| find(&waiting, host, integration).ok().cloned();
        assert_eq!(found("https://B.kommo.com/", None), Some(waiting[2].clone()));
        assert_eq!(found("a.kommo.com", Some("other")), Some(waiting[1].clone()));
        assert_eq!(found("a.kommo.com", None), None, "two installations match");
        assert_eq!(found("c.kommo.com", None), None);
        assert_eq!(found("b.kommo.com", Some("other")), None);
    }
}
