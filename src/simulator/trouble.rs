//! What goes wrong with the account as a whole, as tests order it.

use std::collections::VecDeque;
use std::sync::Mutex;

use super::account::lock;
use super::fault::Fault;

/// An outage goes on until it is taken back; each fault of the queue happens once.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    outage: Mutex<Option<Fault>>,
    api: Mutex<VecDeque<Fault>>,
}

impl Trouble {
    pub(super) fn set_outage(&self, outage: Option<Fault>) {
        *lock(&self.outage) = outage;
    }

    pub(super) fn outage(&self) -> Option<Fault> {
        lock(&self.outage).clone()
    }

    pub(super) fn queue_api(&self, faults: impl IntoIterator<Item = Fault>) {
        lock(&self.api).extend(faults);
    }

    /// The next fault for a call of the API that is no continue.
    pub(super) fn next_api(&self) -> Option<Fault> {
        lock(&self.api).pop_front()
    }
}
