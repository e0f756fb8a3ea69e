//! `jobs retry --filter` and `jobs cancel --filter`: changes the jobs that match a filter, after a dry run.
//!
//! The command does the work itself, so it works beside a running bridge as well as without one. If it ends early, the
//! bridge continues.

use std::io::Write;
use std::time::Duration;

use serde_json::json;

use crate::admin::{BulkPlanView, BulkView, DeliveryRates};
use store::{ActionResult, Bulk, BulkAction, BulkOrder, BulkPlan, StoreError};

use super::super::exit::Usage;
use super::super::jobs_text::counted;
use super::Session;
use super::erase::finish;

/// How long the command counts. It can take more time than the API: no one else waits for it.
const COUNT_TIMEOUT: Duration = Duration::from_secs(120);
/// The maximum number of accounts that the dry run lists.
const MAX_ACCOUNTS: usize = 10;

/// The options of a change by filter.
#[derive(Debug, clap::Args)]
pub(super) struct ByFilter {
    /// Change the jobs that match this filter, after showing how many they are; see `jobs list`
    #[arg(long, value_name = "FILTER", allow_hyphen_values = true)]
    pub(super) filter: Option<String>,
    #[command(flatten)]
    pub(super) options: BulkOptions,
}

#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct BulkOptions {
    /// With --filter: show what would be changed, and change nothing
    #[arg(long, requires = "filter", conflicts_with = "ids")]
    dry_run: bool,
    /// With --filter: change the jobs without asking
    #[arg(long, requires = "filter", conflicts_with_all = ["dry_run", "ids"])]
    yes: bool,
}

impl<W: Write> Session<'_, W> {
    /// Changes the jobs that match a filter.
    pub(super) async fn change_by_filter(
        &mut self,
        action: BulkAction,
        filter: &str,
        force: bool,
        options: &BulkOptions,
    ) -> anyhow::Result<()> {
        if filter.trim().is_empty() {
            let why = "--filter is empty; to change all jobs, name their states, like `state:dead`";
            return Err(Usage(why.to_owned()).into());
        }
        if !options.dry_run && !options.yes && self.ask.is_none() {
            let why = "cannot ask whether these are the right jobs, because stdin is not a terminal or --json is set: add \
                       --dry-run to see what would be changed, or --yes to change it";
            return Err(Usage(why.to_owned()).into());
        }
        let filter = action.narrow(self.parse(filter).await?);
        let plan = self.operator.plan_bulk(&filter, action, COUNT_TIMEOUT).await?;
        let text = planned(action, &filter.to_string(), &plan, self.rates);
        let Some(newest) = plan.newest.filter(|_| !options.dry_run) else {
            let view = BulkPlanView::new((action, filter.to_string(), force), &plan, self.rates);
            return self.print(json!(view), || text);
        };
        if !options.yes {
            let question = format!("{text}{} them? [y/N] ", verb(action).0);
            if !self.ask.is_some_and(|ask| ask(&question)) {
                anyhow::bail!("nothing was changed");
            }
        }
        let order = BulkOrder { action, filter, force, newest, max_jobs: plan.jobs };
        let bulk = finish(&self.operator, self.operator.begin_bulk(order).await?).await?;
        self.print(json!(BulkView::from(&bulk)), || changed(&bulk))?;
        if bulk.state != ActionResult::Done {
            anyhow::bail!("the change is {}: `actions list` shows more", bulk.state.as_str());
        }
        Ok(())
    }

    /// Stops a bulk change.
    pub(super) async fn stop(&mut self, id: u64) -> anyhow::Result<()> {
        let stopped = self.operator.stop_bulk(id).await?;
        let bulk = self.operator.bulk(id).await?.ok_or(StoreError::NoBulk(id))?;
        if !stopped {
            anyhow::bail!("bulk change {id} has already ended: it is {}", bulk.state.as_str());
        }
        let changed = counted(bulk.changed, "job");
        self.print(json!(BulkView::from(&bulk)), || format!("Stopped {id}, after {changed}\n"))
    }
}

/// The action as a question and as a statement.
const fn verb(action: BulkAction) -> (&'static str, &'static str) {
    match action {
        BulkAction::Retry => ("Retry", "Retried"),
        BulkAction::Cancel => ("Cancel", "Cancelled"),
        BulkAction::Erase => ("Erase", "Erased"),
    }
}

fn planned(action: BulkAction, filter: &str, plan: &BulkPlan, rates: DeliveryRates) -> String {
    let mut text = format!("{} of {filter}\n", counted(plan.jobs, "job"));
    let (Some(oldest), Some(newest)) = (plan.oldest, plan.newest) else { return text };
    let mut accounts: Vec<_> = plan.accounts.iter().collect();
    accounts.sort_by_key(|(account, jobs)| (std::cmp::Reverse(**jobs), **account));
    for (account, jobs) in accounts.iter().take(MAX_ACCOUNTS) {
        text.push_str(&format!("  account {account}: {jobs}\n"));
    }
    let others = accounts.get(MAX_ACCOUNTS..).unwrap_or_default();
    if !others.is_empty() {
        let jobs: u64 = others.iter().map(|(_, jobs)| **jobs).sum();
        text.push_str(&format!("  {} more: {jobs}\n", counted(others.len() as u64, "account")));
    }
    text.push_str(&format!("received from {} to {}\n", oldest.received_at(), newest.received_at()));
    if action == BulkAction::Retry {
        let seconds = plan.delivery_time(rates.per_account, rates.total).as_secs();
        text.push_str(&format!("at the pace of their accounts, their deliveries take about {seconds} s\n"));
    }
    text
}

fn changed(bulk: &Bulk) -> String {
    let skipped = match bulk.skipped {
        0 => String::new(),
        jobs => format!(
            "{} skipped, because of a newer job with the same return_url, or because the state has changed\n",
            if jobs == 1 { "1 was".to_owned() } else { format!("{jobs} were") }
        ),
    };
    format!("{} {} of {}\n{skipped}", verb(bulk.action).1, counted(bulk.changed, "job"), bulk.filter)
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{JobId, Timestamp};

    #[test]
    fn the_dry_run_shows_how_many_jobs_of_which_accounts_from_when_to_when_and_how_long_it_takes() {
        let job = |seconds: i64| JobId::new(Timestamp::from_millis(1_700_000_000_000 + seconds * 1_000), 1);
        let plan = BulkPlan {
            jobs: 12,
            accounts: [(31, 2), (32, 10)].into(),
            oldest: Some(job(0)),
            newest: Some(job(60)),
        };
        let rates = DeliveryRates { per_account: 7, total: None };
        assert_eq!(
            planned(BulkAction::Retry, "state:dead", &plan, rates),
            "12 jobs of state:dead\n  account 32: 10\n  account 31: 2\n\
             received from 2023-11-14T22:13:20.000Z to 2023-11-14T22:14:20.000Z\n\
             at the pace of their accounts, their deliveries take about 2 s\n"
        );
        let none = planned(BulkAction::Cancel, "state:queued", &BulkPlan::default(), rates);
        assert_eq!(none, "0 jobs of state:queued\n");
        let many = BulkPlan { accounts: (1..=13).map(|account| (account, 1)).collect(), ..plan };
        let text = planned(BulkAction::Cancel, "state:queued", &many, rates);
        assert!(text.contains("  3 accounts more: 3\n") && !text.contains("pace"), "{text}");
    }
}
