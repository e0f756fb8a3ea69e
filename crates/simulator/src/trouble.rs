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
    oauth_outage: Mutex<Option<Fault>>,
    oauth: Mutex<VecDeque<Fault>>,
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

    pub(super) fn set_oauth_outage(&self, outage: Option<Fault>) {
        *lock(&self.oauth_outage) = outage;
    }

    pub(super) fn queue_oauth(&self, faults: impl IntoIterator<Item = Fault>) {
        lock(&self.oauth).extend(faults);
    }

    /// What goes wrong with this call of the token endpoint.
    pub(super) fn next_oauth(&self) -> Option<Fault> {
        lock(&self.oauth_outage).clone().or_else(|| lock(&self.oauth).pop_front())
    }
}
