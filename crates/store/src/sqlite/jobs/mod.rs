//! The table of jobs: requests, claims, reports, operator actions, and lists.

pub(crate) mod accept;
pub(crate) mod callback_key;
pub(crate) mod callbacks;
pub(crate) mod coalesce;
pub(crate) mod deliveries;
pub(crate) mod delivery_claims;
pub(crate) mod find;
pub(crate) mod keys;
pub(crate) mod lane_reload;
pub(crate) mod list;
pub(crate) mod list_source;
pub(crate) mod notes;
pub(crate) mod operator;
pub(crate) mod outcomes;
pub(crate) mod read;
pub(crate) mod release;
pub(crate) mod reports;
pub(crate) mod row;
pub(crate) mod rows;
pub(crate) mod supersede;
pub(crate) mod turns;
pub(crate) mod work_claims;
