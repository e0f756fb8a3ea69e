//! The data of joined messages.

/// The maximum size of the data of the earlier messages, in bytes.
pub(crate) const MAX_EARLIER_BYTES: usize = 1 << 20;

/// Returns the data of all messages as a JSON array. Each is JSON already.
pub(crate) fn array<'d>(data: impl Iterator<Item = &'d str>) -> String {
    format!("[{}]", data.collect::<Vec<_>>().join(","))
}
