//! What the owner of a store does before anything else.

use crate::sqlite::accounts::{connections, waits};
use crate::sqlite::jobs::{keys, lane_reload};
use crate::sqlite::maintenance::{delete, service_time};
use crate::{Store, StoreError};

impl Store {
    /// Takes over from the last owner: its schedule by the clock of this process, its claims freed, its keys known. So all of
    /// its work goes on at once.
    pub(crate) async fn take_over(&self) -> Result<(), StoreError> {
        if let Some(behind) = self.ask(service_time::Begin(self.0.time.clone())).await? {
            let by_seconds = behind.as_secs();
            tracing::warn!(
                by_seconds,
                "the machine's clock is behind the last time of this store; jobs that wait are due by the new time"
            );
        }
        let freed = self.ask(delete::Free { until: None, now: self.moment().steady }).await?;
        if freed > 0 {
            tracing::info!(jobs = freed, "the last process ended with jobs in progress; resuming them");
        }
        self.ask(keys::Load(self.0.keys.clone())).await?;
        self.ask(connections::FreeRenewals).await?;
        self.ask(waits::ForgetWaits).await?;
        self.ask(lane_reload::Refresh).await?;
        // By now the files beside the store are there, and are known from before the first request.
        self.in_its_place()
    }
}
