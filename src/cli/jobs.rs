//! `jobs`: looks at jobs and moves them, through the store.
//!
//! It opens the store as a visitor, so it works beside a bridge that runs as well as without one; a
//! running bridge sees within a few seconds what was moved.

use std::collections::HashSet;
use std::io::Write;

use clap::Subcommand;
use serde_json::{Value, json};

use crate::admin::{DEFAULT_LIMIT, JobView, JobWithAttempts, MAX_LIMIT, PageView};
use crate::clock::Clock;
use crate::config::Config;
use crate::model::{
    AccountId, HandlerName, JobId, JobRecord, StateName, Surroundings, Timestamp, WaitsFor, waits_for,
};
use crate::store::{self, JobFilter, Purpose, Store, StoreError};

use super::exit::print_to;
use super::jobs_text as text;

/// Looks at jobs and moves them.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Lists jobs, newest first
    List(List),
    /// Shows one job and its attempts
    Show {
        /// The job's id
        id: JobId,
    },
    /// Delivers dead jobs again
    Retry {
        /// The jobs' ids
        #[arg(required_unless_present = "dead", conflicts_with = "dead")]
        ids: Vec<JobId>,
        /// All dead jobs
        #[arg(long)]
        dead: bool,
        /// With --dead: only this handler's
        #[arg(long, value_name = "NAME", requires = "dead", conflicts_with = "ids")]
        handler: Option<HandlerName>,
    },
    /// Cancels unfinished jobs; their bots get no continue
    Cancel {
        /// The jobs' ids
        #[arg(required = true)]
        ids: Vec<JobId>,
    },
}

#[derive(Debug, clap::Args)]
struct List {
    /// Only this state: queued, running, delivering, delivered, gone, dead or cancelled
    #[arg(long)]
    state: Option<StateName>,
    /// Only this handler's
    #[arg(long, value_name = "NAME")]
    handler: Option<HandlerName>,
    /// Only this Kommo account's
    #[arg(long, value_name = "NUMBER")]
    account_id: Option<i64>,
    /// Only those whose id, return_url, data or last error contains this text
    #[arg(long, value_name = "TEXT")]
    q: Option<String>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = DEFAULT_LIMIT,
          value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_LIMIT)))]
    limit: u32,
    /// Goes on where an earlier list ended
    #[arg(long, value_name = "ID")]
    cursor: Option<JobId>,
}

/// Carries the command out. Results go to stdout, with `json` as one JSON object.
///
/// # Errors
/// The store cannot be opened, read or written; or some of the jobs could not be moved, and then the
/// others were.
pub async fn run(args: Args, config: &Config, handlers: HashSet<String>, json: bool) -> anyhow::Result<()> {
    let clock = Clock::system();
    let store = Store::open(&config.store.url, Purpose::Visit, clock.clone()).await?;
    let is_served = store::is_served(&config.store.url);
    let out = anstream::stdout();
    let mut visit = Visit { store: &store, now: clock.now(), handlers, is_served, json, out };
    let done = visit.carry_out(args.command).await;
    store.close().await;
    done
}

struct Visit<'a, W> {
    store: &'a Store,
    now: Timestamp,
    /// The names of this program's handlers.
    handlers: HashSet<String>,
    /// Whether a bridge works on the store; `None` if that cannot be found out.
    is_served: Option<bool>,
    json: bool,
    out: W,
}

/// What is done to each of several jobs.
#[derive(Clone, Copy)]
enum Move {
    Retry,
    Cancel,
}

