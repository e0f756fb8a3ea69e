//! What operators do to jobs.
//!
//! Each change first [locks](super::locked) the rows of its jobs, so that what it decides still holds when it writes, whatever
//! another process does. One statement then changes all jobs of a part of a bulk change.

pub(crate) mod cancel;
pub(crate) mod retry;
pub(crate) mod retry_dead;
