//! Decides which job the first digits of an id name.

use model::{JobId, JobPrefix};

use crate::StoreError;

/// The maximum number of matches that an error lists.
const MAX_MATCHES: usize = 5;
/// The number of matches to read: one more shows that there are too many to list.
pub(crate) const MATCHES_READ: i64 = MAX_MATCHES as i64 + 1;

/// Returns the only match.
///
/// # Errors
/// `NoMatch` if there is none, `Ambiguous` if there are several.
pub(crate) fn unique(prefix: JobPrefix, mut ids: Vec<JobId>) -> Result<JobId, StoreError> {
    match ids[..] {
        [] => Err(StoreError::NoMatch(prefix)),
        [id] => Ok(id),
        _ => {
            let more = ids.len() > MAX_MATCHES;
            ids.truncate(MAX_MATCHES);
            Err(StoreError::Ambiguous { prefix, ids, more })
        }
    }
}
