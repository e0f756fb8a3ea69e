//! Where the account's time comes from: the machine, or a test that moves it.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

/// Tells the wall time, for `iat`, `nbf`, `exp` and for the age of codes and tokens. Clones tell the
/// same time.
#[derive(Clone)]
pub struct TimeSource(Arc<dyn Fn() -> SystemTime + Send + Sync>);

impl TimeSource {
    /// Time as this function tells it. A test keeps what the function reads, and moves it.
    pub fn new(read_clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self(Arc::new(read_clock))
    }

    /// The time at this moment.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        (self.0)()
    }
}

impl Default for TimeSource {
    /// The machine's time.
    #[allow(
        clippy::disallowed_methods,
        reason = "the simulator is another program's stand-in and names no room of the bridge, its Clock included; \
                  `TimeSource::new` takes another"
    )]
    fn default() -> Self {
        Self::new(SystemTime::now)
    }
}

impl fmt::Debug for TimeSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TimeSource")
    }
}
