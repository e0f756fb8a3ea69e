//! Shares what deliveries wait for between the bridge's memory and its store. In the store, commands read the waits and
//! request that an account be tried now.
//!
//! Guarantees: each change of a wait is written immediately, with retries if that fails. An account that an operator
//! resumes is tried within five seconds, by one delivery. A wait without any waiting delivery is removed within five
//! seconds, whatever happened to its jobs.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use kommo::pace::Cause;
use model::{ALL_ACCOUNTS, AccountOrigin, AccountState, AccountWait, Timestamp};
#[cfg(any(test, feature = "cli"))]
use store::Actor;
use store::{Store, StoreError};

use super::{Accounts, host};

/// How often the bridge checks the store for requests of commands, and for waits that have ended.
const POLL_INTERVAL: Duration = Duration::from_secs(5);
/// Shorter pauses are not recorded: they end before anyone reads about them.
const MIN_RECORDED_PAUSE: Duration = Duration::from_secs(5);
/// Two clocks are read one after the other, so the same moment computed twice differs a little.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(1);

impl Accounts {
    /// Returns what an operator must do about the account at `origin` while its deliveries wait because of `cause`.
    pub fn advice(&self, cause: Cause, origin: &str) -> String {
        cause.advice_for(&self.known_as(origin), host(origin))
    }

    /// Asks the running bridge, through the store, to try the account at `origin` now. Returns whether there is a store.
    ///
    /// # Errors
    /// The store cannot be written.
    #[cfg(any(test, feature = "cli"))]
    pub async fn ask_resume(&self, origin: &str, by: Actor) -> Result<bool, StoreError> {
        let Some(store) = &self.0.parts.store else { return Ok(false) };
        store.operator(by).ask_resume(origin.into()).await?;
        Ok(true)
    }

    fn known_as(&self, origin: &str) -> AccountOrigin {
        if let Some(configured) = self.0.parts.long_lived.iter().find(|account| account.origin == origin) {
            return AccountOrigin::Configured(configured.name.clone());
        }
        let Some(entry) = self.entry(origin) else { return AccountOrigin::Unknown };
        let client_uuid = &entry.record.key.client_uuid;
        let integration = self.integration(client_uuid).map_or(&**client_uuid, |known| &known.name);
        AccountOrigin::Connected(integration.to_owned())
    }

    /// Writes each change of a wait to the store, until `stop`.
    pub(super) async fn keep_waits_written(&self, store: &Store, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            let retry = match self.write_waits(store).await {
                Ok(()) => None,
                Err(error) => {
                    tracing::warn!(%error, "storing why deliveries wait failed; retrying");
                    Some(POLL_INTERVAL)
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.0.parts.health.wait_changes(), if retry.is_none() => {}
                () = self.0.parts.clock.sleep(POLL_INTERVAL), if retry.is_some() => {}
            }
        }
    }

    /// Writes the changed waits.
    pub(super) async fn write_waits(&self, store: &Store) -> Result<(), StoreError> {
        let changed = self.0.parts.health.take_changed_waits();
        if changed.is_empty() {
            return Ok(());
        }
        let origins: Vec<Arc<str>> = changed.iter().map(|(origin, _)| origin.clone()).collect();
        let written = store.accounts().write_waits(changed).await;
        if written.is_err() {
            self.0.parts.health.give_back_changed_waits(origins);
        }
        written
    }

