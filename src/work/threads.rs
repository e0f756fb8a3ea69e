//! The threads that handlers run on: their own, because code that blocks a thread is easily written, and
//! must not keep the bridge from answering Kommo, watching deadlines and continuing other bots.

use std::io;

use tokio::runtime::{Builder, Handle, Runtime};

/// Threads for handlers, one a core. Dropping it waits for nobody.
#[derive(Debug)]
pub struct HandlerThreads {
    runtime: Option<Runtime>,
    handle: Handle,
}

impl HandlerThreads {
    /// Starts the threads.
    ///
    /// # Errors
    /// The system gives no threads.
    pub fn start() -> io::Result<Self> {
        let runtime = Builder::new_multi_thread().thread_name("handler").enable_all().build()?;
        Ok(Self { handle: runtime.handle().clone(), runtime: Some(runtime) })
    }

    /// Where to spawn handlers.
    pub(super) const fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for HandlerThreads {
    fn drop(&mut self) {
        // A runtime that is dropped in the ordinary way waits for its threads, and a handler may block one for ever.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
