//! `--target`: a bridge that already runs on this machine, with this configuration.
//!
//! bench sends load only to this machine, and the continues must stay here too: it takes an account whose `base_url` is on
//! this machine, and listens there instead of the simulator.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::anyhow;
use secrecy::ExposeSecret;
use url::Url;

use crate::bridge::Error;
use crate::cli::exit::{Failure, Usage};
use crate::config::{Config, Sources};
use load::{Account, Batch, Integration, Sink, Target, Usage as Used};
use store::StoreUrl;

use super::Args;
use super::output::{Outcome, Spent};
use super::run::run_load;

/// How long to wait for a second continue of a request. Without `--target`, bench stops the bridge instead, which is
/// certain.
const SECOND_CONTINUE_WAIT: Duration = Duration::from_secs(1);

/// The target, as the configuration describes it.
pub(super) struct RunningTarget {
    target: Target,
    integration: Integration,
    account: Account,
    /// The account's `base_url`, and its address.
    origin: String,
    listen: SocketAddr,
    store: StoreUrl,
    note: Option<String>,
}

impl RunningTarget {
    /// Reads the configuration of the target at `url`.
    ///
    /// # Errors
    /// The configuration is refused, or does not match the target.
    pub(super) fn read(url: &str, file: Option<PathBuf>) -> Result<Self, Failure> {
        let sources = Sources::of_process(file).map_err(Error::from)?;
        let config = Config::load(&sources).map_err(Error::from)?;
        Self::of(url, &config).map_err(|usage| anyhow::Error::from(usage).into())
    }

    fn of(url: &str, config: &Config) -> Result<Self, Usage> {
        let usage = |why: String| Usage(format!("--target: {why}"));
        let url = Url::parse(url)
            .map_err(|_| usage("not a URL: write one like http://127.0.0.1:8080".to_owned()))?;
        let address = loopback_address(&url).map_err(usage)?;
        let path = path(&url, config).map_err(usage)?;
        let audience = config.server.public_url.as_ref().unwrap_or(&url).origin().ascii_serialization();

        let integration = config.integrations.values().next();
        let integration =
            integration.ok_or_else(|| Usage("integrations: at least one is needed".to_owned()))?;
        let (origin, listen, account) = account(config)?;
        let rate = config.delivery.rate_per_account;
        Ok(Self {
            target: Target { address, path, audience },
            integration: Integration {
                client_uuid: integration.client_uuid.clone(),
                client_secret: integration.client_secret.expose_secret().to_owned(),
            },
            account,
            origin,
            listen,
            store: config.store.url.clone(),
            note: Some(format!(
                "the target continues at most {rate} bots of an account per second (delivery.rate_per_account)"
            ))
            .filter(|_| rate < 10_000),
        })
    }

    /// Loads the target.
    pub(super) async fn run(self, args: &Args) -> anyhow::Result<Outcome> {
        let sink = Sink::start_as(Some(self.origin.clone()), self.listen, self.account).await;
        let sink = sink.map_err(|error| {
            anyhow!(
                "cannot listen at the account's address {}: {error}; stop the simulator if it runs there",
                self.origin
            )
        })?;
        let batch = Batch::sign(&self.integration, &[&sink], &self.target, args.requests());
        let owner = store::outside::owner(&self.store).await;
        let before = owner.and_then(Used::of);
        let report = run_load(args, &batch).await?;
        let spent = Spent::between(before, owner.and_then(Used::of), report.continued);
        tokio::time::sleep(SECOND_CONTINUE_WAIT).await;
        let mut outcome = Outcome::new(report.with_continues_of(batch.ledger()), spent, None);
        outcome.notes.extend(self.note);
        if spent.is_none() {
            outcome
                .notes
                .push("the target's CPU and memory are unknown: bench did not find its process".to_owned());
        }
        if sink.strange() > 0 {
            outcome.notes.push(format!(
                "the account's address received {} calls that were not continues of this run",
                sink.strange()
            ));
        }
        Ok(outcome)
    }
}

/// Returns the address of a URL.
///
/// # Errors
/// The URL does not lead to this machine's loopback over plain http.
fn loopback_address(url: &Url) -> Result<SocketAddr, String> {
    let shown = url.origin().ascii_serialization();
    if url.scheme() != "http" || !url.username().is_empty() || url.password().is_some() {
        return Err(format!("{shown} is not plain http, which bench needs: write http://127.0.0.1:8080"));
    }
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
        return Err(format!("{shown} has no host"));
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let found = (host, port).to_socket_addrs().map_err(|_| {
        format!("cannot resolve the host {host}: write an address of this machine, like 127.0.0.1")
    })?;
    let mut addresses: Vec<SocketAddr> = found.collect();
    if addresses.is_empty() || !addresses.iter().all(|address| address.ip().is_loopback()) {
        return Err(format!(
            "{shown} is not on this machine's loopback, and bench sends load to no other machine: write a URL like \
             http://127.0.0.1:8080"
        ));
    }
    addresses.sort();
    Ok(addresses[0])
}

/// The path of a handler: the one in the URL, else that of a handler of kind `echo`, else that of the only handler.
fn path(url: &Url, config: &Config) -> Result<String, String> {
    if url.path() != "/" {
        return Ok(url.path().to_owned());
    }
    let echo = config.handlers.iter().find(|(_, handler)| handler.kind.as_deref() == Some("echo"));
    let only = config.handlers.iter().next().filter(|_| config.handlers.len() == 1);
    match echo.or(only) {
        Some((name, _)) => Ok(format!("/widget_request/{}", name.as_str())),
        None => {
            Err("names no handler: write a URL like http://127.0.0.1:8080/widget_request/NAME".to_owned())
        }
    }
}

/// The first account on this machine. A valid configuration allows its bearer token to go there.
///
/// # Errors
/// No account is on this machine.
fn account(config: &Config) -> Result<(String, SocketAddr, Account), Usage> {
    let mut why = "accounts: none is configured".to_owned();
    for (name, account) in &config.accounts {
        match loopback_address(&account.base_url) {
            Ok(listen) => {
                let access_token = account.access_token.expose_secret().to_owned();
                let origin = account.base_url.origin().ascii_serialization();
                return Ok((
                    origin,
                    listen,
                    Account { id: 31_000_001, subdomain: name.clone(), access_token },
                ));
            }
            Err(elsewhere) => why = format!("accounts.{name}.base_url: {elsewhere}"),
        }
    }
    Err(Usage(format!(
        "{why}; bench needs an account whose base_url is plain http on this machine, like http://127.0.0.1:8090, with \
         delivery.insecure = true and that host in delivery.allowed_hosts"
    )))
}
