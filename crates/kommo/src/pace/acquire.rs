//! The two ways to get a [`Permit`]: the sender takes all permits that it may have, and a single call waits for one.

use std::sync::Arc;
use std::time::Duration;

use super::limiter::{CallLimiter, Paused};
use super::permit::Permit;
use super::state::{CallKind, Hold, Reservation};

impl CallLimiter {
    /// Takes up to `wanted` permits for continues to `account`, without waiting.
    ///
    /// # Errors
    /// No continue may start now. A retry may succeed at the moment that the error names, or after the next event of the
    /// account ([`on_freed`](Self::on_freed)).
    pub fn try_acquire(self: &Arc<Self>, account: &str, wanted: usize) -> Result<Vec<Permit>, Hold> {
        let now = self.clock.elapsed();
        let mut inner = self.lock();
        let in_flight = inner.permits.try_acquire(account, wanted);
        let reservations = inner.state.reserve(account, in_flight, now);
        for _ in reservations.len()..in_flight {
            inner.permits.release(account);
        }
        if reservations.is_empty() {
            let no_permit_left = if inner.permits.is_exhausted() { Hold::All(None) } else { Hold::Share };
            return Err(inner.state.hold(account, now).unwrap_or(no_permit_left));
        }
        drop(inner);
        let account: Arc<str> = account.into();
        Ok(reservations
            .into_iter()
            .map(|reservation| self.permit(account.clone(), reservation, true))
            .collect())
    }

    /// Waits for a permit for a single call to `account`, for at most `patience`.
    ///
    /// # Errors
    /// No permit becomes available in time.
    pub async fn acquire(
        self: &Arc<Self>,
        account: &str,
        kind: CallKind,
        patience: Duration,
    ) -> Result<Permit, Paused> {
        let reservation = self.reserve(account, kind, patience).await?;
        Ok(self.permit(account.into(), reservation, false))
    }

    fn permit(self: &Arc<Self>, account: Arc<str>, reservation: Reservation, is_continue: bool) -> Permit {
        Permit::new(self.clone(), account, reservation, is_continue)
    }
}
