//! The collector: a subscriber for one thread that writes lines to memory.

use std::io::{self, Write};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use tracing::subscriber::{DefaultGuard, NoSubscriber};
use tracing::{Dispatch, Level};

/// The number of times that [`CollectedLog::wait`] lets other tasks run before it gives up.
const MAX_WAIT_ROUNDS: u32 = 100_000;

/// With two or more subscribers, tracing asks each thread whether it wants a line. With one, the first thread decides for
/// all.
static SUBSCRIBERS: LazyLock<[Dispatch; 2]> =
    LazyLock::new(|| [(); 2].map(|()| Dispatch::new(NoSubscriber::new())));

/// Makes sure that every thread can collect a log line, no matter which thread logs it first. This applies to lines that
/// the process has not logged yet.
///
/// Call it in the fixture of every test that may log a line that another test collects. Otherwise a race is possible: if one
/// test logs the line for the first time while another test calls [`collect`] for the first time, the other test may not see
/// the line.
pub fn prepare() {
    LazyLock::force(&SUBSCRIBERS);
}

/// The lines that this thread has logged since [`collect`], as text without colors. Dropping it ends the collection.
#[derive(Debug)]
pub struct CollectedLog {
    buffer: Buffer,
    _collecting: DefaultGuard,
}

/// Collects the lines that the current thread logs at `level` or above.
#[must_use = "the collection ends when the log is dropped"]
pub fn collect(level: Level) -> CollectedLog {
    prepare();
    let buffer = Buffer::default();
    let writer = buffer.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    CollectedLog { buffer, _collecting: tracing::subscriber::set_default(subscriber) }
}

impl CollectedLog {
    /// All text, with one line per event.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.buffer.bytes()).into_owned()
    }

    /// The lines that contain `part`, oldest first.
    pub fn with(&self, part: &str) -> Vec<String> {
        self.text().lines().filter(|line| line.contains(part)).map(str::to_owned).collect()
    }

    /// Discards all lines.
    pub fn clear(&self) {
        self.buffer.bytes().clear();
    }

    /// Lets the other tasks of a current-thread runtime run until a line contains `part`.
    ///
    /// # Panics
    /// No such line appears.
    pub async fn wait(&self, part: &str) {
        for _ in 0..MAX_WAIT_ROUNDS {
            if !self.with(part).is_empty() {
                return;
            }
            tokio::task::yield_now().await;
        }
        panic!("no line contains `{part}`:\n{}", self.text());
    }
}

/// The bytes of the log, shared with the subscriber.
#[derive(Clone, Debug, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Buffer {
    fn bytes(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log_a_line() {
        tracing::info!("the same line of code");
    }

    #[test]
    fn thread_without_a_subscriber_that_logs_first_hides_no_line() {
        let log = collect(Level::INFO);
        std::thread::spawn(log_a_line).join().unwrap();
        assert_eq!(log.text(), "", "another thread's line");
        log_a_line();
        assert_eq!(log.with("the same line").len(), 1);
    }

    #[test]
    fn log_keeps_lines_at_the_level_since_the_last_clear() {
        let log = collect(Level::WARN);
        tracing::info!("too low");
        tracing::warn!("before");
        log.clear();
        tracing::error!("after");
        assert_eq!((log.text().lines().count(), log.with("after").len()), (1, 1));
    }

    #[tokio::test]
    async fn waiting_lets_another_task_log() {
        let log = collect(Level::INFO);
        tokio::spawn(async { tracing::info!("at last") });
        log.wait("at last").await;
    }
}
