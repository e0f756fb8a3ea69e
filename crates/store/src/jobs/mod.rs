//! Jobs, for any engine: what becomes of requests and reports, and what the rows of the tables mean. Pure: no statement is
//! here.

pub(crate) mod accept;
pub(crate) mod actions;
pub(crate) mod attempts;
pub(crate) mod bulk;
pub(crate) mod callbacks;
pub(crate) mod coalesce;
pub(crate) mod error_groups;
pub(crate) mod failures;
pub(crate) mod find;
pub(crate) mod handler_stats;
pub(crate) mod listing;
pub(crate) mod outcomes;
pub(crate) mod release;
pub(crate) mod reports;
pub(crate) mod row;
pub(crate) mod rows;
pub(crate) mod search;
pub(crate) mod supersede;
pub(crate) mod table_row;
pub(crate) mod terms;
pub(crate) mod turns;
