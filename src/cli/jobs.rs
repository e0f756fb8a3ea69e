//! `jobs`: shows, retries and cancels jobs in the store.
//!
//! It opens the store as an observer, so it works beside a running bridge as well as without one. A running bridge notices a
//! change within a few seconds.

use std::collections::{BTreeMap, HashSet};
use std::io::Write;
use std::time::Duration;

use clap::{ArgGroup, Subcommand};
use serde_json::{Value, json};

use crate::admin::{DEFAULT_LIMIT, JobView, JobWithAttempts, MAX_LIMIT, PageView};
use crate::config::{Config, HandlerConfig};
use crate::handler::completion_json;
use model::clock::Clock;
use model::{
    AccountId, CheckedCompletion, HandlerName, HandlerPolicy, JobId, JobPrefix, JobRecord, JobSummary,
    OutcomeName, StateName, WaitContext, WaitsFor, waits_for,
};
use store::{self, JobFilter, Page, Resend, RetryOptions, Role, Store, StoreError};

use super::examples;
use super::exit::{notice, print_to};
use super::jobs_text as text;
use super::screen::Screen;

/// The longest time that `list` searches for matching jobs. Then it prints where to continue.
const SEARCH_TIME: Duration = Duration::from_secs(5);
/// The fewest digits of an id that a terminal shows. They contain the whole time of receipt, so only jobs received in the
/// same millisecond need more.
const SHORT_ID_DIGITS: usize = 12;

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
    /// Retry dead and gone jobs, and send waiting ones now
    #[command(after_help = examples::JOBS_RETRY, group(ArgGroup::new("jobs").args(["ids", "dead"]).required(true)))]
    Retry {
        /// Ids of jobs, or prefixes of at least 4 digits that no other id has
        ids: Vec<JobPrefix>,
        /// Retry all dead jobs
        #[arg(long)]
        dead: bool,
        /// With --dead: retry only this handler's jobs
        #[arg(long, value_name = "NAME", requires = "dead", conflicts_with = "ids")]
        handler: Option<HandlerName>,
        /// The answer to send [default: the last one that was sent]
        #[arg(long, value_enum, conflicts_with = "dead")]
        send: Option<Send>,
        /// Retry even if a newer job has the same return_url: the bot may mistake this answer for the newer job's
        #[arg(long)]
        force: bool,
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
    #[command(after_help = examples::JOBS_CANCEL)]
    Cancel {
        /// Ids of jobs, or prefixes of at least 4 digits that no other id has
        #[arg(required = true)]
        ids: Vec<JobPrefix>,
    },
}

/// Which completion a retry sends.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Send {
    /// The handler's own answer
    Handler,
    /// handlers.NAME.fallback as it is configured now
    Fallback,
}

#[derive(Debug, clap::Args)]
struct List {
    /// List only jobs in this state: queued, running, awaiting_callback, delivering, delivered, gone, dead or
    /// cancelled
    #[arg(long)]
    state: Option<StateName>,
    /// List only jobs of this handler
    #[arg(long, value_name = "NAME")]
    handler: Option<HandlerName>,
    /// List only jobs of the Kommo account with this number
    #[arg(long, value_name = "NUMBER")]
    account_id: Option<i64>,
    /// List only jobs whose bot gets the handler's answer (`handler`) or the fallback (`fallback`)
    #[arg(long)]
    outcome: Option<OutcomeName>,
    /// List only jobs whose lead, contact, customer or account has this number, whose id begins with this text, or
    /// whose return_url, data or last error contains it
    #[arg(long, value_name = "TEXT")]
    q: Option<String>,
    /// The maximum number of jobs to list, 1 to 500
    #[arg(long, value_name = "N", default_value_t = DEFAULT_LIMIT,
          value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_LIMIT)))]
    limit: u32,
    /// Continue after the job with this id: the `next_cursor` of the previous list
    #[arg(long, value_name = "ID", value_parser = cursor)]
    cursor: Option<JobId>,
}

