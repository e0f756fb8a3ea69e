//! Bulk changes as JSON.

use std::collections::BTreeMap;

use serde::Serialize;

use model::{JobId, Timestamp};
use store::{Bulk, BulkAction, BulkPlan, Erasable};

/// A bulk change and its progress.
#[derive(Clone, Debug, Serialize)]
pub struct BulkView {
    id: u64,
    action: &'static str,
    filter: String,
    force: bool,
    source: &'static str,
    who: String,
    at: Timestamp,
    /// `running`, `done`, `stopped` or `failed`.
    state: &'static str,
    /// The maximum number of jobs that it changes; null for all.
    max_jobs: Option<u64>,
    changed: u64,
    skipped: u64,
}

impl From<&Bulk> for BulkView {
    fn from(bulk: &Bulk) -> Self {
        Self {
            id: bulk.id,
            action: bulk.action.as_str(),
            filter: bulk.filter.clone(),
            force: bulk.force,
            source: bulk.by.source().as_str(),
            who: bulk.by.name().to_owned(),
            at: bulk.at,
            state: bulk.state.as_str(),
            max_jobs: bulk.max_jobs,
            changed: bulk.changed,
            skipped: bulk.skipped,
        }
    }
}

/// What an erasure would do.
#[derive(Clone, Debug, Serialize)]
pub struct ErasableView {
    filter: String,
    finished: u64,
    unfinished: u64,
    /// The jobs of each account, by its number.
    accounts: BTreeMap<i64, u64>,
}

impl ErasableView {
    /// Creates the view of what the erasure with this filter would do.
    pub fn new(filter: String, erasable: &Erasable) -> Self {
        let Erasable { finished, unfinished, accounts } = erasable;
        Self { filter, finished: *finished, unfinished: *unfinished, accounts: accounts.clone() }
    }
}

/// What a bulk change would do.
#[derive(Clone, Debug, Serialize)]
pub struct BulkPlanView {
    action: &'static str,
    /// The filter, written in full and narrowed to the states that allow the action.
    filter: String,
    force: bool,
    jobs: u64,
    /// The jobs of each account, by its number.
    accounts: BTreeMap<i64, u64>,
    oldest: Option<PlannedJob>,
    newest: Option<PlannedJob>,
    /// How long the deliveries take at the pace of the accounts; null if nothing is delivered.
    seconds: Option<u64>,
    /// What the change itself needs; null if there is nothing to change, or if no one needs it.
    token: Option<String>,
    /// When the token expires.
    expires_at: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct PlannedJob {
    id: JobId,
    received_at: Timestamp,
}

impl From<JobId> for PlannedJob {
    fn from(id: JobId) -> Self {
        Self { id, received_at: id.received_at() }
    }
}

impl BulkPlanView {
    /// Creates the view of a plan. `rates` are the calls a second of each account, and of all accounts together.
    pub fn new(
        (action, filter, force): (BulkAction, String, bool),
        plan: &BulkPlan,
        rates: DeliveryRates,
    ) -> Self {
        let BulkPlan { jobs, accounts, newest, oldest } = plan.clone();
        let time = plan.delivery_time(rates.per_account, rates.total).as_secs();
        Self {
            action: action.as_str(),
            filter,
            force,
            jobs,
            accounts,
            oldest: oldest.map(PlannedJob::from),
            newest: newest.map(PlannedJob::from),
            seconds: (action == BulkAction::Retry).then_some(time),
            token: None,
            expires_at: None,
        }
    }

    /// Adds the token of the plan, and when it expires.
    #[must_use]
    pub fn with_token(mut self, token: String, expires_at: Timestamp) -> Self {
        (self.token, self.expires_at) = (Some(token), Some(expires_at));
        self
    }
}

/// How many calls a second may go to Kommo.
#[derive(Clone, Copy, Debug)]
pub struct DeliveryRates {
    /// `delivery.rate_per_account`.
    pub per_account: u32,
    /// `delivery.rate_total`; `None` for no limit.
    pub total: Option<u32>,
}
