//! Continues bulk changes: those that began in this process, those of commands beside it that ended early, and those that
//! a restart interrupted.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::postgres::engine::Engine;
use crate::{ActionResult, StoreError};

/// How much of all bulk changes one tick does. Between ticks, maintenance does its other work and notices a stop.
const MAX_STEPS_PER_TICK: u32 = 50;
const MAX_TICK_TIME: Duration = Duration::from_millis(500);

impl Engine {
    /// Does the next parts of the bulk changes that continue. Without `looks`, only if this process knows of one.
    pub(crate) async fn continue_bulks(&self, looks: bool) -> Result<(), StoreError> {
        if !self.bulk_waits.swap(false, Ordering::Relaxed) && !looks {
            return Ok(());
        }
        let (began, mut steps) = (self.clock().elapsed(), 0);
        for mut bulk in self.running_bulks().await? {
            while bulk.state == ActionResult::Running {
                let took = self.clock().elapsed().saturating_sub(began);
                if steps >= MAX_STEPS_PER_TICK || took >= MAX_TICK_TIME {
                    self.bulk_waits.store(true, Ordering::Relaxed);
                    return Ok(());
                }
                steps += 1;
                bulk = self.step_bulk(bulk).await.inspect_err(|_| {
                    self.bulk_waits.store(true, Ordering::Relaxed);
                })?;
            }
            let (action, jobs, skipped) = (bulk.action.as_str(), bulk.changed, bulk.skipped);
            tracing::info!(bulk.id, action, jobs, skipped, "bulk change ended");
        }
        Ok(())
    }
}