fn cursor(text: &str) -> Result<JobId, String> {
    text.parse().map_err(|_| "expected a whole job id of 32 hex digits".to_owned())
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
        handlers,
        is_served: store::file::is_served(&config.store.url),
        clock,
        json,
        screen: Screen::stdout(),
        notice,
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
    /// The names of this program's handlers.
    handlers: HashSet<String>,
    /// Whether a bridge serves the store; `None` if unknown.
    is_served: Option<bool>,
    clock: Clock,
    json: bool,
    screen: Screen,
    /// Writes a note to stderr that is not part of the result.
    notice: fn(&str),
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
            Command::Retry { dead: true, handler, force, .. } => self.retry_dead(handler, force).await,
            Command::Retry { ids, send, force, .. } => {
                self.change_each(&ids, Change::Retry { send, force }).await
            }
            Command::Complete { id, data } => self.complete(id, data).await,
            Command::Cancel { ids } => self.change_each(&ids, Change::Cancel).await,
        }
    }

    async fn list(&mut self, list: List) -> anyhow::Result<()> {
        let is_search = list.q.is_some() && !self.json;
        let filter = JobFilter {
            state: list.state,
            handler: list.handler,
            account_id: list.account_id.map(AccountId),
            outcome: list.outcome,
            text: list.q,
            before: list.cursor,
            limit: list.limit,
        };
        let page = self.search(filter).await?;
        let hint = (is_search && page.jobs.is_empty() && page.next.is_none()).then_some(text::NO_JOB_FOUND);
        let more =
            page.next.filter(|_| page.stopped || !self.json).map(|next| text::more(next, page.stopped));
        let text = if self.json { String::new() } else { self.lines(&page.jobs).await? };
        self.print(json!(PageView::from(page)), || text)?;
        if let Some(more) = more {
            (self.notice)(&more);
        }
        if let Some(hint) = hint {
            (self.notice)(hint);
        }
        Ok(())
    }

    /// Reads one page. The store may have to search several times for it.
    async fn search(&self, mut filter: JobFilter) -> Result<Page, StoreError> {
        let began = self.clock.elapsed();
        let mut page = self.store.jobs().list(&filter).await?;
        while page.stopped && self.clock.elapsed().saturating_sub(began) < SEARCH_TIME {
            filter.before = page.next;
            filter.limit -= u32::try_from(page.jobs.len()).unwrap_or(filter.limit);
            let mut found = std::mem::take(&mut page.jobs);
            page = self.store.jobs().list(&filter).await?;
            found.append(&mut page.jobs);
            page.jobs = found;
        }
        Ok(page)
    }

    /// Lists jobs as text. A terminal gets short ids, which all commands accept; a file gets whole ids.
    async fn lines(&self, jobs: &[JobSummary]) -> Result<String, StoreError> {
        let ids: Vec<JobId> = jobs.iter().map(|job| job.id).collect();
        let digits = match self.screen.width {
            Some(_) => self.store.jobs().unique_digits(&ids).await?,
            None => vec![usize::MAX; ids.len()],
        };
        let name =
            |(job, digits): (&JobSummary, usize)| (job.id.short(digits.max(SHORT_ID_DIGITS)), job.clone());
        let named: Vec<_> = jobs.iter().zip(digits).map(name).collect();
        Ok(text::list(&named, self.clock.now(), self.screen))
    }

    async fn show(&mut self, id: JobPrefix) -> anyhow::Result<()> {
        let id = self.store.jobs().find(id).await?;
        let (job, attempts) = self.store.jobs().get(id).await?.ok_or(StoreError::NoJob(id))?;
        let waits_for = self.waits_for(&job).await?;
        let notes = self.store.callbacks().notes(id).await?;
        let history = (attempts.as_slice(), notes.as_slice());
        let text = text::job(&job, history, waits_for.as_ref(), self.clock.now(), self.screen);
        self.print(json!(JobWithAttempts::new(&job, &attempts, &notes, waits_for)), || text)
    }

    async fn waits_for(&self, job: &JobRecord) -> Result<Option<WaitsFor>, StoreError> {
        let JobRecord::Whole(job) = job else { return Ok(None) };
        let waits = self.store.accounts().waits_at(job.request.return_url.origin()).await?;
        let context = WaitContext {
            now: self.clock.now(),
            is_served: self.is_served,
            has_handler: self.handlers.contains(job.handler.as_str()),
            account: waits.account.as_ref(),
            all_accounts: waits.all_accounts.as_ref(),
        };
        Ok(waits_for(job, &context))
    }

    async fn complete(&mut self, id: JobPrefix, completion: CheckedCompletion) -> anyhow::Result<()> {
        let id = self.store.jobs().find(id).await?;
        self.store.callbacks().complete_by_operator(id, completion).await?;
        let job = self.job(id).await?;
        self.print(json!(JobView::new(&job)), || text::changed(std::slice::from_ref(&job)))
    }

    async fn retry_dead(&mut self, handler: Option<HandlerName>, force: bool) -> anyhow::Result<()> {
        let done = self.store.jobs().retry_dead(handler, force).await?;
        let json = json!({ "retried": done.retried, "superseded": done.superseded });
        self.print(json, || text::retried(done))
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
                self.store.jobs().retry_with(id, RetryOptions { send, force }).await?;
            }
            Change::Cancel => self.store.jobs().cancel(id).await?,
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
