//! Background work: renews tokens before they expire, notices changes by other processes, and completes pending
//! installations and disconnections.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use model::{AccountKey, AccountState};
use store::{Store, StoreError};

use super::directory::Entry;
use super::{Accounts, due};

/// How often the store is checked for changes by other processes: `accounts remove`, or a renewal.
const POLL_INTERVAL: Duration = Duration::from_secs(5);
/// The maximum number of parallel renewals.
const MAX_PARALLEL_RENEWALS: usize = 16;
/// The minimum time between two polls, so that work that cannot succeed now (full disk) is not retried without a
/// pause.
const MIN_POLL_PAUSE: Duration = Duration::from_secs(1);

impl Accounts {
    /// Does the background work until `stop`. First reports which accounts wait for an operator, and cancels the jobs of
    /// disconnected accounts that a crash left over.
    pub async fn run(&self, stop: CancellationToken) {
        let Some(store) = self.0.parts.store.clone() else { return stop.cancelled().await };
        if let Err(error) = self.begin(&store).await {
            tracing::warn!(%error, "cancelling jobs of disconnected accounts failed; the next start retries");
        }
        tokio::join!(
            self.keep_fresh(&store, &stop),
            self.finish(&store, &stop),
            self.keep_waits_written(&store, &stop),
            self.watch_waits(&store, &stop)
        );
    }

