//! Recovery: the owner of a store takes over from the previous owner.

use crate::StoreError;
use crate::postgres::accounts::{connections, waits};
use crate::postgres::engine::Engine;
use crate::postgres::jobs::lane_reload;
use crate::postgres::jobs::search::index;
use crate::postgres::maintenance::{leases, service_time};

impl Engine {
    /// Takes over from the previous owner: moves the schedule to the clock of this process, loads the unfinished jobs, and
    /// frees their claims. So all jobs resume at once.
    pub(crate) async fn recover(&self) -> Result<(), StoreError> {
        if let Some(behind) = self.execute(service_time::BeginService(self.time.clone())).await? {
            let by_seconds = behind.as_secs();
            tracing::warn!(
                by_seconds,
                "the machine's clock is behind the last time in this store; moved the schedule of waiting jobs to the new time"
            );
        }
        self.execute(lane_reload::LoadSchedule).await?;
        let freed = self.execute(leases::FreeLeases { until: None, now: self.moment().steady }).await?;
        if freed > 0 {
            metrics::counter!("bridge_recovered_jobs_total", "reason" => "start").increment(freed);
            tracing::info!(jobs = freed, "the previous process ended with jobs in progress; resuming them");
        }
        self.execute(index::LoadProgress(self.search_progress.clone())).await?;
        self.execute(connections::FreeRenewals).await?;
        self.execute(waits::ForgetWaits).await?;
        self.execute(lane_reload::ReloadLanes).await?;
        self.measure_size().await
    }
}
