//! `accounts resume ACCOUNT`: the bridge tries an account now, after an operator fixed what held it up.
//!
//! The bridge is another process: the command leaves its wish in the store, and the bridge takes it out within five seconds.
//! The next delivery of the account is then its probe, and only if Kommo takes it do the others go out.

use serde_json::json;

use crate::accounts::Listed;
use crate::bridge::Error;
use crate::config::Config;
use model::AccountState;
use model::clock::Clock;

use super::accounts::{Told, find, visit};
use super::exit::Failure;
use super::text::clean;

/// Carries the command out.
///
/// # Errors
/// There is no such account, or more than one; it has no token, so there is nothing to try; or the store cannot be written.
pub(super) async fn run(
    config: &Config,
    clock: &Clock,
    wanted: &str,
    integration: Option<&str>,
) -> Result<Told, Failure> {
    let runs = store::file::is_served(&config.store.url);
    visit(config, clock, async |accounts| {
        let listed = accounts.list().await.map_err(Error::from)?;
        let found = find(&listed, wanted, integration)?;
        let Some(origin) = can_be_tried(found).map_err(Failure::running)? else {
            return Err(Failure::running(format!(
                "the address of {} is not known: connect it",
                clean(wanted)
            )));
        };
        // A start tries every account anyway.
        if runs != Some(false) {
            accounts.ask_resume(origin).await.map_err(Error::from)?;
        }
        Ok(Told { json: json!({ "resumed": found, "bridge_runs": runs }), text: expectation(found, runs) })
    })
    .await
}

/// Its address; `None` if that is not known.
fn can_be_tried(one: &Listed) -> Result<Option<&str>, String> {
    match one.state {
        AccountState::Active => Ok(one.origin.as_deref()),
        AccountState::NeedsAuthorization | AccountState::Revoked => {
            let reason = one.reason.as_deref().unwrap_or("it has no token");
            Err(format!(
                "{} cannot be tried: {}; connect it with `accounts authorize`, and its deliveries go out",
                called(one),
                clean(reason)
            ))
        }
    }
}

fn called(one: &Listed) -> String {
    clean(one.host.as_deref().or(one.name.as_deref()).unwrap_or("the account"))
}

/// What happens next.
fn expectation(one: &Listed, runs: Option<bool>) -> String {
    let called = called(one);
    let waiting = match one.waiting {
        0 => "No delivery waits for it now: the next one is tried as soon as it comes.".to_owned(),
        1 => "1 delivery waits for it.".to_owned(),
        jobs => format!(
            "{jobs} deliveries wait for it: one is tried first, and the others follow if Kommo takes it."
        ),
    };
    match runs {
        Some(false) => {
            format!("No bridge runs. It tries {called} when it starts: `salesbot-bridge serve`.\n{waiting}\n")
        }
        Some(true) => format!(
            "The bridge tries {called} within five seconds.\n{waiting}\nIf Kommo still refuses it, `accounts list` says why.\n"
        ),
        None => format!(
            "If a bridge runs, it tries {called} within five seconds; else it does when it starts.\n{waiting}\nIf Kommo still \
             refuses it, `accounts list` says why.\n"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::account::tests::{configured, connected};

    #[test]
    fn an_account_without_a_token_cannot_be_tried() {
        let one = connected("a.kommo.com", 7, "main");
        assert_eq!(can_be_tried(&one).unwrap(), one.origin.as_deref());
        for state in [AccountState::NeedsAuthorization, AccountState::Revoked] {
            let one = Listed { state, reason: Some("Kommo said so".into()), ..one.clone() };
            let error = can_be_tried(&one).unwrap_err();
            assert!(error.contains("Kommo said so") && error.contains("accounts authorize"), "{error}");
        }
    }

    #[test]
    fn it_says_what_to_expect() {
        for (waiting, runs, parts) in [
            (0, Some(true), ["within five seconds", "No delivery waits"]),
            (3, Some(true), ["within five seconds", "3 deliveries wait"]),
            (1, Some(false), ["when it starts", "1 delivery waits"]),
            (1, None, ["If a bridge runs", "when it starts"]),
        ] {
            let text = expectation(&Listed { waiting, ..configured("shop", "a.kommo.com") }, runs);
            assert!(parts.iter().all(|part| text.contains(part)) && text.contains("a.kommo.com"), "{text}");
        }
    }
}
