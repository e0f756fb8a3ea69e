//! The metrics that each scrape reads: the numbers of the store, the accounts and the process. So they are exact, cannot
//! become stale, and belong only to this bridge.

use super::metric::{Metric, counter, gauge};

/// Jobs in the store.
pub const JOBS: Metric = gauge("bridge_jobs", &["state"], "Jobs in the store, by state.");
/// The age of the oldest queued job.
pub const OLDEST_QUEUED: Metric = gauge(
    "bridge_oldest_queued_seconds",
    &[],
    "Age of the oldest job that waits for a worker; 0 if none waits.",
);
/// The age of the oldest job that is not delivered.
pub const OLDEST_UNDELIVERED: Metric = gauge(
    "bridge_oldest_undelivered_seconds",
    &[],
    "Age of the oldest job whose completion is not delivered yet; 0 if there is none.",
);
/// Jobs that wait for their turn.
pub const WAITING_FOR_TURN: Metric = gauge(
    "bridge_jobs_waiting_for_turn",
    &[],
    "Queued jobs that wait until an earlier job of their conversation is answered.",
);
/// Jobs that await a callback.
pub const AWAITING_CALLBACK: Metric =
    gauge("bridge_awaiting_callback_jobs", &["handler"], "Jobs whose handler will call back, by handler.");
/// The bytes of the bodies.
pub const BODY_BYTES: Metric =
    gauge("bridge_body_bytes", &["of"], "Bytes of the bodies of all jobs (stored) and of unfinished jobs.");
/// The length of the store's file.
pub const STORE_BYTES: Metric =
    gauge("bridge_store_bytes", &[], "Length of the store's file, without its write-ahead log.");
/// The length of the write-ahead log.
pub const WAL_BYTES: Metric = gauge("bridge_store_wal_bytes", &[], "Length of the store's write-ahead log.");
/// The free space on the disk.
pub const FREE_BYTES: Metric =
    gauge("bridge_store_free_bytes", &[], "Free space on the disk that holds the store.");
/// Accounts that wait for an operator.
pub const ACCOUNTS_WAITING: Metric =
    gauge("bridge_accounts_waiting", &[], "Accounts whose deliveries are paused until an operator acts.");
/// Accounts whose deliveries wait.
pub const PAUSED_ACCOUNTS: Metric =
    gauge("bridge_paused_accounts", &["reason"], "Accounts whose deliveries are paused, by reason.");
/// Whether all accounts wait.
pub const ALL_ACCOUNTS_WAIT: Metric = gauge(
    "bridge_all_accounts_wait",
    &[],
    "1 while Kommo seems to block the bridge's address, so that the deliveries of all accounts wait.",
);
/// The time until the first token expires.
pub const TOKEN_EXPIRY: Metric = gauge(
    "bridge_token_expiry_min_seconds",
    &[],
    "Time until the first access token of the connected accounts expires; negative if it has expired. Missing if there is none.",
);
/// The CPU time of the process.
pub const PROCESS_CPU: Metric =
    counter("process_cpu_seconds_total", &[], "CPU time of the process, in user and system mode.");
/// The memory of the process.
pub const PROCESS_RESIDENT: Metric =
    gauge("process_resident_memory_bytes", &[], "Memory of the process in RAM.");
/// The address space of the process.
pub const PROCESS_VIRTUAL: Metric =
    gauge("process_virtual_memory_bytes", &[], "Address space of the process.");
/// The threads of the process.
pub const PROCESS_THREADS: Metric = gauge("process_threads", &[], "Threads of the process.");
/// The open file descriptors of the process.
pub const PROCESS_OPEN_FDS: Metric =
    gauge("process_open_fds", &[], "Open file descriptors of the process, including sockets.");
/// The limit on open file descriptors.
pub const PROCESS_MAX_FDS: Metric =
    gauge("process_max_fds", &[], "Limit on open file descriptors (ulimit -n).");
/// The start of the process.
pub const PROCESS_START: Metric =
    gauge("process_start_time_seconds", &[], "Start of the process, in seconds since 1970.");

/// All of them.
#[cfg(test)]
pub const SCRAPED: &[Metric] = &[
    JOBS,
    OLDEST_QUEUED,
    OLDEST_UNDELIVERED,
    WAITING_FOR_TURN,
    AWAITING_CALLBACK,
    BODY_BYTES,
    STORE_BYTES,
    WAL_BYTES,
    FREE_BYTES,
    ACCOUNTS_WAITING,
    PAUSED_ACCOUNTS,
    ALL_ACCOUNTS_WAIT,
    TOKEN_EXPIRY,
    PROCESS_CPU,
    PROCESS_RESIDENT,
    PROCESS_VIRTUAL,
    PROCESS_THREADS,
    PROCESS_OPEN_FDS,
    PROCESS_MAX_FDS,
    PROCESS_START,
];
