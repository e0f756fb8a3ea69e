//! `jobs`: shows, retries, cancels and erases jobs in the store.
//!
//! It opens the store as an observer, so it works beside a running bridge as well as without one. A running bridge notices a
//! change within a few seconds.

use std::collections::{BTreeMap, HashSet};
use std::io::Write;

use clap::{ArgGroup, Subcommand};
use serde_json::{Value, json};

use crate::admin::{AccountNames, BadFilter, DeliveryRates, JobView, JobWithAttempts, RetriedView};
use crate::config::{Config, HandlerConfig};
use crate::handler::completion_json;
use model::clock::Clock;
use model::{CheckedCompletion, Filter, HandlerName, HandlerPolicy, JobId, JobPrefix, JobRecord};
use store::{self, BulkAction, Operator, Resend, RetryOptions, Role, Store, StoreError};

use super::actor::actor;
use super::ask;
use super::examples;
use super::exit::{Usage, notice, print_to};
use super::jobs_text as text;
use super::screen::Screen;

mod bulk;
mod erase;
mod errors;
mod explain;
mod list;

use bulk::ByFilter;
use erase::{Erase, Outcome};
use list::List;

/// The arguments of `jobs`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List jobs, newest first
    #[command(after_help = examples::JOBS_LIST)]
    List(List),
    /// Show one job with its attempts and the reason it waits
    #[command(after_help = examples::JOBS_SHOW)]
    Show {
        /// The job's id, or a prefix of at least 4 digits that no other id has
        id: JobPrefix,
    },
    /// Explain why a job is in its state, what happens next, and what you can do
    #[command(after_help = examples::JOBS_EXPLAIN)]
    Explain {
        /// The job's id, or a prefix of at least 4 digits that no other id has
        id: JobPrefix,
    },
    /// List the errors of jobs in groups, or show one group
    #[command(after_help = examples::JOBS_ERRORS)]
    Errors {
        /// The number of the group to show
        group: Option<i64>,
    },
    /// Retry dead and gone jobs, and send waiting ones now
    #[command(after_help = examples::JOBS_RETRY,
              group(ArgGroup::new("jobs").args(["ids", "dead", "error_group", "filter"]).required(true)))]
    Retry {
        /// Ids of jobs, or prefixes of at least 4 digits that no other id has
        ids: Vec<JobPrefix>,
        /// Retry all dead jobs
        #[arg(long, conflicts_with_all = ["dry_run", "yes"])]
        dead: bool,
        /// With --dead: retry only this handler's jobs
        #[arg(long, value_name = "NAME", requires = "dead", conflicts_with = "ids")]
        handler: Option<HandlerName>,
        /// Retry the dead jobs of this group of errors; `jobs errors` lists the groups
        #[arg(long, value_name = "GROUP")]
        error_group: Option<i64>,
        /// The answer to send [default: the last one that was sent]
        #[arg(long, value_enum, conflicts_with_all = ["dead", "error_group", "filter"])]
        send: Option<Send>,
        /// Retry even if a newer job has the same return_url: the bot may mistake this answer for the newer job's
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        by_filter: ByFilter,
    },
    /// Complete a job in place of its handler
    #[command(after_help = examples::JOBS_COMPLETE)]
    Complete {
        /// The job's id, or a prefix of at least 4 digits that no other id has
        id: JobPrefix,
        /// The answer as JSON: the data, or an object with `data` and `execute_handlers`
        #[arg(long, value_name = "JSON", value_parser = answer)]
        data: CheckedCompletion,
    },
    /// Cancel unfinished jobs; their bots are not continued
    #[command(after_help = examples::JOBS_CANCEL, group(ArgGroup::new("jobs").args(["ids", "filter"]).required(true)))]
    Cancel {
        /// Ids of jobs, or prefixes of at least 4 digits that no other id has
        ids: Vec<JobPrefix>,
        #[command(flatten)]
        by_filter: ByFilter,
    },
    /// Stop a bulk change or an erasure; what it has changed stays changed
    #[command(after_help = examples::JOBS_STOP)]
    Stop {
        /// Its number, as `actions list` shows it
        number: u64,
    },
    /// Erase the texts of a lead, a contact, a customer or an account
    #[command(after_help = examples::JOBS_ERASE)]
    Erase(Erase),
}

