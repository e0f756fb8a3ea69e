//! The parameters in paths, for the description of the API.

use utoipa::IntoParams;

/// A job in the path.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "only a description")]
pub(super) struct JobPath {
    /// The id of the job, or its first hex digits, if no other job has the same ones.
    #[param(example = "018bcfe5-687b-7000-8000-000000000001", min_length = 4)]
    id: String,
}

/// A bulk change in the path.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "only a description")]
pub(super) struct BulkPath {
    /// The number of the bulk change.
    #[param(example = 17)]
    id: u64,
}

/// A group of errors in the path.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "only a description")]
pub(super) struct GroupPath {
    /// The number of the group.
    #[param(example = 3)]
    id: i64,
}
