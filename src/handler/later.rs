//! The handle of a job whose handler answers later.

use std::fmt;

use serde::{Deserialize, Serialize};

use model::{JobId, Timestamp};

use super::HandlerError;

/// A job whose handler answers later: see [`Context::complete_later`](super::Context::complete_later).
///
/// It can be stored or sent to another process. Anyone who has it can answer the job, so treat it like a secret.
///
/// To answer, POST to [`callback_url`](Self::callback_url): the completion as JSON, like `{"data": {"reply": "Hi"}}`, or
/// `{"error": {"message": "…", "retry": true}}`. A 200 means that the answer is on the bridge's disk. After any other
/// response, or none, repeat the call: a repetition changes nothing.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Later {
    job_id: JobId,
    attempt: u32,
    callback_url: String,
    answer_by: Timestamp,
}

impl Later {
    pub(super) const fn new(job_id: JobId, attempt: u32, callback_url: String, answer_by: Timestamp) -> Self {
        Self { job_id, attempt, callback_url, answer_by }
    }

    /// The job.
    pub const fn job_id(&self) -> JobId {
        self.job_id
    }

    /// The attempt that made this handle. If an error that is called back names it as `attempt`, it does not end a later
    /// attempt.
    pub const fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The URL that takes the answer. It contains the authorization.
    pub fn callback_url(&self) -> &str {
        &self.callback_url
    }

    /// When the bot gets the fallback, by the calendar. An answer after this moment comes too late.
    pub const fn answer_by(&self) -> Timestamp {
        self.answer_by
    }

    /// What the handler returns: there is no completion yet.
    ///
    /// # Errors
    /// Always, because the handler has no completion to return. The bridge does not treat it as a failure.
    pub fn pending<T>(&self) -> Result<T, HandlerError> {
        Err(HandlerError::await_callback())
    }
}

impl fmt::Debug for Later {
    /// Without the URL.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { job_id, attempt, callback_url: _, answer_by } = self;
        f.debug_struct("Later")
            .field("job_id", job_id)
            .field("attempt", attempt)
            .field("answer_by", answer_by)
            .finish_non_exhaustive()
    }
}
