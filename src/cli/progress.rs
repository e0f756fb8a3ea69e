//! A progress bar on a separate thread: a paused terminal blocks the thread that draws on it, and must not block the event
//! loop.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

const REDRAW_INTERVAL: Duration = Duration::from_millis(100);
/// The longest wait for the terminal to clear the bar before the result is printed.
const CLEAR_TIMEOUT: Duration = Duration::from_millis(500);

/// A progress bar on stderr. Draws nothing if stderr is not a terminal.
pub(super) struct Progress {
    done: Arc<AtomicU64>,
    /// Dropped to end the bar.
    over: Sender<()>,
    cleared: Mutex<Receiver<()>>,
}

impl Progress {
    /// Starts a bar of `total` steps with an `indicatif` template.
    pub(super) fn start(total: u32, template: &'static str) -> Self {
        let done = Arc::new(AtomicU64::new(0));
        let (over, is_over) = mpsc::channel();
        let (clear, cleared) = mpsc::channel();
        let draw = {
            let done = done.clone();
            move || {
                let bar = ProgressBar::new(total.into());
                // The templates are constants. If one were wrong, the default bar would do.
                if let Ok(style) = ProgressStyle::with_template(template) {
                    bar.set_style(style);
                }
                while is_over.recv_timeout(REDRAW_INTERVAL) == Err(RecvTimeoutError::Timeout) {
                    bar.set_position(done.load(Ordering::Relaxed));
                    bar.tick();
                }
                bar.finish_and_clear();
                let _too_late = clear.send(());
            }
        };
        // Without a thread there is no bar, and everything else continues.
        let _no_bar = thread::Builder::new().name("progress".to_owned()).spawn(draw);
        Self { done, over, cleared: Mutex::new(cleared) }
    }

    /// Adds one finished step.
    pub(super) fn increment(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
    }

    /// Sets the number of finished steps.
    pub(super) fn set(&self, done: usize) {
        self.done.store(u64::try_from(done).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Clears the bar. Blocks its thread for at most [`CLEAR_TIMEOUT`].
    pub(super) fn finish(self) {
        let Self { over, cleared, .. } = self;
        drop(over);
        let cleared = cleared.into_inner().unwrap_or_else(PoisonError::into_inner);
        let _paused_terminal = cleared.recv_timeout(CLEAR_TIMEOUT);
    }
}
