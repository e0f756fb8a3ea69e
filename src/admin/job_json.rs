//! A job as JSON, for the API and `jobs --json`.
//!
//! Every field is always present, and is `null` if it does not apply. A job contains no token, so none can leak here.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::schema;
use model::{
    Attempt, AttemptResult, BotType, CheckedCompletion, FallbackReason, HandlerName, JobId, JobRecord,
    JobSummary, Note, Outcome, OutcomeName, ReturnUrl, Stage, StateName, Timestamp, WaitsFor,
};
use store::{Page, Stopped};

/// A job without its bodies, for lists.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = JobSummary)]
pub struct SummaryView {
    /// Its id.
    #[schema(value_type = schema::JobId)]
    id: JobId,
    /// Its state.
    #[schema(value_type = schema::JobState)]
    state: StateName,
    /// Its handler.
    #[schema(value_type = schema::HandlerName)]
    handler: HandlerName,
    /// Kommo's number of the account.
    account_id: i64,
    /// The kind of the bot.
    #[schema(value_type = schema::BotType)]
    bot_type: BotType,
    /// The number of the bot.
    bot_id: i64,
    /// Where the bot continues.
    continue_id: String,
    /// What the bot is about, as Kommo's code: 1 contact, 2 lead, 12 customer.
    entity_type: Option<i64>,
    /// The number of the contact, lead or customer.
    entity_id: Option<i64>,
    /// The address at which the bot waits.
    #[schema(value_type = String, format = "uri")]
    return_url: ReturnUrl,
    /// Whether the bot gets the handler's answer or the fallback; null while there is no completion.
    #[schema(value_type = Option<schema::Outcome>)]
    outcome: Option<OutcomeName>,
    /// Why the bot gets the fallback; null if it gets the handler's answer.
    #[schema(value_type = Option<schema::FallbackReason>)]
    fallback_reason: Option<FallbackReason>,
    /// When the request arrived.
    #[schema(value_type = schema::Moment)]
    received_at: Timestamp,
    /// When it may be claimed; null unless the job waits for a worker or for its delivery.
    #[schema(value_type = Option<schema::Moment>)]
    due_at: Option<Timestamp>,
    /// When the job finished.
    #[schema(value_type = Option<schema::Moment>)]
    finished_at: Option<Timestamp>,
    /// The charged attempts of the handler.
    handler_attempts: u32,
    /// The charged attempts of the delivery.
    delivery_attempts: u32,
    /// The most recent error.
    last_error: Option<String>,
    /// The group of the most recent error.
    error_group: Option<i64>,
    /// The later job of the same conversation that answers for this one too; null unless `coalesce` joined them.
    #[schema(value_type = Option<schema::JobId>)]
    joined_into: Option<JobId>,
    /// Whether `data`, `earlier_data`, `completion` and `handler_completion` were deleted, to free space or by an operator.
    bodies_dropped: bool,
}

impl From<JobSummary> for SummaryView {
    fn from(job: JobSummary) -> Self {
        Self {
            id: job.id,
            state: job.state,
            handler: job.handler,
            account_id: job.account_id.0,
            bot_type: job.return_url.bot_type(),
            bot_id: job.return_url.bot_id(),
            continue_id: job.return_url.continue_id().to_owned(),
            entity_type: job.entity.map(|entity| entity.kind.code()),
            entity_id: job.entity.map(|entity| entity.id),
            return_url: job.return_url,
            outcome: job.outcome.map(Outcome::name),
            fallback_reason: job.outcome.and_then(Outcome::fallback_reason),
            received_at: job.received_at,
            due_at: job.due_at,
            finished_at: job.finished_at,
            handler_attempts: job.handler_attempts,
            delivery_attempts: job.delivery_attempts,
            last_error: job.last_error,
            error_group: job.error_group,
            joined_into: job.joined_into,
            bodies_dropped: job.bodies_dropped,
        }
    }
}

/// One job.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Job)]
pub struct JobView<'a> {
    #[serde(flatten)]
    summary: SummaryView,
    /// What the widget sent; also null if the bodies were dropped.
    #[schema(required, value_type = Value)]
    data: Option<&'a Value>,
    /// The data of the earlier jobs that were joined into this one, oldest first; null if there are none, or if the bodies
    /// were dropped.
    #[schema(value_type = Option<Vec<Value>>)]
    earlier_data: Option<&'a [Value]>,
    /// The body of the continue; null if there is none yet, or if the bodies were dropped.
    #[schema(value_type = Option<schema::Completion>)]
    completion: Option<&'a CheckedCompletion>,
    /// What the handler returned, if the fallback has replaced it; null otherwise.
    #[schema(value_type = Option<schema::Completion>)]
    handler_completion: Option<&'a CheckedCompletion>,
}

