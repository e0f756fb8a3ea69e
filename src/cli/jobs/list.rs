//! `jobs list`: lists the jobs that match a filter.

use std::io::Write;
use std::time::Duration;

use serde_json::json;

use crate::admin::{DEFAULT_LIMIT, PageView, parse_limit, searches, stopped_because};
use model::filter::{Condition, FilteredAccount};
use model::{AccountId, Filter, HandlerName, JobId, JobSummary, OutcomeName, StateName};
use store::{JobFilter, Page, Stopped, StoreError};

use super::super::jobs_text as text;
use super::Session;

/// The longest time that the command searches for matching jobs. Then it prints where to continue.
const SEARCH_TIME: Duration = Duration::from_secs(5);

#[derive(Debug, clap::Args)]
pub(super) struct List {
    /// List only jobs that match this filter, like `state:dead handler:greet since:2h`; or what you have: the address
    /// of a lead in Kommo, a return_url, an id, a trace id, or a text
    #[arg(value_name = "FILTER", allow_hyphen_values = true, value_parser = filter)]
    filter: Option<String>,
    /// Further words of the filter
    // Words that begin with a hyphen have to be in the first argument: otherwise clap would take options for words.
    #[arg(value_name = "FILTER", hide = true)]
    more: Vec<String>,
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
    /// The same as FILTER
    #[arg(long, value_name = "FILTER", allow_hyphen_values = true)]
    q: Option<String>,
    /// The maximum number of jobs to list, 1 to 500
    #[arg(long, value_name = "N", default_value_t = DEFAULT_LIMIT, value_parser = parse_limit)]
    limit: u32,
    /// Continue after the job with this id: the `next_cursor` of the previous list
    #[arg(long, value_name = "ID", value_parser = cursor)]
    cursor: Option<JobId>,
}

fn filter(text: &str) -> Result<String, String> {
    if text.starts_with("--") {
        return Err(
            "unknown option; to search for this text, write it in double quotes inside the filter".to_owned()
        );
    }
    Ok(text.to_owned())
}

fn cursor(text: &str) -> Result<JobId, String> {
    text.parse().map_err(|_| "expected a whole job id of 32 hex digits".to_owned())
}

impl List {
    /// The options as conditions.
    fn options(&self) -> Filter {
        let account = |number| Condition::Account(FilteredAccount::Number(AccountId(number)));
        let state = self.state.map(Condition::State).into_iter();
        let handler = self.handler.clone().map(Condition::Handler);
        let conditions = state
            .chain(handler)
            .chain(self.account_id.map(account))
            .chain(self.outcome.map(Condition::Outcome));
        conditions.fold(Filter::default(), Filter::and)
    }
}

impl<W: Write> Session<'_, W> {
    pub(super) async fn list(&mut self, list: List) -> anyhow::Result<()> {
        let mut filter = list.options();
        let words: Vec<&str> = list.filter.iter().chain(&list.more).map(String::as_str).collect();
        for text in [words.join(" ")].iter().chain(&list.q) {
            filter = filter.and_all(self.parse(text).await?);
        }
        let is_search = searches(&filter) && !self.json;
        let page = self.search(JobFilter { filter, before: list.cursor, limit: list.limit }).await?;
        let hint = (is_search && page.jobs.is_empty() && page.next.is_none()).then_some(text::NO_JOB_FOUND);
        let because = page.stopped.map(stopped_because);
        let shown = page.next.filter(|_| page.stopped.is_some() || !self.json);
        let more = shown.map(|next| text::more(next, because.as_deref()));
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
    async fn search(&self, mut list: JobFilter) -> Result<Page, StoreError> {
        let began = self.clock.elapsed();
        let mut page = self.store.jobs().list(&list).await?;
        while page.stopped == Some(Stopped::Time) && self.clock.elapsed().saturating_sub(began) < SEARCH_TIME
        {
            list.before = page.next;
            list.limit -= u32::try_from(page.jobs.len()).unwrap_or(list.limit);
            let mut found = std::mem::take(&mut page.jobs);
            page = self.store.jobs().list(&list).await?;
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
        let name = |(job, digits): (&JobSummary, usize)| {
            (job.id.short(digits.max(JobId::SHORT_DIGITS)), job.clone())
        };
        let named: Vec<_> = jobs.iter().zip(digits).map(name).collect();
        Ok(text::list(&named, self.clock.now(), self.screen))
    }
}
