//! Room for open files: every connection is one.
//!
//! Systems give a process 1,024 at first, fewer than the default configuration may use, so that strangers
//! who only open connections could keep the sender from calling Kommo and probes from the admin listener.
//! That first limit is for programs that use `select`, which this one does not: it is raised as far
//! as it may be. Where even that is too little, the public listener has to make do with the rest.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::Config;

use super::run::MAX_ADMIN_CONNECTIONS;

/// The store, the log, the sockets themselves.
const OTHER_OPEN_FILES: usize = 64;

/// Raises the limit on open files. Says how many connections the public listener may have open.
pub(super) fn provide(config: &Config) -> usize {
    let limit = raise();
    let connections = config.server.max_connections;
    let room = room(limit, MAX_ADMIN_CONNECTIONS + config.delivery.concurrency + OTHER_OPEN_FILES);
    if connections > room {
        tracing::warn!(
            limit,
            server.max_connections = connections,
            delivery.concurrency = config.delivery.concurrency,
            "the system allows too few open files: only {room} callers are served at once; raise the limit \
             (ulimit -Hn), or lower these two"
        );
    }
    connections.min(room)
}

/// Raises the limit on open files as far as it may be, and says how many there may be.
pub(crate) fn raise() -> usize {
    let before = getrlimit(Resource::Nofile);
    let wanted = Rlimit { current: before.maximum, maximum: before.maximum };
    let limit = match setrlimit(Resource::Nofile, wanted) {
        Ok(()) => before.maximum,
        Err(_) => before.current,
    };
    limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX)
}

/// What `others` leave of `limit`; half of it if they leave less.
fn room(limit: usize, others: usize) -> usize {
    limit.saturating_sub(others).max(limit / 2).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_get_what_the_others_leave_but_at_least_half() {
        for (limit, others, expected) in [
            (usize::MAX, 640, usize::MAX - 640),
            (2_000, 640, 1_360),
            (1_024, 640, 512),
            (1, 640, 1),
            (0, 9, 1),
        ] {
            assert_eq!(room(limit, others), expected, "{limit}");
        }
    }
}
