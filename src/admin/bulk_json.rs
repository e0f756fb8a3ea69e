//! Bulk changes as JSON.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::schema;
use model::{JobId, Timestamp};
use store::{Bulk, BulkAction, BulkPlan, Erasable, RetriedDead};

/// A bulk change and its progress.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = BulkChange)]
pub struct BulkView {
    /// Its number, which is also that of its action.
    id: u64,
    /// What it does to each job.
    #[schema(value_type = schema::BulkActionName)]
    action: &'static str,
    /// To which jobs.
    filter: String,
    /// Whether it cancels unfinished jobs, or retries superseded ones.
    force: bool,
    /// Where it came from.
    #[schema(value_type = schema::ActionSource)]
    source: &'static str,
    /// The role of the token, or the user of the command.
    who: String,
    /// When it began.
    #[schema(value_type = schema::Moment)]
    at: Timestamp,
    /// How far it is: `failed` if its filter cannot be read.
    #[schema(value_type = schema::ActionResult)]
    state: &'static str,
    /// The maximum number of jobs that it changes; null for all.
    max_jobs: Option<u64>,
    /// The jobs that it has changed.
    changed: u64,
    /// The jobs that it left as they were, because of their state.
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
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = ErasurePlan)]
pub struct ErasableView {
    /// The filter that finds the jobs.
    filter: String,
    /// The number of finished jobs.
    finished: u64,
    /// The number of unfinished jobs.
    unfinished: u64,
    /// The number of jobs of each account, by its number.
    #[schema(value_type = BTreeMap<String, u64>)]
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
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = BulkPlan)]
pub struct BulkPlanView {
    /// What it does to each job.
    #[schema(value_type = schema::BulkActionName)]
    action: &'static str,
    /// The filter, written in full and narrowed to the states that allow the action.
    filter: String,
    /// Whether it retries superseded jobs too.
    force: bool,
    /// How many jobs match.
    jobs: u64,
    /// The number of jobs of each account, by its number.
    #[schema(value_type = BTreeMap<String, u64>)]
    accounts: BTreeMap<i64, u64>,
    /// The oldest of the jobs; null if there are none.
    oldest: Option<PlannedJob>,
    /// The newest of the jobs; null if there are none.
    newest: Option<PlannedJob>,
    /// How long the deliveries take at the pace of the accounts; null if nothing is delivered.
    seconds: Option<u64>,
    /// What the change itself needs; null if there is nothing to change, or if no one needs it.
    token: Option<String>,
    /// When the token expires; null if there is none.
    #[schema(value_type = Option<schema::Moment>)]
    expires_at: Option<Timestamp>,
}

/// A job of a plan.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
struct PlannedJob {
    /// Its id.
    #[schema(value_type = schema::JobId)]
    id: JobId,
    /// When its request arrived.
    #[schema(value_type = schema::Moment)]
    received_at: Timestamp,
}

/// How many dead jobs were retried.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[schema(as = Retried)]
pub struct RetriedView {
    /// The jobs that are delivered again.
    retried: u64,
    /// The jobs left alone, because a newer job has the same `return_url`.
    superseded: u64,
}

impl From<RetriedDead> for RetriedView {
    fn from(done: RetriedDead) -> Self {
        let RetriedDead { retried, superseded } = done;
        Self { retried, superseded }
    }
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