impl<'a> JobView<'a> {
    /// Creates the view of `job`.
    pub fn new(job: &'a JobRecord) -> Self {
        let whole = match job {
            JobRecord::Whole(job) => Some(job),
            JobRecord::WithoutBodies(_) => None,
        };
        Self {
            summary: job.summary().into(),
            data: whole.map(|job| &job.request.data),
            earlier_data: whole.map(|job| &*job.request.earlier).filter(|earlier| !earlier.is_empty()),
            completion: whole.and_then(|job| job.state.prepared()).map(|prepared| &prepared.completion),
            handler_completion: whole.and_then(|job| job.handler_completion.as_ref()),
        }
    }
}

/// One job with its attempts, oldest first.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct JobWithAttempts<'a> {
    #[serde(flatten)]
    job: JobView<'a>,
    /// What the job waits for and what to do; null if it is finished.
    #[schema(value_type = Option<schema::WaitsFor>)]
    waits_for: Option<WaitsFor>,
    /// The charged attempts, the oldest first.
    attempts: Vec<AttemptView<'a>>,
    /// The notes on its time line, oldest first.
    notes: Vec<NoteView<'a>>,
}

/// One note.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Note)]
struct NoteView<'a> {
    /// When it was noted.
    #[schema(value_type = schema::Moment)]
    noted_at: Timestamp,
    /// The text of the handler; null if `admin.show_data` hides it.
    text: Option<&'a str>,
}

impl<'a> JobWithAttempts<'a> {
    /// Creates the view of `job`, its attempts and notes, and of what it waits for.
    pub fn new(
        job: &'a JobRecord,
        attempts: &'a [Attempt],
        notes: &'a [Note],
        waits_for: Option<WaitsFor>,
    ) -> Self {
        let attempts = attempts.iter().map(AttemptView::new).collect();
        let notes =
            notes.iter().map(|note| NoteView { noted_at: note.noted_at, text: Some(&*note.text) }).collect();
        Self { job: JobView::new(job), waits_for, attempts, notes }
    }
}

/// One attempt.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Attempt)]
struct AttemptView<'a> {
    /// Whether the handler ran, or a continue was sent.
    #[schema(value_type = schema::Stage)]
    stage: Stage,
    /// The number within its stage, from 1.
    number: u32,
    /// When it began.
    #[schema(value_type = schema::Moment)]
    started_at: Timestamp,
    /// How long it took.
    duration_ms: u64,
    /// Its result.
    #[schema(value_type = schema::AttemptResult)]
    result: AttemptResult,
    /// The status of the response; null if there was none.
    status: Option<u16>,
    /// Its error.
    error: Option<&'a str>,
}

impl<'a> AttemptView<'a> {
    fn new(attempt: &'a Attempt) -> Self {
        Self {
            stage: attempt.stage,
            number: attempt.number,
            started_at: attempt.started_at,
            duration_ms: u64::try_from(attempt.duration.as_millis()).unwrap_or(u64::MAX),
            result: attempt.result,
            status: attempt.status,
            error: attempt.error.as_deref(),
        }
    }
}

/// A page of jobs, newest first, and where the next one starts.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = JobsPage)]
pub struct PageView {
    /// The jobs.
    jobs: Vec<SummaryView>,
    /// The `cursor` of the next page; null at the end. A page can be short or even empty although more pages follow.
    #[schema(value_type = Option<schema::JobId>)]
    next_cursor: Option<JobId>,
    /// Whether the search stopped before the page was full. Older jobs may match; continue at `next_cursor`.
    stopped: bool,
    /// Why it stopped, and how to narrow it; null if it did not.
    stopped_because: Option<String>,
}

impl From<Page> for PageView {
    fn from(page: Page) -> Self {
        let Page { jobs, next, stopped } = page;
        Self {
            jobs: jobs.into_iter().map(SummaryView::from).collect(),
            next_cursor: next,
            stopped: stopped.is_some(),
            stopped_because: stopped.map(stopped_because),
        }
    }
}

/// Why a search stopped, and how to narrow it.
pub fn stopped_because(stopped: Stopped) -> String {
    let why = match stopped {
        Stopped::Jobs(jobs) => {
            format!("it read {jobs} jobs, because no index covers all of the filter's conditions")
        }
        Stopped::Time => "it took too long".to_owned(),
    };
    format!(
        "{why}; a time (since, until) or a key with an index narrows it: state, handler, account, lead, contact, customer, \
         bot, waiting, is:unfinished, outcome:fallback"
    )
}
