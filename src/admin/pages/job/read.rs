//! Reads what the page shows. A part that cannot be read becomes the reason, so that the rest of the page stays.

use std::time::Duration;

use model::filter::{Condition, FilteredAccount};
use model::{Attempt, Explanation, Filter, JobId, JobPrefix, JobRecord, JobSummary, Note, Timestamp};
use store::{ActionFilter, ActionPage, ErrorGroup, JobFilter, StoreError, Surroundings};

use super::super::gather::{in_time, not_in_time, part};
use crate::admin::{HandlerSettings, Shared, explain};

/// How many other jobs of the same lead the page lists.
const SAME: u32 = 5;
/// How many actions of operators the page lists.
const SHOWN_ACTIONS: u32 = 10;

/// Why there is no job to show.
pub(super) enum Missing {
    /// No job has this id.
    Unknown(String),
    /// Several jobs have ids that begin with this; whether more than these do.
    Several(String, Vec<JobId>, bool),
    /// The store does not answer.
    Unreadable(String),
}

/// Everything about a job.
pub(super) struct Seen {
    pub(super) job: JobRecord,
    pub(super) summary: JobSummary,
    pub(super) attempts: Vec<Attempt>,
    pub(super) notes: Result<Vec<Note>, String>,
    pub(super) explained: Result<(Explanation, Surroundings), String>,
    /// Other jobs about the same lead, newest first, and whether there are more.
    pub(super) same: Result<(Vec<JobSummary>, bool), String>,
    /// What operators did with this job alone, newest first.
    pub(super) actions: Result<ActionPage, String>,
    /// The group of its last error; `None` if it has none.
    pub(super) group: Option<Result<ErrorGroup, String>>,
    /// The settings of its handler; `None` if it no longer exists.
    pub(super) settings: Option<HandlerSettings>,
    pub(super) give_up_after: Duration,
    pub(super) retention: Duration,
    pub(super) now: Timestamp,
}

impl Seen {
    /// When the bot gets the fallback; `None` if it is unknown.
    pub(super) fn answer_by(&self) -> Option<Timestamp> {
        match &self.job {
            JobRecord::Whole(job) => Some(job.answer_by),
            JobRecord::WithoutBodies(summary) => {
                let within = Duration::from_millis(self.settings.as_ref()?.answer_within_ms);
                Some(summary.received_at + within)
            }
        }
    }

    pub(super) fn explanation(&self) -> Option<&Explanation> {
        self.explained.as_ref().ok().map(|(explanation, _)| explanation)
    }

    pub(super) fn around(&self) -> Option<&Surroundings> {
        self.explained.as_ref().ok().map(|(_, around)| around)
    }
}

/// Finds the job with an id that begins with `given`.
pub(super) async fn find(shared: &Shared, given: &str) -> Result<JobId, Missing> {
    let prefix: JobPrefix = given.parse().map_err(|_| Missing::Unknown(given.to_owned()))?;
    if let Some(id) = prefix.whole() {
        return Ok(id);
    }
    let found = in_time(shared.store.jobs().find(prefix)).await;
    let found = found.map_err(|_| Missing::Unreadable(not_in_time()))?;
    found.map_err(|error| match error {
        StoreError::NoMatch(_) => Missing::Unknown(given.to_owned()),
        StoreError::Ambiguous { ids, more, .. } => Missing::Several(prefix.to_string(), ids, more),
        error => Missing::Unreadable(format!("The store reported: {error}.")),
    })
}

/// Reads a job; `None` if there is no such job.
pub(super) async fn read(shared: &Shared, id: JobId) -> Result<Option<Seen>, String> {
    let Some((job, attempts)) = part(shared.store.jobs().get(id)).await? else { return Ok(None) };
    let summary = job.summary();
    let (explained, notes, same, actions) = tokio::join!(
        explained(shared, &job, &attempts),
        part(shared.store.callbacks().notes(id)),
        same(shared, &summary),
        actions(shared, id),
    );
    let group = match explained.as_ref().ok().and_then(|(_, around)| around.error_group) {
        Some(group) => part(shared.store.errors().group(group)).await.transpose(),
        None => None,
    };
    let settings = shared.live.handlers().into_iter().find(|one| one.name == summary.handler);
    Ok(Some(Seen {
        job,
        summary,
        attempts,
        notes,
        explained,
        same,
        actions,
        group,
        settings,
        give_up_after: shared.live.give_up_after(),
        retention: shared.live.store().retention,
        now: shared.clock.now(),
    }))
}

async fn explained(
    shared: &Shared,
    job: &JobRecord,
    attempts: &[Attempt],
) -> Result<(Explanation, Surroundings), String> {
    let explained = in_time(explain::explanation(shared, job, attempts)).await;
    match explained {
        Ok(explained) => explained.map_err(|problem| problem.detail().to_owned()),
        Err(_) => Err(not_in_time()),
    }
}

/// The other jobs about the same lead.
async fn same(shared: &Shared, job: &JobSummary) -> Result<(Vec<JobSummary>, bool), String> {
    let Some(entity) = job.entity else { return Ok((Vec::new(), false)) };
    let account = Condition::Account(FilteredAccount::Number(job.account_id));
    let filter = Filter::default().and(Condition::Entity(entity)).and(account);
    let list = JobFilter { filter, before: None, limit: SAME + 1 };
    let page = part(shared.store.jobs().list(&list)).await?;
    let is_more = page.next.is_some();
    let others = page.jobs.into_iter().filter(|other| other.id != job.id).take(SAME as usize);
    Ok((others.collect(), is_more))
}

/// Who changed a job last, and how.
pub(super) struct LastChange {
    pub(super) who: String,
    pub(super) what: String,
    pub(super) at: Timestamp,
}

/// The last change of a job by an operator.
pub(super) async fn last_change(shared: &Shared, id: JobId) -> Option<LastChange> {
    let ActionPage { actions, .. } = actions(shared, id).await.ok()?;
    let last = actions.into_iter().find(|one| one.jobs > 0)?;
    Some(LastChange { who: last.by.name().to_owned(), what: last.what, at: last.at })
}

/// What operators did with this job alone, newest first.
async fn actions(shared: &Shared, id: JobId) -> Result<ActionPage, String> {
    part(shared.store.actions(&ActionFilter::on_job(id), None, SHOWN_ACTIONS)).await
}
