//! The permit for one call, from its reservation until its response is recorded.

use std::sync::Arc;
use std::time::Duration;

use model::Timestamp;

use super::cause::{Pause, Source};
use super::effects::{AccountEvidence, PauseStarted, Resumed};
use super::limiter::{CallLimiter, Paused};
use super::state::{CallKind, LimiterState, Reservation};

/// The progress of a [`Permit`]'s call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It has a reservation, and has not started.
    Reserved,
    /// It has started.
    Started,
    /// Its response is recorded, or its reservation is released.
    Settled,
}

impl Stage {
    /// Ends a call whose response, if there is one, shows nothing.
    fn settle(&mut self, state: &mut LimiterState, account: &str, reservation: Reservation) {
        match self {
            Self::Reserved => state.release(account, reservation),
            Self::Started => state.inconclusive(account, reservation),
            Self::Settled => {}
        }
        *self = Self::Settled;
    }
}

/// The right to make one call. Dropping it releases what was not used.
pub struct Permit {
    limiter: Arc<CallLimiter>,
    account: Arc<str>,
    reservation: Reservation,
    /// Whether the call is a continue. Only continues count towards the limit on continues in flight.
    is_continue: bool,
    stage: Stage,
    /// When the call started, by the steady clock.
    started_at: Option<Timestamp>,
}

impl Permit {
    pub(super) const fn new(
        limiter: Arc<CallLimiter>,
        account: Arc<str>,
        reservation: Reservation,
        is_continue: bool,
    ) -> Self {
        Self { limiter, account, reservation, is_continue, stage: Stage::Reserved, started_at: None }
    }

    /// The address of the account, which identifies it to the limiter.
    pub fn account(&self) -> Arc<str> {
        self.account.clone()
    }

    /// Whether the response to this call decides if a pause ends.
    pub const fn is_probe(&self) -> bool {
        self.reservation.is_probe()
    }

    /// Starts the call, if it is still allowed.
    ///
    /// # Errors
    /// A pause of the account, or of all accounts, has begun since the reservation. The reservation is released.
    pub fn start(&mut self) -> Result<(), Paused> {
        let now = self.limiter.clock.elapsed();
        let started = self.limiter.lock().state.start(&self.account, &mut self.reservation, now);
        if !started {
            self.stage = Stage::Settled;
            self.limiter.notify(&self.account);
            return Err(Paused { left: self.limiter.wait(&self.account) });
        }
        self.stage = Stage::Started;
        self.started_at = Some(self.limiter.clock.steady());
        Ok(())
    }

    /// Whether a call has started with this permit.
    pub const fn has_started(&self) -> bool {
        self.started_at.is_some()
    }

    /// Records that the account accepts calls, according to the response. Returns the pauses that this ended.
    pub fn succeeded(&mut self) -> Resumed {
        self.stage = Stage::Settled;
        let continued = self.started_at.filter(|_| self.is_continue);
        let ended = self.limiter.lock().state.succeeded(&self.account, self.reservation, continued);
        if ended.account || ended.all_accounts {
            self.limiter.notify(&self.account);
        }
        ended.refused.iter().for_each(|account| self.limiter.notify(account));
        self.limiter.notify_resumed(&self.account, ended.account);
        ended
    }

    /// Records that the call failed because of the network or a server, which shows nothing about the pauses.
    pub fn failed(&mut self) {
        if self.stage == Stage::Started {
            self.limiter.lock().state.failed(&self.account, self.reservation);
            self.stage = Stage::Settled;
        }
    }

    /// The evidence about the account, after it has refused this call.
    pub fn evidence(&self, source: Source) -> AccountEvidence {
        self.limiter.lock().state.evidence(&self.account, self.reservation, source)
    }

    /// Records that the response asks to wait. Returns the pause that this starts; `None` if a later pause has already
    /// begun.
    pub fn pause(&mut self, pause: Pause) -> Option<PauseStarted> {
        let now = self.limiter.clock.elapsed();
        let mut inner = self.limiter.lock();
        if self.stage == Stage::Reserved {
            inner.state.release(&self.account, self.reservation);
        }
        self.stage = Stage::Settled;
        inner.state.pause(&self.account, self.reservation, pause, now)
    }

    /// Releases the reservation, because the call must first wait for something else. A continue still counts as in flight.
    pub fn release(&mut self) {
        let mut inner = self.limiter.lock();
        self.stage.settle(&mut inner.state, &self.account, self.reservation);
        drop(inner);
        self.limiter.notify(&self.account);
    }

    /// Waits for another reservation, for at most `patience`: for an additional call, or after [`release`](Self::release).
    ///
    /// # Errors
    /// No reservation becomes available in time. The permit then holds none.
    pub async fn reacquire(&mut self, patience: Duration) -> Result<(), Paused> {
        self.release();
        self.reservation = self.limiter.reserve(&self.account, CallKind::Api, patience).await?;
        self.stage = Stage::Reserved;
        Ok(())
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut inner = self.limiter.lock();
        self.stage.settle(&mut inner.state, &self.account, self.reservation);
        if self.is_continue {
            inner.permits.release(&self.account);
        }
        drop(inner);
        self.limiter.notify(&self.account);
    }
}
