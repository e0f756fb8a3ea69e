//! `doctor`: checks everything that a bridge needs, and suggests a fix for each problem.
//!
//! It changes nothing, except that it renews the token of an account if Kommo refuses it (see [`accounts`]). It works
//! beside a running bridge as well as without one. Each check is a decision about facts ([`check`]), and a failed check
//! does not prevent the others. It never prints a secret.

mod accounts;
mod backups;
mod check;
mod clock;
mod configuration;
mod fallbacks;
mod files;
mod handlers;
mod outgoing;
mod permissions;
mod postgres;
mod public;
mod reach;
mod requests;
mod store;

use std::time::Duration;

use serde_json::json;

use crate::bridge::Error;
use crate::bridge::kommo_stack::KommoStack;
use crate::config::{Config, Effective, Sources};
use crate::listed_account::ListedAccount;
use ::store::Store;
use model::Outgoing;
use model::clock::Clock;

use super::exit::{Failure, print};
use super::screen::Screen;
pub(super) use check::{Check, Outcome, render};

/// The longest time of a call to an account, including waits and retries.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// The maximum number of accounts' hosts to ask for the time.
const MAX_ASKED_HOSTS: usize = 5;

/// Runs all checks and prints the results. `check_handlers` checks that the program's handlers match the configuration.
///
/// # Errors
/// A check failed, after all results are printed. The exit status is 2 if the configuration is refused, else 1.
pub(super) async fn run(
    sources: &Sources,
    check_handlers: impl FnOnce(Config) -> Result<(), Error>,
    json: bool,
) -> Result<(), Failure> {
    let loaded = Effective::load(sources).map_err(Error::from);
    let (checks, refused) =
        match loaded.and_then(|loaded| check_handlers(loaded.config.clone()).map(|()| loaded)) {
            Ok(loaded) => (run_checks(&loaded).await, false),
            Err(error) => (refusals(&error), true),
        };
    if json {
        print(&json!({ "checks": checks }).to_string())?;
    } else {
        print(&render(&checks, Screen::stdout()))?;
    }
    let failed = checks.iter().filter(|check| check.outcome() == Outcome::Failed).count();
    match (failed, refused) {
        (0, _) => Ok(()),
        (_, true) => Err(Failure::usage("the configuration is refused".to_owned())),
        (failed, false) => Err(Failure::running(format!("{failed} of {} checks failed", checks.len()))),
    }
}

/// One failed check for each mistake in a refused configuration.
fn refusals(error: &Error) -> Vec<Check> {
    let mistakes = match error {
        Error::Config(error) => {
            let problems = error.problems().iter().map(ToString::to_string);
            problems.chain(error.no_file().map(str::to_owned)).collect()
        }
        other => vec![other.to_string()],
    };
    let todo = "fix it, then check the configuration with `config check`";
    mistakes.into_iter().map(|mistake| Check::failed("configuration", mistake, todo)).collect()
}

async fn run_checks(loaded: &Effective) -> Vec<Check> {
    let config = &loaded.config;
    let clock = Clock::system();
    let mut checks = configuration::checks(config, &config.read_from());
    checks.push(outgoing::check(&config.delivery));
    checks.extend(files::checks(&loaded.secret_files()));
    let opened = Store::observe(&config.store.url, clock.clone()).await;
    checks.extend(store::checks(&config.store.url, &opened, clock.now()).await);
    checks.extend(postgres::checks(&config.store.url, &clock).await);
    let store = opened.ok().flatten();
    if let Some(store) = &store {
        checks.extend(fallbacks::check(store, clock.now()).await);
    }
    checks.extend(backups::check(config, clock.now()).await);
    match ask_accounts(config, &clock, store.clone()).await {
        Ok((listed, responses)) => {
            checks.extend(time(&listed, &config.delivery.outgoing, &clock).await);
            let each = listed.iter().zip(&responses);
            checks.extend(each.map(|(one, response)| accounts::check(one, response, clock.now())));
        }
        Err(error) => {
            checks.push(Check::failed(
                "accounts",
                error.to_string(),
                "fix the cause, then run `doctor` again to check each account",
            ));
        }
    }
    checks.extend(handlers::checks(config).await);
    checks.push(reach::admin(config).await);
    checks.extend(requests::checks(config).await);
    if let (Some(url), Some(client)) = (&config.server.public_url, reach::client(&config.delivery.outgoing)) {
        checks.push(public::check(&client, url, config).await);
    }
    if let Some(store) = store {
        store.close().await;
    }
    checks
}

/// Runs the checks that make sense before the bridge runs for the first time: files, accounts, handlers, and, with
/// `with_public`, the public address. A network that does not work yet is a warning.
pub(super) async fn first_checks(loaded: &Effective, with_public: bool) -> Vec<Check> {
    let config = &loaded.config;
    let clock = Clock::system();
    let ask_public = async {
        let url = config.server.public_url.as_ref().filter(|_| with_public)?;
        let client = reach::client(&config.delivery.outgoing)?;
        Some(public::check(&client, url, config).await)
    };
    let (asked, handlers, public_url) =
        tokio::join!(ask_accounts(config, &clock, None), handlers::checks(config), ask_public);
    let mut checks = configuration::checks(config, &config.read_from());
    checks.extend(files::checks(&loaded.secret_files()));
    if let Ok((listed, responses)) = asked {
        checks.extend(time(&listed, &config.delivery.outgoing, &clock).await);
        let each = listed.iter().zip(&responses);
        checks.extend(each.map(|(one, response)| accounts::check(one, response, clock.now())));
    }
    checks.extend(handlers);
    checks.extend(public_url);
    checks.into_iter().map(Check::at_most_warning).collect()
}

/// Each account, and Kommo's response about it.
async fn ask_accounts(
    config: &Config,
    clock: &Clock,
    store: Option<Store>,
) -> Result<(Vec<ListedAccount>, Vec<accounts::AccountResponse>), Error> {
    let kommo_stack = KommoStack::new(config, clock.clone())?;
    let known = kommo_stack.clone().accounts(config, store).await?;
    let listed = known.list().await?;
    let clients = kommo_stack.clients(config, &known, None);
    let calls = listed.iter().map(async |one| {
        let origin = one.origin.clone().filter(|_| accounts::is_callable(one, clock.now()))?;
        Some(clients.client_at(origin).with_patience(CALL_TIMEOUT).get_json("/api/v4/account").await)
    });
    let responses = futures_util::future::join_all(calls).await;
    Ok((listed, responses))
}

/// Compares the clock with that of the first host that responds. Asks all hosts at once, so silent ones cost one timeout.
async fn time(listed: &[ListedAccount], outgoing: &Outgoing, clock: &Clock) -> Option<Check> {
    let client = reach::client(outgoing)?;
    let hosts = listed.iter().filter_map(|one| Some((one.origin.as_ref()?, one.host.as_ref()?)));
    let asked = hosts.take(MAX_ASKED_HOSTS).map(async |(origin, host)| {
        let theirs = reach::date(&client, origin).await?;
        Some(clock::check(clock.now(), theirs, host))
    });
    if let Some(check) = futures_util::future::join_all(asked).await.into_iter().flatten().next() {
        return Some(check);
    }
    let todo = "compare it with a time server yourself: the bridge refuses tokens if it is wrong by a minute";
    Some(Check::warning("clock", "not checked: no account's host returned the time", todo))
}
