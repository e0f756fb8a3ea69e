//! The [search index](crate::jobs::search) in SQLite.

pub(crate) mod index;
pub(crate) mod lookup;
