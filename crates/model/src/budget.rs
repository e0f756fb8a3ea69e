//! What one account may ask of the bridge, so that it cannot take the room and the time of the others.

use std::time::Duration;

/// The budget of each account. Bytes are those of `data` and `completion`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Bytes of jobs that are not finished. Beyond it the account's requests are refused.
    pub unfinished: u64,
    /// Bytes of all jobs. Beyond it the bodies of the account's oldest delivered and cancelled jobs are dropped; no request
    /// is refused for it.
    pub stored: u64,
    /// New requests in a span of time; `None` for any number.
    pub requests: Option<RequestRate>,
}

impl Default for Budget {
    fn default() -> Self {
        Self { unfinished: 1 << 30, stored: 4 << 30, requests: None }
    }
}

/// At most so many requests in each span; a span begins with a request and ends on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestRate {
    /// Requests.
    pub requests: u32,
    /// The span.
    pub span: Duration,
}