    async fn keep_fresh(&self, store: &Store, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            let wait = self.poll_and_renew(store).await;
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.0.changed.notified() => {}
                () = self.0.parts.clock.sleep(wait.min(POLL_INTERVAL)) => {}
            }
        }
    }

    /// Completes pending installations and disconnections. Runs separately from the rest, because checking an account
    /// that does not respond may take minutes and must not delay other work.
    async fn finish(&self, store: &Store, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            self.finish_waiting(store).await;
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.0.parts.clock.sleep(POLL_INTERVAL) => {}
            }
        }
    }

    async fn begin(&self, store: &Store) -> Result<(), StoreError> {
        let old = |entry: &&Arc<Entry>| entry.open().is_ok_and(|(open, _)| !open.is_current);
        let accounts = self.entries().iter().filter(old).count();
        if accounts > 0 {
            tracing::info!(
                accounts,
                "tokens are still encrypted under store.previous_encryption_key: keep that key until they are renewed, for about \
                 a day"
            );
        }
        let mut revoked = Vec::new();
        for entry in self.entries() {
            match (entry.record.authorization.state(), &entry.record.origin) {
                (AccountState::Revoked, _) => revoked.push(entry.record.key.account_id),
                (_, Some(origin)) => {
                    if let Err(error) = entry.open() {
                        self.wait_for_operator(origin, &error.what());
                    }
                }
                _ => {}
            }
        }
        self.cancel_jobs(store, &revoked).await?;
        Ok(())
    }

    /// Does all background work once.
    #[cfg(test)]
    pub(crate) async fn step(&self, store: &Store) -> Duration {
        let wait = self.poll_and_renew(store).await;
        self.finish_waiting(store).await;
        self.poll_waits_or_log(store).await;
        wait
    }

    /// Polls once, and renews the tokens that are due. Returns the time until the next renewal is due.
    async fn poll_and_renew(&self, store: &Store) -> Duration {
        if let Err(error) = self.poll(store).await {
            tracing::warn!(%error, "reading accounts failed; retrying");
        }
        if let Err(error) = self.cancel_late_jobs(store).await {
            tracing::warn!(%error, "cancelling late jobs of disconnected accounts failed; retrying");
        }
        if let Err(error) = self.0.pairs.save(store).await {
            tracing::warn!(%error, "storing addresses of accounts failed; retrying");
        }
        let entries = self.entries();
        let due: Vec<_> = entries.iter().filter(|entry| self.due_in(entry) == Some(Duration::ZERO)).collect();
        for some in due.chunks(MAX_PARALLEL_RENEWALS) {
            let renewals = some.iter().map(|entry| self.renew(&entry.record.key, entry.record.generation));
            // Each failure is logged where it happens, and retried.
            let _logged = futures_util::future::join_all(renewals).await;
        }
        let next = self.entries().iter().filter_map(|entry| self.due_in(entry)).min();
        next.unwrap_or(Duration::MAX).max(MIN_POLL_PAUSE)
    }

    /// Decides pending disconnections and completes pending installations, where that is possible now.
    async fn finish_waiting(&self, store: &Store) {
        let (settled, exchanged) = tokio::join!(self.complete_revocations(store), self.exchange_kept(store));
        if let Err(error) = settled {
            tracing::warn!(%error, "processing pending calls to /oauth/revoked failed; retrying");
        }
        if let Err(error) = exchanged {
            tracing::warn!(%error, "completing pending installations failed; retrying");
        }
    }

    /// Reloads the accounts if another process changed one.
    async fn poll(&self, store: &Store) -> Result<(), StoreError> {
        let there: HashMap<AccountKey, u64> = store.accounts().generations().await?.into_iter().collect();
        let known = self.entries();
        let same = |entry: &Arc<Entry>| there.get(&entry.record.key) == Some(&entry.record.generation);
        if known.len() == self.readable(&there) && known.iter().all(same) {
            return Ok(());
        }
        self.reload().await?;
        let unreadable = there.into_iter().filter(|(key, _)| self.entry_of(key).is_none()).collect();
        *self.0.unreadable.lock().unwrap_or_else(PoisonError::into_inner) = unreadable;
        self.apply_changes(&known);
        Ok(())
    }

    /// Returns the number of these rows without those that are known to be unreadable, which would look like a change
    /// at every poll.
    fn readable(&self, there: &HashMap<AccountKey, u64>) -> usize {
        let unreadable = self.0.unreadable.lock().unwrap_or_else(PoisonError::into_inner);
        there.iter().filter(|(key, generation)| unreadable.get(*key) != Some(*generation)).count()
    }

    /// After another process has changed accounts, resumes deliveries, and records which accounts wait for an operator
    /// and which no longer do.
    fn apply_changes(&self, known: &[Arc<Entry>]) {
        let known_by_key: HashMap<&AccountKey, &Arc<Entry>> =
            known.iter().map(|before| (&before.record.key, before)).collect();
        for entry in self.entries() {
            let before = known_by_key.get(&entry.record.key);
            let was_good = before.is_some_and(|before| before.open().is_ok());
            match (entry.open(), &entry.record.origin) {
                (Ok((_, origin)), _) if !was_good => self.resume_with_new_token(origin),
                (Err(error), Some(origin))
                    if was_good && entry.record.authorization.state() != AccountState::Revoked =>
                {
                    self.wait_for_operator(origin, &error.what());
                }
                _ => {}
            }
        }
        for origin in known.iter().filter_map(|before| before.record.origin.as_deref()) {
            if self.entry(origin).is_none() && self.0.parts.health.account_resumes(origin) {
                // If deliveries wait, the next one reports the cause.
                self.0.parts.limiter.probe_next(origin);
            }
        }
    }

    /// Returns the time until the tokens are due for renewal; `None` if they are unusable.
    fn due_in(&self, entry: &Entry) -> Option<Duration> {
        let (open, _) = entry.open().ok()?;
        let clock = &self.0.parts.clock;
        // Tokens under the previous key are not renewed early: the daily renewal uses the current key anyway.
        let left = due::renewed_at(open.tokens.obtained_at, open.tokens.expires_at).since(clock.now());
        let pause = self.paused_until(&entry.record.key).unwrap_or_default();
        Some(left.max(pause.saturating_sub(clock.elapsed())))
    }

    fn entries(&self) -> Vec<Arc<Entry>> {
        self.directory().entries().cloned().collect()
    }
}
