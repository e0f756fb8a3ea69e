//! The faults of the account as a whole, as tests set them.

use std::collections::VecDeque;
use std::sync::Mutex;

use super::account::lock;
use super::fault::Fault;

/// An outage lasts until it is cleared. Each queued fault is played once.
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

    /// The next fault for an API call that is not a continue.
    pub(super) fn next_api(&self) -> Option<Fault> {
        lock(&self.api).pop_front()
    }

    pub(super) fn set_oauth_outage(&self, outage: Option<Fault>) {
        *lock(&self.oauth_outage) = outage;
    }

    pub(super) fn queue_oauth(&self, faults: impl IntoIterator<Item = Fault>) {
        lock(&self.oauth).extend(faults);
    }

    /// The fault for this call of the OAuth endpoints: the outage, else the next one queued.
    pub(super) fn next_oauth(&self) -> Option<Fault> {
        lock(&self.oauth_outage).clone().or_else(|| lock(&self.oauth).pop_front())
    }
}
