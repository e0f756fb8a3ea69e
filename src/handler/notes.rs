//! Notes on the time line of a job.

use std::fmt;
use std::sync::Arc;

use model::JobId;

/// Takes the notes of all attempts.
#[derive(Clone)]
pub(crate) struct Notes(Arc<dyn Fn(JobId, String) + Send + Sync>);

impl Notes {
    /// Passes each note to `add`, which must not block.
    pub(crate) fn new(add: impl Fn(JobId, String) + Send + Sync + 'static) -> Self {
        Self(Arc::new(add))
    }

    pub(super) fn add(&self, job: JobId, text: String) {
        (self.0)(job, text);
    }
}

impl fmt::Debug for Notes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Notes")
    }
}
