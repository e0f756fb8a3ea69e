//! Limits on what one account may use, so that it cannot take the space and the time of other accounts.

use std::time::Duration;

/// The budget of each account. Only the bytes of `data` and `completion` count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Bytes of unfinished jobs. Above this limit, the bridge refuses the account's requests.
    pub unfinished: u64,
    /// Bytes of all jobs. Above this limit, the store drops the bodies of the account's oldest delivered and cancelled
    /// jobs; the bridge refuses no request because of it.
    pub stored: u64,
    /// The limit on new requests; `None` if there is no limit.
    pub requests: Option<RequestRate>,
}

impl Default for Budget {
    fn default() -> Self {
        Self { unfinished: 1 << 30, stored: 4 << 30, requests: None }
    }
}

/// The number of new requests that are allowed in each span of time. A span starts with the first request after the last
/// span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestRate {
    /// The number of requests.
    pub requests: u32,
    /// The length of a span.
    pub span: Duration,
}
