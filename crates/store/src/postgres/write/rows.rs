//! The rows of a statement, as one array for each column: `unnest` makes rows of them again.

/// Returns a column of `rows`.
pub(crate) fn column<'r, R, T>(rows: &'r [R], value: impl Fn(&'r R) -> T) -> Vec<T> {
    rows.iter().map(value).collect()
}
