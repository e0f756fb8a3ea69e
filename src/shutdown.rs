//! Requests to stop: the first signal asks, the second forces.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A request to stop, in two steps. Cheap to clone; clones share the request.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    asked: CancellationToken,
    forced: CancellationToken,
}

impl Shutdown {
    /// Creates a `Shutdown` that only [`ask`](Self::ask) and [`force`](Self::force) trigger.
    pub fn manual() -> Self {
        Self::default()
    }

    /// Creates a `Shutdown` that signals trigger: the first SIGTERM or SIGINT asks, the second forces.
    ///
    /// # Errors
    /// Signal handlers cannot be installed.
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

    /// Asks to stop: work in progress may finish within the grace.
    pub fn ask(&self) {
        self.asked.cancel();
    }

    /// Forces a stop, without waiting for work in progress.
    pub fn force(&self) {
        self.asked.cancel();
        self.forced.cancel();
    }

    /// Fires when a stop is asked for or forced.
    pub fn asked(&self) -> &CancellationToken {
        &self.asked
    }

    /// Fires when a stop is forced.
    pub fn forced(&self) -> &CancellationToken {
        &self.forced
    }
}