/// Which completion a retry sends.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Send {
    /// The handler's own answer
    Handler,
    /// handlers.NAME.fallback as it is configured now
    Fallback,
}

fn answer(text: &str) -> Result<CheckedCompletion, String> {
    let value = serde_json::from_str(text).map_err(|error| format!("not valid JSON: {error}"))?;
    completion_json::checked(&value)
}

/// Runs the command. Prints the result to stdout, as one JSON object if `json` is set.
///
/// # Errors
/// The store cannot be opened, read or written; or some jobs cannot be retried or cancelled (the others are).
pub async fn run(args: Args, config: &Config, handlers: HashSet<String>, json: bool) -> anyhow::Result<()> {
    let clock = Clock::system();
    let store = Store::open(&config.store.url, Role::Observer, clock.clone()).await?;
    let mut session = Session {
        store: &store,
        configured: &config.handlers,
        bridge: Some(config),
        handlers,
        is_served: store::outside::is_served(&config.store.url).await,
        account_names: AccountNames::new(
            config.accounts.iter().map(|(name, account)| (name, &account.base_url)),
        ),
        clock,
        json,
        screen: Screen::stdout(),
        notice,
        ask: ask::can_ask(json).then_some(ask::ask as fn(&str) -> bool),
        operator: store.operator(actor()),
        rates: DeliveryRates {
            per_account: config.delivery.rate_per_account,
            total: config.delivery.rate_total,
        },
        out: anstream::stdout(),
    };
    let done = session.run(args.command).await;
    store.close().await;
    done
}

struct Session<'a, W> {
    store: &'a Store,
    /// The handlers of the configuration.
    configured: &'a BTreeMap<HandlerName, HandlerConfig>,
    /// How to ask the running bridge; `None` to ask only the store.
    bridge: Option<&'a Config>,
    /// The names of this program's handlers.
    handlers: HashSet<String>,
    /// Whether a bridge serves the store; `None` if unknown.
    is_served: Option<bool>,
    /// The accounts that a filter may name.
    account_names: AccountNames,
    clock: Clock,
    json: bool,
    screen: Screen,
    /// Writes a note to stderr that is not part of the result.
    notice: fn(&str),
    /// Asks the operator; `None` if no one can be asked.
    ask: Option<fn(&str) -> bool>,
    /// Who runs the command.
    operator: Operator<'a>,
    /// The pace of deliveries.
    rates: DeliveryRates,
    out: W,
}

/// The change to make to each of several jobs.
#[derive(Clone, Copy)]
enum Change {
    Retry { send: Option<Send>, force: bool },
    Cancel,
}

