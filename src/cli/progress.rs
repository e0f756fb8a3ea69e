//! A progress bar on a thread of its own: a paused terminal blocks the thread that draws on it, and that must not be the event loop.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

const REDRAW_INTERVAL: Duration = Duration::from_millis(100);
/// The bar is cleared before the result is printed, if the terminal takes it in this time.
const CLEAR_TIMEOUT: Duration = Duration::from_millis(500);

/// How far something is. Where stderr is not a terminal, nothing is drawn.
pub(super) struct Progress {
    done: Arc<AtomicU64>,
    /// Dropped when it is over.
    over: Sender<()>,
    cleared: Mutex<Receiver<()>>,
}

impl Progress {
    /// Draws a bar of `total` by an `indicatif` template.
    pub(super) fn start(total: u32, template: &'static str) -> Self {
        let done = Arc::new(AtomicU64::new(0));
        let (over, is_over) = mpsc::channel();
        let (clear, cleared) = mpsc::channel();
        let draw = {
            let done = done.clone();
            move || {
                let bar = ProgressBar::new(total.into());
                // The templates are constants; if one were wrong, the plain bar does.
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
        // Without a thread there is no bar, and all else goes on.
        let _no_bar = thread::Builder::new().name("progress".to_owned()).spawn(draw);
        Self { done, over, cleared: Mutex::new(cleared) }
    }

    /// One more is done.
    pub(super) fn increment(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
    }

    /// So many are done.
    pub(super) fn set(&self, done: usize) {
        self.done.store(u64::try_from(done).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Clears the bar. Blocks its thread, but not long.
    pub(super) fn finish(self) {
        let Self { over, cleared, .. } = self;
        drop(over);
        let cleared = cleared.into_inner().unwrap_or_else(PoisonError::into_inner);
        let _paused_terminal = cleared.recv_timeout(CLEAR_TIMEOUT);
    }
}
