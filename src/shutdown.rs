//! When to stop: the first signal asks, the second insists.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The wish to stop, in two degrees. Cheap to clone; clones share the wish.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    asked: CancellationToken,
    insisted: CancellationToken,
}

impl Shutdown {
    /// Nobody wants to stop, until [`ask`](Self::ask) or [`insist`](Self::insist) is called.
    pub fn manual() -> Self {
        Self::default()
    }

    /// The first SIGTERM or SIGINT asks, the second insists.
    ///
    /// # Errors
    /// The system does not let us listen to signals.
    pub fn on_signals() -> io::Result<Self> {
        let (mut terminate, mut interrupt) =
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let shutdown = Self::manual();
        let told = shutdown.clone();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
                if told.asked.is_cancelled() {
                    told.insist();
                } else {
                    told.ask();
                }
            }
        });
        Ok(shutdown)
    }

    /// Asks to stop: what is under way may finish within its grace.
    pub fn ask(&self) {
        self.asked.cancel();
    }

    /// Asks to stop at once.
    pub fn insist(&self) {
        self.asked.cancel();
        self.insisted.cancel();
    }

    /// Fires when a stop is asked for.
    pub fn asked(&self) -> &CancellationToken {
        &self.asked
    }

    /// Fires when a stop at once is asked for.
    pub fn insisted(&self) -> &CancellationToken {
        &self.insisted
    }
}
