//! The [search index](crate::jobs::search) in PostgreSQL.

pub(crate) mod index;
pub(crate) mod lookup;
