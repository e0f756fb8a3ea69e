//! Lists of jobs: where a list gets its ids from, its way through the jobs, and its pages.
//!
//! An engine provides its [indexes](source::Indexes) and its [reads](walk::ListReads).

pub(crate) mod count;
pub(crate) mod page;
mod ranges;
pub(crate) mod source;
pub(crate) mod walk;
