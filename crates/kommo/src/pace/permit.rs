//! The permission for one call: from its reservation to what its answer says of the account.

use std::sync::Arc;
use std::time::Duration;

use model::Timestamp;

use super::cause::{Pause, Source};
use super::effects::{GoesOn, PauseBegan, Standing};
use super::limiter::{Gate, Paused};
use super::state::{Errand, Ticket};

/// How far the call of a [`Pass`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It has a ticket, and has not gone out.
    Reserved,
    /// It has gone out.
    Started,
    /// The pace knows what its answer says about the account, or has the ticket back.
    Settled,
}

/// The permission for one call, and perhaps a place for it. Dropping it gives back what was not used.
pub struct Pass {
    gate: Arc<Gate>,
    account: Arc<str>,
    ticket: Ticket,
    /// It is for a continue, which holds a place; any other call holds none.
    has_place: bool,
    stage: Stage,
    /// By the steady clock.
    started_at: Option<Timestamp>,
}

impl Pass {
    pub(super) const fn new(gate: Arc<Gate>, account: Arc<str>, ticket: Ticket, has_place: bool) -> Self {
        Self { gate, account, ticket, has_place, stage: Stage::Reserved, started_at: None }
    }

    /// The address by which the account is paced.
    pub fn account(&self) -> Arc<str> {
        self.account.clone()
    }

    /// Whether the answer to this call decides if a pause is over.
    pub const fn is_probe(&self) -> bool {
        self.ticket.is_probe()
    }

    /// The call goes out now, if it still may.
    ///
    /// # Errors
    /// A pause of the account, or of all, has begun since the call was reserved. Its ticket is given back.
    pub fn start(&mut self) -> Result<(), Paused> {
        let now = self.gate.clock.elapsed();
        let started = self.gate.lock().pace.start(&self.account, &mut self.ticket, now);
        if !started {
            self.stage = Stage::Settled;
            self.gate.tell(&self.account);
            return Err(Paused { left: self.gate.wait(&self.account) });
        }
        self.stage = Stage::Started;
        self.started_at = Some(self.gate.clock.steady());
        Ok(())
    }

    /// Whether a call was begun with it.
    pub const fn has_started(&self) -> bool {
        self.started_at.is_some()
    }

    /// The answer shows that the account takes calls. Says what that ended.
    pub fn fine(&mut self) -> GoesOn {
        self.stage = Stage::Settled;
        let continued = self.started_at.filter(|_| self.has_place);
        let ended = self.gate.lock().pace.fine(&self.account, self.ticket, continued);
        if ended.account || ended.everybody {
            self.gate.tell(&self.account);
        }
        ended.refused.iter().for_each(|account| self.gate.tell(account));
        self.gate.tell_went_on(&self.account, ended.account);
        ended
    }

    /// How the account is, seen from this call, which it refused.
    pub fn standing(&self, source: Source) -> Standing {
        self.gate.lock().pace.standing(&self.account, self.ticket, source)
    }

    /// The answer asks to wait. Says which pause this began; none if a later one is on already.
    pub fn pause(&mut self, pause: Pause) -> Option<PauseBegan> {
        let now = self.gate.clock.elapsed();
        let mut inside = self.gate.lock();
        if self.stage == Stage::Reserved {
            inside.pace.release(&self.account, self.ticket);
        }
        self.stage = Stage::Settled;
        inside.pace.pause(&self.account, self.ticket, pause, now)
    }

    /// Gives the ticket back, and keeps the place: something has to be waited for before the call can go out.
    pub fn give_back(&mut self) {
        self.settle();
        self.gate.tell(&self.account);
    }

    /// Waits, at most `patience`, for another ticket in the same place: for a call in addition, or for one whose ticket
    /// was given back.
    ///
    /// # Errors
    /// The turn does not come in time. Then there is no ticket any more.
    pub async fn renew(&mut self, patience: Duration) -> Result<(), Paused> {
        self.give_back();
        self.ticket = self.gate.ticket(&self.account, Errand::Call, patience).await?;
        self.stage = Stage::Reserved;
        Ok(())
    }

    fn settle(&mut self) {
        let mut inside = self.gate.lock();
        match self.stage {
            Stage::Reserved => inside.pace.release(&self.account, self.ticket),
            Stage::Started => inside.pace.unknown(&self.account, self.ticket),
            Stage::Settled => {}
        }
        self.stage = Stage::Settled;
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.settle();
        if self.has_place {
            self.gate.lock().shares.give_back(&self.account);
        }
        self.gate.tell(&self.account);
    }
}