impl<W: Write> Session<'_, W> {
    async fn run(&mut self, command: Command) -> anyhow::Result<()> {
        match command {
            Command::List(list) => self.list(list).await,
            Command::Show { id } => self.show(id).await,
            Command::Explain { id } => self.explain(id).await,
            Command::Errors { group } => self.errors(group).await,
            Command::Retry { error_group: Some(group), force, .. } => self.retry_group(group, force).await,
            Command::Retry { dead: true, handler, force, .. } => self.retry_dead(handler, force).await,
            Command::Retry { force, by_filter: ByFilter { filter: Some(filter), options }, .. } => {
                self.change_by_filter(BulkAction::Retry, &filter, force, &options).await
            }
            Command::Cancel { by_filter: ByFilter { filter: Some(filter), options }, .. } => {
                self.change_by_filter(BulkAction::Cancel, &filter, false, &options).await
            }
            Command::Stop { number } => self.stop(number).await,
            Command::Retry { ids, send, force, .. } => {
                self.change_each(&ids, Change::Retry { send, force }).await
            }
            Command::Complete { id, data } => self.complete(id, data).await,
            Command::Cancel { ids, .. } => self.change_each(&ids, Change::Cancel).await,
            Command::Erase(erase) => self.erase(&erase).await,
        }
    }

    async fn show(&mut self, id: JobPrefix) -> anyhow::Result<()> {
        let id = self.store.jobs().find(id).await?;
        let (job, attempts) = self.store.jobs().get(id).await?.ok_or(StoreError::NoJob(id))?;
        let waits_for = self.waits_for(&job, &attempts).await?;
        let notes = self.store.callbacks().notes(id).await?;
        let history = (attempts.as_slice(), notes.as_slice());
        let text = text::job(&job, history, waits_for.as_ref(), self.clock.now(), self.screen);
        self.print(json!(JobWithAttempts::new(&job, &attempts, &notes, waits_for)), || text)
    }

    async fn complete(&mut self, id: JobPrefix, completion: CheckedCompletion) -> anyhow::Result<()> {
        let id = self.store.jobs().find(id).await?;
        self.operator.complete(id, completion).await?;
        let job = self.job(id).await?;
        self.print(json!(JobView::new(&job)), || text::changed(std::slice::from_ref(&job)))
    }

    async fn retry_dead(&mut self, handler: Option<HandlerName>, force: bool) -> anyhow::Result<()> {
        let done = self.operator.retry_dead(handler, force).await?;
        let json = json!(RetriedView::from(done));
        self.print(json, || text::retried(done))
    }

    /// Parses a filter.
    async fn parse(&self, text: &str) -> anyhow::Result<Filter> {
        let parsed = self.account_names.parse(text, self.store, self.clock.now()).await;
        parsed.map_err(|error| match error {
            BadFilter::Text(error) => anyhow::Error::from(Usage(format!("invalid filter `{text}`: {error}"))),
            BadFilter::Store(error) => error.into(),
        })
    }

    async fn erase(&mut self, erase: &Erase) -> anyhow::Result<()> {
        let Outcome { json, text, failure } = erase.run(&self.operator, self.ask).await?;
        self.print(json, || text)?;
        failure.map_or(Ok(()), |failure| Err(anyhow::anyhow!(failure)))
    }

    async fn change_each(&mut self, ids: &[JobPrefix], change: Change) -> anyhow::Result<()> {
        let (mut changed, mut failed) = (Vec::new(), Vec::new());
        for &id in ids {
            match self.change(id, change).await {
                Ok(job) => changed.push(job),
                Err(error) => failed.push((id, error)),
            }
        }
        let views: Vec<_> = changed.iter().map(JobView::new).collect();
        let failures: Vec<Value> = failed
            .iter()
            .map(|(id, error)| json!({ "id": id.to_string(), "error": error.to_string() }))
            .collect();
        self.print(json!({ "jobs": views, "failed": failures }), || text::changed(&changed))?;
        if failed.is_empty() {
            return Ok(());
        }
        let verb = match change {
            Change::Retry { .. } => "retried",
            Change::Cancel => "cancelled",
        };
        let reasons: Vec<String> = failed.iter().map(|(_, error)| format!("\n  {error}")).collect();
        anyhow::bail!("{} of {} jobs could not be {verb}:{}", failed.len(), ids.len(), reasons.concat())
    }

    async fn change(&self, id: JobPrefix, change: Change) -> Result<JobRecord, StoreError> {
        let id = self.store.jobs().find(id).await?;
        match change {
            Change::Retry { send, force } => {
                let send = match send {
                    None => Resend::Last,
                    Some(Send::Handler) => Resend::Handler,
                    Some(Send::Fallback) => Resend::Fallback(self.fallback(id).await?),
                };
                self.operator.retry_with(id, RetryOptions { send, force }).await?;
            }
            Change::Cancel => self.operator.cancel(id).await?,
        }
        self.job(id).await
    }

    async fn job(&self, id: JobId) -> Result<JobRecord, StoreError> {
        let (job, _attempts) = self.store.jobs().get(id).await?.ok_or(StoreError::NoJob(id))?;
        Ok(job)
    }

    /// The configured fallback of the job's handler.
    async fn fallback(&self, id: JobId) -> Result<CheckedCompletion, StoreError> {
        let handler = self.configured.get(&self.job(id).await?.summary().handler);
        Ok(handler.map_or_else(|| HandlerPolicy::default().fallback, |known| known.policy.fallback.clone()))
    }

    fn print(&mut self, json: Value, text: impl FnOnce() -> String) -> anyhow::Result<()> {
        let text = if self.json { format!("{json}\n") } else { text() };
        print_to(&mut self.out, &text)
    }
}

#[cfg(test)]
mod tests;
