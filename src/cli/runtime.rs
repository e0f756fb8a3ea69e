//! The async runtime of the program.

use std::io;
use std::thread::available_parallelism;

use tokio::runtime::{Builder, Runtime};

/// Starts the runtime, with `TOKIO_WORKER_THREADS` threads if that is set, otherwise with half as many as there are cores.
///
/// The writer of the store and the handlers have threads of their own. With a thread per core in addition, an event
/// often wakes a second thread, which finds nothing to do.
///
/// # Errors
/// The system cannot create threads.
pub fn start() -> io::Result<Runtime> {
    let mut builder = Builder::new_multi_thread();
    // Without a number from here, the builder reads the variable.
    if std::env::var_os("TOKIO_WORKER_THREADS").is_none() {
        builder.worker_threads(threads(available_parallelism().map_or(1, usize::from)));
    }
    builder.enable_all().build()
}

/// The number of threads on `cores` cores.
const fn threads(cores: usize) -> usize {
    cores.div_ceil(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_cores_have_a_thread() {
        for (cores, expected) in [(1, 1), (2, 1), (3, 2), (4, 2), (16, 8)] {
            assert_eq!(threads(cores), expected, "{cores}");
        }
    }
}
