//! Compares filtered lists with the model.

use super::super::*;
use super::known::Known;
use super::life::Life;

type Matches = fn(&Known, Timestamp) -> bool;

/// The number of filters that each check tries.
const FILTERS_PER_CHECK: usize = 4;

/// Filters, and whether a job of the model matches.
const FILTERS: &[(&str, Matches)] = &[
    ("handler:greet", |job, _| job.job.handler.as_str() == "greet"),
    ("-handler:greet", |job, _| job.job.handler.as_str() != "greet"),
    ("account:1", |job, _| job.job.request.account_id == AccountId(1)),
    ("account:two.kommo.com state:delivering,dead", |job, _| {
        job.origin() == "https://two.kommo.com"
            && matches!(state(job), StateName::Delivering | StateName::Dead)
    }),
    ("lead:1", |job, _| lead(job) == Some(1)),
    ("lead:1,2 handler:other", |job, _| {
        lead(job).is_some_and(|lead| (1..=2).contains(&lead)) && job.job.handler.as_str() == "other"
    }),
    ("conversation:2:lead:2", |job, _| lead(job) == Some(2) && job.job.request.account_id == AccountId(2)),
    ("-lead:1", |job, _| lead(job) != Some(1)),
    ("-state:delivered", |job, _| state(job) != StateName::Delivered),
    ("state:gone", |job, _| state(job) == StateName::Gone),
    ("state:cancelled,gone handler:greet", |job, _| {
        matches!(state(job), StateName::Cancelled | StateName::Gone) && job.job.handler.as_str() == "greet"
    }),
    ("outcome:fallback", |job, _| outcome(job) == Some(OutcomeName::Fallback)),
    ("outcome:fallback account:1", |job, _| {
        outcome(job) == Some(OutcomeName::Fallback) && job.job.request.account_id == AccountId(1)
    }),
    ("-outcome:fallback", |job, _| outcome(job) != Some(OutcomeName::Fallback)),
    ("is:unfinished", |job, _| !state(job).is_finished()),
    ("is:late", |job, now| !state(job).is_finished() && job.waiting_since < now - Duration::from_secs(20)),
    ("-is:late", |job, now| state(job).is_finished() || job.waiting_since >= now - Duration::from_secs(20)),
    ("is:superseded", |job, _| job.superseded_by.is_some()),
    ("is:joined", |job, _| job.job.joined_into.is_some()),
    ("attempts:>2", |job, _| job.job.handler_attempts + job.job.delivery_attempts > 2),
    ("-attempts:1", |job, _| job.job.handler_attempts + job.job.delivery_attempts != 1),
    ("waiting:worker", |job, now| cause(job, now) == Some("worker")),
    ("waiting:handler", |job, now| cause(job, now) == Some("handler")),
    ("waiting:callback", |job, now| cause(job, now) == Some("callback")),
    ("waiting:conversation,messages", |job, now| {
        matches!(cause(job, now), Some("conversation" | "messages"))
    }),
    ("waiting:messages", |job, now| cause(job, now) == Some("messages")),
    ("waiting:retry", |job, now| matches!(cause(job, now), Some("handler_retry" | "delivery_retry"))),
    ("waiting:handler_retry", |job, now| cause(job, now) == Some("handler_retry")),
    ("waiting:turn,response", |job, now| matches!(cause(job, now), Some("turn" | "response"))),
    ("waiting:delivery_retry", |job, now| cause(job, now) == Some("delivery_retry")),
    ("-waiting:turn", |job, now| cause(job, now) != Some("turn")),
    ("waiting:account", |_, _| false),
];

fn state(job: &Known) -> StateName {
    job.job.state.name()
}

fn lead(job: &Known) -> Option<i64> {
    job.job.request.entity.map(|entity| entity.id)
}

fn outcome(job: &Known) -> Option<OutcomeName> {
    job.job.state.prepared().map(|prepared| prepared.outcome.name())
}

/// Why the job waits, as `jobs show` says.
fn cause(job: &Known, now: Timestamp) -> Option<&'static str> {
    let context = ExplainContext { is_served: Some(true), ..ExplainContext::at(now) };
    explain(&job.record(), &[], &context).waits_for().map(|waits| waits.cause.as_str())
}

impl Life {
    /// Checks some of the filters; other ones each time.
    pub(super) async fn check_filters(&self) {
        let now = self.home.steady();
        for place in 0..FILTERS_PER_CHECK {
            let (text, matches) = FILTERS[(self.checks * FILTERS_PER_CHECK + place) % FILTERS.len()];
            let filter = JobFilter { filter: wanted(text), limit: 500, ..JobFilter::default() };
            let page = self.store.jobs().list(&filter).await.unwrap();
            let found: Vec<JobId> = page.jobs.iter().map(|job| job.id).collect();
            let matching = self.model.jobs.values().rev().filter(|job| matches(job, now));
            let expected: Vec<JobId> = matching.map(|known| known.job.id).collect();
            assert_eq!(found, expected, "{text}");
        }
    }
}
