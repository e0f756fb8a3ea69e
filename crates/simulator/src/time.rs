//! The source of the account's time: the machine's clock, or one that a test controls.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

/// A wall clock, for `iat`, `nbf`, `exp` and the age of codes and tokens. Clones share the clock.
#[derive(Clone)]
pub struct TimeSource(Arc<dyn Fn() -> SystemTime + Send + Sync>);

impl TimeSource {
    /// A clock that calls this function. A test changes the value that the function reads.
    pub fn new(read_clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self(Arc::new(read_clock))
    }

    /// The current time.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        (self.0)()
    }
}

impl Default for TimeSource {
    /// The machine's clock.
    #[allow(
        clippy::disallowed_methods,
        reason = "the simulator plays another program, so it does not use the bridge's Clock; `TimeSource::new` \
                  takes any clock"
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
