//! What the owner of a store does before anything else.

use super::{Store, StoreError, account_writes, keys, refresh, service, upkeep, waits};

impl Store {
    /// Takes over from the last owner: its schedule by the clock of this process, its claims freed, its keys known. So all of
    /// its work goes on at once.
    pub(super) async fn take_over(&self) -> Result<(), StoreError> {
        if let Some(behind) = self.ask(service::Begin(self.0.time.clone())).await? {
            let by_seconds = behind.as_secs();
            tracing::warn!(
                by_seconds,
                "the machine's clock is behind the last time of this store; jobs that wait are due by the new time"
            );
        }
        let freed = self.ask(upkeep::Free { until: None, now: self.moment().steady }).await?;
        if freed > 0 {
            tracing::info!(jobs = freed, "the last process ended with jobs in progress; resuming them");
        }
        self.ask(keys::Load(self.0.keys.clone())).await?;
        self.ask(account_writes::FreeRenewals).await?;
        self.ask(waits::ForgetWaits).await?;
        self.ask(refresh::Refresh).await?;
        // By now the files beside the store are there, and are known from before the first request.
        self.in_its_place()
    }
}
