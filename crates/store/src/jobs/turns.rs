//! The conversations whose jobs run one at a time.

use model::{Gathering, NewJob, RunningJob, StateName, Timestamp, WidgetRequest};
use uuid::Uuid;

use crate::jobs::rows::duration;

/// The maximum number of messages that one job answers. The rest form the next one.
pub(crate) const MAX_JOINED: i64 = 100;

/// The jobs that run one at a time: of one handler, about one entity of one account.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Conversation {
    pub(crate) handler: String,
    pub(crate) account_id: i64,
    pub(crate) entity_type: i64,
    pub(crate) entity_id: i64,
}

impl Conversation {
    /// Returns the conversation in whose line a new job waits; `None` if it is not ordered.
    pub(crate) fn of_new(job: &NewJob) -> Option<Self> {
        job.ordering.is_by_conversation().then(|| Self::of(job.handler.as_str(), &job.request)).flatten()
    }

    /// Returns the conversation in whose line a claimed job is; `None` if it is not ordered.
    pub(crate) fn of_running(job: &RunningJob) -> Option<Self> {
        job.is_ordered.then(|| Self::of(job.handler.as_str(), &job.request)).flatten()
    }

    fn of(handler: &str, request: &WidgetRequest) -> Option<Self> {
        let entity = request.entity?;
        Some(Self {
            handler: handler.to_owned(),
            account_id: request.account_id.0,
            entity_type: entity.kind.code(),
            entity_id: entity.id,
        })
    }
}

/// A job in its line.
pub(crate) struct InLine {
    pub(crate) id: Uuid,
    pub(crate) is_queued: bool,
    pub(crate) due_at: Option<i64>,
    /// Set if the job waits for further messages.
    pub(crate) gathering: Option<Gathering>,
    pub(crate) answer_by: i64,
}

impl InLine {
    /// Converts the values of its row.
    pub(crate) fn new(
        id: Uuid,
        state: &str,
        due_at: Option<i64>,
        coalesce_ms: Option<i64>,
        waiting_since: i64,
        answer_by: i64,
    ) -> Self {
        let since = Timestamp::from_millis(waiting_since);
        let gathering = coalesce_ms.map(|ms| Gathering { since, coalesce: duration(ms) });
        Self { id, is_queued: state == StateName::Queued.as_str(), due_at, gathering, answer_by }
    }
}

/// Returns the messages at the front of a line, `jobs`, that wait for further ones. They end at a job that waits for none,
/// or that is claimed for its fallback.
pub(crate) fn gathered(mut jobs: Vec<InLine>) -> Vec<InLine> {
    let joins = |(place, job): &(usize, &InLine)| job.gathering.is_some() && (job.is_queued || *place == 0);
    let messages = jobs.iter().enumerate().take_while(joins).count();
    jobs.truncate(messages);
    jobs
}
