//! How a caller gets a [`Permit`]: the sender takes as many as it may have, a single call waits for its own.

use std::sync::Arc;
use std::time::Duration;

use super::limiter::{CallLimiter, Paused};
use super::permit::Permit;
use super::state::{CallKind, Hold, Reservation};

impl CallLimiter {
    /// Takes up to `wanted` permits for continues to `account`, without waiting.
    ///
    /// # Errors
    /// No continue may go now. A retry may succeed at the moment that the error names, or after the next event of the
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

    /// Waits for the permit of a single call to `account`, at most `patience`.
    ///
    /// # Errors
    /// There is none in time.
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
