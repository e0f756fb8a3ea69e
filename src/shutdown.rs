//! When to stop: the first signal asks, the second forces.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The wish to stop, in two degrees. Cheap to clone; clones share the wish.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    asked: CancellationToken,
    forced: CancellationToken,
}

impl Shutdown {
    /// No stop is wanted until [`ask`](Self::ask) or [`force`](Self::force) is called.
    pub fn manual() -> Self {
        Self::default()
    }

    /// The first SIGTERM or SIGINT asks, the second forces.
    ///
    /// # Errors
    /// The system does not let us listen to signals.
    pub fn on_signals() -> io::Result<Self> {
        let (mut terminate, mut interrupt) =
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let shutdown = Self::manual();
        let signalled = shutdown.clone();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
                if signalled.asked.is_cancelled() {
                    signalled.force();
                } else {
                    signalled.ask();
                }
            }
        });
        Ok(shutdown)
    }

    /// Asks to stop: what is under way may finish within its grace.
    pub fn ask(&self) {
        self.asked.cancel();
    }

    /// Forces a stop: nothing under way is waited for.
    pub fn force(&self) {
        self.asked.cancel();
        self.forced.cancel();
    }

    /// Fires when a stop is asked for.
    pub fn asked(&self) -> &CancellationToken {
        &self.asked
    }

    /// Fires when a stop at once is asked for.
    pub fn forced(&self) -> &CancellationToken {
        &self.forced
    }
}