impl<W: Write> Visit<'_, W> {
    async fn carry_out(&mut self, command: Command) -> anyhow::Result<()> {
        match command {
            Command::List(list) => self.list(list).await,
            Command::Show { id } => self.show(id).await,
            Command::Retry { dead: true, handler, .. } => self.retry_dead(handler).await,
            Command::Retry { ids, .. } => self.each(&ids, Move::Retry).await,
            Command::Cancel { ids } => self.each(&ids, Move::Cancel).await,
        }
    }

    async fn list(&mut self, list: List) -> anyhow::Result<()> {
        let filter = JobFilter {
            state: list.state,
            handler: list.handler,
            account_id: list.account_id.map(AccountId),
            text: list.q,
            before: list.cursor,
            limit: list.limit,
        };
        let page = self.store.jobs(&filter).await?;
        let text = text::page(&page, self.now);
        self.print(json!(PageView::from(page)), || text)
    }

    async fn show(&mut self, id: JobId) -> anyhow::Result<()> {
        let (job, attempts) = self.store.job(id).await?.ok_or(StoreError::NoJob(id))?;
        let waits_for = self.waits_for(&job).await?;
        let text = text::job(&job, &attempts, waits_for.as_ref(), self.now);
        self.print(json!(JobWithAttempts::new(&job, &attempts, waits_for)), || text)
    }

    async fn waits_for(&self, job: &JobRecord) -> Result<Option<WaitsFor>, StoreError> {
        let JobRecord::Whole(job) = job else { return Ok(None) };
        let waits = self.store.waits_at(job.request.return_url.origin()).await?;
        let around = Surroundings {
            now: self.now,
            is_served: self.is_served,
            has_handler: self.handlers.contains(job.handler.as_str()),
            account: waits.account.as_ref(),
            all_accounts: waits.all_accounts.as_ref(),
        };
        Ok(waits_for(job, &around))
    }

    async fn retry_dead(&mut self, handler: Option<HandlerName>) -> anyhow::Result<()> {
        let retried = self.store.retry_dead(handler).await?;
        self.print(json!({ "retried": retried }), || text::retried(retried))
    }

    async fn each(&mut self, ids: &[JobId], what: Move) -> anyhow::Result<()> {
        let (mut moved, mut failed) = (Vec::new(), Vec::new());
        for &id in ids {
            match self.one(id, what).await {
                Ok(job) => moved.push(job),
                Err(error) => failed.push((id, error)),
            }
        }
        let views: Vec<_> = moved.iter().map(JobView::new).collect();
        let failures: Vec<Value> =
            failed.iter().map(|(id, error)| json!({ "id": id, "error": error.to_string() })).collect();
        self.print(json!({ "jobs": views, "failed": failures }), || text::moved(&moved))?;
        if failed.is_empty() {
            return Ok(());
        }
        let verb = match what {
            Move::Retry => "retried",
            Move::Cancel => "cancelled",
        };
        let reasons: Vec<String> = failed.iter().map(|(_, error)| format!("\n  {error}")).collect();
        anyhow::bail!("{} of {} jobs could not be {verb}:{}", failed.len(), ids.len(), reasons.concat())
    }

    async fn one(&self, id: JobId, what: Move) -> Result<JobRecord, StoreError> {
        match what {
            Move::Retry => self.store.retry(id).await?,
            Move::Cancel => self.store.cancel(id).await?,
        }
        let (job, _attempts) = self.store.job(id).await?.ok_or(StoreError::NoJob(id))?;
        Ok(job)
    }

    fn print(&mut self, json: Value, text: impl FnOnce() -> String) -> anyhow::Result<()> {
        let text = if self.json { format!("{json}\n") } else { text() };
        print_to(&mut self.out, &text)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use crate::admin::fixture::Jobs;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    fn parse(arguments: &[&str]) -> Result<Command, clap::Error> {
        Cli::try_parse_from([&["jobs"], arguments].concat()).map(|cli| cli.args.command)
    }

    /// Beside the owner of the store, as in real life.
    async fn run(jobs: &Jobs, json: bool, arguments: &[&str]) -> (String, Option<String>) {
        let store = Store::open(&jobs.url, Purpose::Visit, jobs.clock.clock()).await.unwrap();
        let handlers = HashSet::from(["echo".to_owned()]);
        let is_served = store::is_served(&jobs.url);
        let now = jobs.clock.now();
        let mut visit = Visit { store: &store, now, handlers, is_served, json, out: Vec::new() };
        let done = visit.carry_out(parse(arguments).unwrap()).await;
        let text = String::from_utf8(visit.out).unwrap();
        store.close().await;
        (text, done.err().map(|error| error.to_string()))
    }

    async fn run_json(jobs: &Jobs, arguments: &[&str]) -> Value {
        let (text, error) = run(jobs, true, arguments).await;
        assert_eq!(error, None);
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn wrong_usage_is_refused_before_the_store_is_opened() {
        let id = "018bcfe5-687b-7000-8000-000000000001";
        for good in [
            vec!["list"],
            vec!["retry", id, id],
            vec!["retry", "--dead"],
            vec!["retry", "--dead", "--handler", "echo"],
            vec!["cancel", id],
        ] {
            assert!(parse(&good).is_ok(), "{good:?}");
        }
        for bad in [
            vec!["retry"],
            vec!["retry", id, "--dead"],
            vec!["retry", id, "--handler", "echo"],
            vec!["cancel"],
            vec!["show", "nonsense"],
            vec!["list", "--limit", "501"],
            vec!["list", "--state", "lost"],
        ] {
            assert_eq!(parse(&bad).unwrap_err().exit_code(), 2, "{bad:?}");
        }
    }

    #[tokio::test]
    async fn list_and_show_tell_it_to_people_and_to_programs() {
        let jobs = Jobs::new().await;
        let dead = jobs.make("echo", StateName::Dead).await.to_string();
        let queued = jobs.make("echo", StateName::Queued).await.to_string();
        let page = run_json(&jobs, &["list", "--limit", "1"]).await;
        assert_eq!((&page["jobs"][0]["id"], &page["next_cursor"]), (&json!(queued), &json!(queued)));
        let page = run_json(&jobs, &["list", "--state", "dead", "--handler", "echo", "--q", "hello"]).await;
        assert_eq!((&page["jobs"][0]["id"], &page["next_cursor"]), (&json!(dead), &Value::Null));
        assert_eq!(run_json(&jobs, &["show", &dead]).await["attempts"][1]["status"], 400);

        let (text, _) = run(&jobs, false, &["list", "--limit", "1"]).await;
        assert!(text.contains(&queued) && text.contains(&format!("--cursor {queued}")), "{text}");
        let (text, _) = run(&jobs, false, &["show", &dead]).await;
        for word in [dead.as_str(), "dead", "https://a1.kommo.com", "lead 7", "TooLong", "400", "delivery"] {
            assert!(text.contains(word), "{word} in\n{text}");
        }
        assert!(!text.contains('\u{1b}'), "what came from outside cannot steer the terminal");

        let missing = "018bcfe5-687b-7000-8000-000000000001";
        let (_, error) = run(&jobs, false, &["show", missing]).await;
        assert_eq!(error, Some(format!("there is no job {missing}")));
    }

    #[tokio::test]
    async fn a_job_without_its_bodies_says_so() {
        let jobs = Jobs::new().await;
        let id = jobs.make("echo", StateName::Delivered).await.to_string();
        let list = run_json(&jobs, &["list"]).await;
        assert_eq!((list["jobs"][0].get("data"), list["jobs"][0].get("completion")), (None, None));
        jobs.store.set_budget(crate::model::Budget { stored: 1, ..Default::default() });
        jobs.store.trim().await;
        let (text, _) = run(&jobs, false, &["show", &id]).await;
        assert!(text.contains("were dropped to make room") && text.contains("handler 1"), "{text}");
        assert!(!text.contains("hello"), "{text}");
        let job = run_json(&jobs, &["show", &id]).await;
        assert_eq!((&job["bodies_dropped"], &job["data"]), (&json!(true), &Value::Null));
    }

    #[tokio::test]
    async fn what_can_be_moved_is_moved_and_the_rest_is_named() {
        let jobs = Jobs::new().await;
        let dead = jobs.make("echo", StateName::Dead).await.to_string();
        let gone = jobs.make("echo", StateName::Gone).await.to_string();
        let (text, error) = run(&jobs, false, &["retry", &gone, &dead]).await;
        assert_eq!(text, format!("{dead} is delivering now\n"));
        let error = error.unwrap();
        assert!(error.starts_with("1 of 2 jobs could not be retried:\n"), "{error}");
        assert!(error.contains(&format!("job {gone} is gone: only a dead job can be retried")), "{error}");

        let (text, error) = run(&jobs, true, &["cancel", &dead, &gone]).await;
        let answer: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (&answer["jobs"][0]["id"], &answer["jobs"][0]["state"]),
            (&json!(dead), &json!("cancelled"))
        );
        assert_eq!(answer["failed"][0]["id"], json!(gone));
        assert!(error.unwrap().contains("1 of 2 jobs could not be cancelled"));
    }

    #[tokio::test]
    async fn dead_jobs_are_retried_together() {
        let jobs = Jobs::new().await;
        jobs.make("echo", StateName::Dead).await;
        jobs.make("greet", StateName::Dead).await;
        assert_eq!(
            run_json(&jobs, &["retry", "--dead", "--handler", "greet"]).await,
            json!({ "retried": 1 })
        );
        let (text, error) = run(&jobs, false, &["retry", "--dead"]).await;
        assert_eq!((text.as_str(), error), ("1 dead job is delivered again\n", None));
        assert_eq!(run_json(&jobs, &["retry", "--dead"]).await, json!({ "retried": 0 }));
    }
}
