//! Raises the limit on open files, because every connection uses one.
//!
//! The usual soft limit of 1,024 is lower than what the default configuration may use. With it, strangers who only open
//! connections could keep the sender from calling Kommo, and probes from reaching the admin listener. The soft limit
//! exists for programs that use `select`. The bridge does not, so it raises the soft limit to the hard limit. If that is
//! too low, the public listener serves fewer connections.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::Config;

use super::run::MAX_ADMIN_CONNECTIONS;

/// Files of the store and the log, and the listening sockets.
const OTHER_OPEN_FILES: usize = 64;

/// Raises the limit on open files. Returns how many connections the public listener may have open.
pub(super) fn connection_limit(config: &Config) -> usize {
    let limit = raise();
    let connections = config.server.max_connections;
    let remaining = remaining(limit, MAX_ADMIN_CONNECTIONS + config.delivery.concurrency + OTHER_OPEN_FILES);
    if connections > remaining {
        tracing::warn!(
            limit,
            server.max_connections = connections,
            delivery.concurrency = config.delivery.concurrency,
            served = remaining,
            "limit on open files is too low: fewer callers are served at once; raise the limit (ulimit -Hn), or lower \
             server.max_connections or delivery.concurrency"
        );
    }
    connections.min(remaining)
}

/// Raises the limit on open files to the maximum for this process, and returns it.
pub(crate) fn raise() -> usize {
    let before = getrlimit(Resource::Nofile);
    let wanted = Rlimit { current: before.maximum, maximum: before.maximum };
    let limit = match setrlimit(Resource::Nofile, wanted) {
        Ok(()) => before.maximum,
        Err(_) => before.current,
    };
    limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX)
}

/// `limit` minus `others`, but at least half of `limit`.
fn remaining(limit: usize, others: usize) -> usize {
    limit.saturating_sub(others).max(limit / 2).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_get_the_rest_of_the_limit_but_at_least_half() {
        for (limit, others, expected) in [
            (usize::MAX, 640, usize::MAX - 640),
            (2_000, 640, 1_360),
            (1_024, 640, 512),
            (1, 640, 1),
            (0, 9, 1),
        ] {
            assert_eq!(remaining(limit, others), expected, "{limit}");
        }
    }
}
