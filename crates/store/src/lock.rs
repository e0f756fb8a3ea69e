//! Locks of values that no code leaves half changed.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Returns the guarded value. No code panics while it holds one of these locks.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
