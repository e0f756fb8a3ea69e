//! `accounts resume ACCOUNT`: lets the bridge retry an account's deliveries now, after an operator fixed the reason that
//! they wait.
//!
//! The bridge is another process: the command writes a request into the store, and the bridge reads it within five seconds.
//! The account's next delivery is then its probe. The other deliveries follow only if Kommo accepts the probe.

use serde_json::json;

use crate::admin::origin_to_resume;
use crate::bridge::Error;
use crate::config::Config;
use crate::listed_account::ListedAccount;
use model::clock::Clock;

use super::accounts_access::{CommandOutput, find, with_accounts};
use super::actor::actor;
use super::exit::Failure;
use super::text::clean;

/// Runs the command.
///
/// # Errors
/// No account or several match, the account has no token to retry with, or the store cannot be written.
pub(super) async fn run(
    config: &Config,
    clock: &Clock,
    wanted: &str,
    integration: Option<&str>,
) -> Result<CommandOutput, Failure> {
    let runs = store::outside::is_served(&config.store.url).await;
    with_accounts(config, clock, async |accounts| {
        let listed = accounts.list().await.map_err(Error::from)?;
        let found = find(&listed, wanted, integration)?;
        let Some(origin) = origin_to_try(found).map_err(Failure::running)? else {
            return Err(Failure::running(format!(
                "the address of {} is unknown: connect it with `accounts authorize`",
                clean(wanted)
            )));
        };
        // A bridge tries every account when it starts.
        if runs != Some(false) {
            accounts.ask_resume(origin, actor()).await.map_err(Error::from)?;
        }
        Ok(CommandOutput {
            json: json!({ "resumed": found, "bridge_runs": runs }),
            text: expectation(found, runs),
        })
    })
    .await
}

/// The account's origin; `None` if it is unknown.
///
/// # Errors
/// The account has no token. The text says why.
fn origin_to_try(one: &ListedAccount) -> Result<Option<&str>, String> {
    origin_to_resume(one.state, one.reason.as_deref(), one.origin.as_deref()).map_err(|reason| {
        format!(
            "cannot resume {}: {}; connect it with `accounts authorize`, and the bridge then sends its deliveries",
            called(one),
            clean(&reason)
        )
    })
}

fn called(one: &ListedAccount) -> String {
    clean(one.host.as_deref().or(one.name.as_deref()).unwrap_or("the account"))
}

/// Tells the operator what happens next.
fn expectation(one: &ListedAccount, runs: Option<bool>) -> String {
    let called = called(one);
    let waiting = match one.waiting {
        0 => "No delivery waits for it now: the bridge sends the next one at once.".to_owned(),
        1 => "1 delivery waits for it.".to_owned(),
        jobs => format!(
            "{jobs} deliveries wait for it: the bridge sends one, and the others if Kommo accepts it."
        ),
    };
    match runs {
        Some(false) => {
            format!(
                "No bridge is running. A bridge tries {called} when it starts: `salesbot-bridge serve`.\n{waiting}\n"
            )
        }
        Some(true) => format!(
            "The bridge tries {called} within five seconds.\n{waiting}\nIf Kommo still refuses it, `accounts list` shows the reason.\n"
        ),
        None => format!(
            "A running bridge tries {called} within five seconds; otherwise the bridge tries it when it starts.\n{waiting}\nIf \
             Kommo still refuses it, `accounts list` shows the reason.\n"
        ),
    }
}

#[cfg(test)]
mod tests {
    use model::AccountState;

    use super::*;
    use crate::cli::account::tests::{configured, connected};

    #[test]
    fn an_account_without_a_token_cannot_be_resumed() {
        let one = connected("a.kommo.com", 7, "main");
        assert_eq!(origin_to_try(&one).unwrap(), one.origin.as_deref());
        for state in [AccountState::NeedsAuthorization, AccountState::Revoked] {
            let one = ListedAccount { state, reason: Some("Kommo said so".into()), ..one.clone() };
            let error = origin_to_try(&one).unwrap_err();
            assert!(error.contains("Kommo said so") && error.contains("accounts authorize"), "{error}");
        }
    }

    #[test]
    fn the_output_says_what_happens_next() {
        for (waiting, runs, parts) in [
            (0, Some(true), ["within five seconds", "No delivery waits"]),
            (3, Some(true), ["within five seconds", "3 deliveries wait"]),
            (1, Some(false), ["when it starts", "1 delivery waits"]),
            (1, None, ["A running bridge tries", "when it starts"]),
        ] {
            let text = expectation(&ListedAccount { waiting, ..configured("shop", "a.kommo.com") }, runs);
            assert!(parts.iter().all(|part| text.contains(part)) && text.contains("a.kommo.com"), "{text}");
        }
    }
}
