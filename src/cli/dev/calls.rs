//! The calls to the handler that the bridge has reported, until the job is shown.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::handlers::{CallReport, CallWatch};
use model::JobId;

/// The reports of calls, by job and attempt. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Calls(Arc<Mutex<HashMap<JobId, HashMap<u32, CallReport>>>>);

impl Calls {
    /// What the bridge reports its calls to.
    pub(super) fn watch(&self) -> CallWatch {
        let calls = self.clone();
        Arc::new(move |report: CallReport| {
            calls.lock().entry(report.job).or_default().insert(report.attempt, report);
        })
    }

    /// The HTTP status of an attempt; `None` if there was no response.
    pub(super) fn status(&self, job: JobId, attempt: u32) -> Option<u16> {
        self.lock().get(&job)?.get(&attempt)?.status
    }

    /// Removes the calls of a job. Returns the body of its last request; `None` if there was no call.
    pub(super) fn take_last_request(&self, job: JobId) -> Option<String> {
        let calls = self.lock().remove(&job)?;
        calls.into_values().max_by_key(|call| call.attempt).map(|call| call.request)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<JobId, HashMap<u32, CallReport>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