    /// Checks the waits regularly, until `stop`.
    pub(super) async fn watch_waits(&self, store: &Store, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            self.poll_waits_or_log(store).await;
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.0.parts.clock.sleep(POLL_INTERVAL) => {}
            }
        }
    }

    pub(super) async fn poll_waits_or_log(&self, store: &Store) {
        if let Err(error) = self.poll_waits(store).await {
            tracing::warn!(%error, "checking why deliveries wait failed; retrying");
        }
    }

    /// Checks once: resumes accounts that commands ask for, records long pauses, and removes waits without waiting
    /// deliveries.
    async fn poll_waits(&self, store: &Store) -> Result<(), StoreError> {
        for origin in store.accounts().take_resumes().await? {
            self.resume(store, &origin).await?;
        }
        self.record_wait_of_all_accounts();
        self.record_pauses(store).await?;
        self.remove_waits_without_deliveries(store).await
    }

    /// Tries the account at `origin` now: its next delivery becomes the probe of any pause, and no other is sent
    /// until Kommo responds to the probe.
    async fn resume(&self, store: &Store, origin: &str) -> Result<(), StoreError> {
        let origin = self.moved_to(origin).unwrap_or_else(|| origin.into());
        if let Some(entry) = self.entry(&*origin) {
            self.end_renewal_pause(&entry.record.key);
            self.0.changed.notify_one();
        }
        let was_paused = self.0.parts.limiter.resume(&origin);
        tracing::info!(
            account.host = host(&origin),
            was_paused,
            "account resumed by operator; trying it now"
        );
        for lane in self.lanes(&origin) {
            store.jobs().release_refused(lane).await?;
        }
        Ok(())
    }

    /// Records whether the deliveries of all accounts wait.
    fn record_wait_of_all_accounts(&self) {
        let (health, clock) = (&self.0.parts.health, &self.0.parts.clock);
        let Some(waits) = self.0.parts.limiter.everybody_waits().filter(|waits| waits.holds_all) else {
            health.account_resumes(ALL_ACCOUNTS);
            return;
        };
        let now = clock.now();
        let until = waits.left.map(|left| now + left);
        let known = health.wait_of(ALL_ACCOUNTS).and_then(|known| known.until);
        let is_same = |(one, other): &(Timestamp, Timestamp)| {
            one.since(*other).max(other.since(*one)) < CLOCK_TOLERANCE
        };
        let until = known.zip(until).filter(is_same).map(|(known, _)| known).or(until);
        let first = waits.accounts.first().map_or("NAME", |origin| host(origin));
        let wait = AccountWait {
            cause: Cause::Blocked,
            why: waits.what(),
            advice: Cause::Blocked.advice_for(&AccountOrigin::Unknown, first),
            since: now,
            until,
        };
        health.account_waits(ALL_ACCOUNTS, wait);
    }

    /// Records pauses that another call has caused, such as a handler's, so that no delivery has recorded them.
    async fn record_pauses(&self, store: &Store) -> Result<(), StoreError> {
        let (health, now) = (&self.0.parts.health, self.0.parts.clock.now());
        let is_over =
            |wait: &AccountWait| !wait.cause.needs_operator() && wait.until.is_none_or(|until| until <= now);
        let paused = self.0.parts.limiter.paused(MIN_RECORDED_PAUSE);
        let unknown: Vec<_> = paused
            .into_iter()
            .filter(|(origin, ..)| health.wait_of(origin).as_ref().is_none_or(is_over))
            .collect();
        let waited_for = self.waited_for(store, unknown.iter().map(|(origin, ..)| origin)).await?;
        for (origin, cause, left) in unknown.into_iter().filter(|(origin, ..)| waited_for.contains(origin)) {
            let advice = self.advice(cause, &origin);
            let why = cause.what().to_owned();
            let wait = AccountWait { cause, why, advice, since: now, until: Some(now + left) };
            health.account_waits(&origin, wait);
        }
        Ok(())
    }

    /// Removes the waits of accounts without waiting deliveries: this or another process has cancelled, finished or
    /// deleted their jobs. An account that must be authorized stays, because its next delivery would wait again.
    async fn remove_waits_without_deliveries(&self, store: &Store) -> Result<(), StoreError> {
        let mut waits = self.0.parts.health.waits();
        waits.retain(|(origin, _)| &**origin != ALL_ACCOUNTS && !self.must_be_authorized(origin));
        let waited_for = self.waited_for(store, waits.iter().map(|(origin, _)| origin)).await?;
        for (origin, wait) in waits.into_iter().filter(|(origin, _)| !waited_for.contains(origin)) {
            if !self.0.parts.health.forget_wait(&origin, &wait) {
                continue;
            }
            if wait.cause.needs_operator() {
                // If the cause persists, the next delivery reports it again.
                self.0.parts.limiter.probe_next(&origin);
            }
            tracing::info!(account.host = host(&origin), "no deliveries wait for this account any longer");
        }
        Ok(())
    }

    /// Returns those of these accounts that have unfinished deliveries.
    async fn waited_for<'a>(
        &self,
        store: &Store,
        origins: impl Iterator<Item = &'a Arc<str>>,
    ) -> Result<Vec<Arc<str>>, StoreError> {
        let lanes: Vec<(Arc<str>, Vec<Arc<str>>)> =
            origins.map(|origin| (origin.clone(), self.lanes(origin))).collect();
        if lanes.is_empty() {
            return Ok(Vec::new());
        }
        let all: Vec<Arc<str>> = lanes.iter().flat_map(|(_, lanes)| lanes).cloned().collect();
        let there = store.jobs().with_deliveries(&all).await?;
        let waited_for = lanes.into_iter().filter(|(_, lanes)| lanes.iter().any(|lane| there.contains(lane)));
        Ok(waited_for.map(|(origin, _)| origin).collect())
    }

    /// Returns the addresses that the jobs of the account at `origin` use.
    fn lanes(&self, origin: &str) -> Vec<Arc<str>> {
        let mut lanes = self.moved_from(origin);
        lanes.push(origin.into());
        lanes
    }

    fn must_be_authorized(&self, origin: &str) -> bool {
        !self.is_long_lived(origin)
            && self.entry(origin).is_some_and(|entry| {
                entry.open().is_err() && entry.record.authorization.state() != AccountState::Revoked
            })
    }
}
