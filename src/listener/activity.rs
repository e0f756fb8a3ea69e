//! What a connection is doing, according to its stream, requests and responses.
//!
//! All reports come from the single task that drives the connection. The fields are atomic only because the parts of
//! a connection share them. Most reports change nothing and take no lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering::Relaxed};

use super::slots::{CloseSignal, Slot, Slots};
use super::table::Id;

/// The maximum number of consecutive requests on one connection that prove nothing: refused ones, and ones that anyone
/// could send. The response to the last of them closes the connection, so no one can use it to fill buffers.
const MAX_UNPROVEN: u32 = 8;

/// No part of a request has arrived.
const IDLE: u8 = 0;
/// A request has started to arrive.
const RECEIVING: u8 = 1;
/// The request is complete, or the bridge does not need the rest of it.
const WORKING: u8 = 2;
/// The response exists and is being sent.
const ANSWERED: u8 = 3;

/// The activity of one connection.
pub(super) struct Activity {
    slots: Slots,
    id: Id,
    stage: AtomicU8,
    stalled: AtomicBool,
    proven: AtomicBool,
    unproven: AtomicU32,
    close_signal: Arc<CloseSignal>,
}

impl Activity {
    /// Creates the activity of a connection that has just got its slot.
    pub(super) fn new(slot: &Slot) -> Self {
        Self {
            slots: slot.slots().clone(),
            id: slot.id(),
            stage: AtomicU8::new(IDLE),
            stalled: AtomicBool::new(false),
            proven: AtomicBool::new(false),
            unproven: AtomicU32::new(0),
            close_signal: slot.close_signal(),
        }
    }

    pub(super) fn slots(&self) -> &Slots {
        &self.slots
    }

    /// Records that bytes have arrived.
    pub(super) fn bytes_arrived(&self) {
        if self.moves(IDLE, RECEIVING) {
            self.waits();
        }
    }

    /// Records that a request's head is complete, and if `whole`, the request. Returns whether the request may start:
    /// only while fewer than `share` requests of the listener are in progress.
    pub(super) fn begins(&self, share: usize, whole: bool) -> bool {
        let may_begin = self.slots.may_begin(share);
        // Its first bytes may have arrived with the previous request, and the response to that one may not be flushed
        // yet.
        if self.stage.swap(RECEIVING, Relaxed) != RECEIVING {
            self.waits();
        }
        if whole {
            self.received();
        }
        may_begin
    }

    /// Records that the request is complete, or that the bridge does not need the rest of it.
    pub(super) fn received(&self) {
        if self.moves(RECEIVING, WORKING) {
            // The response to the previous request may still be stuck; the next write records that again.
            self.stalled.store(false, Relaxed);
            self.slots.begins(self.id);
        }
    }

    /// Records that the response is delayed. The caller waits, not the bridge, so the connection may be closed
    /// meanwhile.
    pub(super) fn pauses(&self) {
        self.rests();
    }

    /// Records the end of the delay.
    pub(super) fn resumes(&self) {
        self.slots.works(self.id);
    }

    /// Records a good request that proves who sent it.
    pub(super) fn proves_itself(&self) {
        self.proven.store(true, Relaxed);
        self.unproven.store(0, Relaxed);
    }

    /// Records a request that was refused, or that anyone could have sent. Returns whether the limit is reached.
    pub(super) fn reaches_unproven_limit(&self) -> bool {
        self.unproven.fetch_add(1, Relaxed) + 1 >= MAX_UNPROVEN
    }

    /// Whether the connection must close with this response, because a new one needs its slot.
    pub(super) fn makes_room(&self) -> bool {
        self.slots.needs_slot_of(&self.close_signal)
    }

    /// Records that the whole response has been handed over for writing.
    pub(super) fn answered(&self) {
        self.stage.store(ANSWERED, Relaxed);
    }

    /// Records that everything handed over is written.
    pub(super) fn flushed(&self) {
        if self.moves(ANSWERED, IDLE) {
            self.rests();
        }
    }

    /// Records that the caller currently accepts nothing of its response.
    pub(super) fn stalls(&self) {
        if self.stage.load(Relaxed) >= WORKING && !self.stalled.swap(true, Relaxed) {
            self.waits();
        }
    }

    /// Records that the caller accepts parts of its response again.
    pub(super) fn accepts_again(&self) {
        // If the next request is already arriving, the connection still waits for its caller.
        if self.stalled.swap(false, Relaxed) && self.stage.load(Relaxed) >= WORKING {
            self.slots.works(self.id);
        }
    }

    fn waits(&self) {
        self.slots.waits(self.id, self.proven.load(Relaxed));
    }

    fn rests(&self) {
        self.slots.rests(self.id, self.proven.load(Relaxed));
    }

    fn moves(&self, from: u8, to: u8) -> bool {
        self.stage.compare_exchange(from, to, Relaxed, Relaxed).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::tests::options;
    use super::*;

    /// A connection at a listener with one slot.
    async fn alone() -> (Slots, Slot, Activity) {
        let slots = Slots::new(options(1, Duration::from_secs(60)));
        let slot = slots.admit().await;
        let activity = Activity::new(&slot);
        (slots, slot, activity)
    }

    /// Whether a new connection would close this one.
    async fn can_be_closed(slots: &Slots, slot: &Slot) -> bool {
        tokio::select! {
            biased;
            _ = slots.admit() => false,
            () = slot.asked() => slot.closes(),
            () = tokio::time::sleep(Duration::from_secs(10)) => false,
        }
    }

    /// A complete request, and a response that its peer does not accept.
    fn responds_to_stalled_peer(activity: &Activity) {
        activity.bytes_arrived();
        activity.begins(usize::MAX, true);
        activity.answered();
        activity.stalls();
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_reads_a_little_during_its_next_request_counts_as_waiting() {
        let (slots, slot, activity) = alone().await;
        responds_to_stalled_peer(&activity);
        activity.begins(usize::MAX, false);
        activity.accepts_again();
        assert!(can_be_closed(&slots, &slot).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_asked_to_close_when_a_request_arrives_closes_with_its_response() {
        let (slots, slot, activity) = alone().await;
        assert!(!activity.makes_room());
        assert!(can_be_closed(&slots, &slot).await);
        activity.bytes_arrived();
        activity.begins(usize::MAX, true);
        assert!(!slot.closes() && activity.makes_room());
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_reads_no_response_counts_as_waiting_after_each_request() {
        let (slots, slot, activity) = alone().await;
        responds_to_stalled_peer(&activity);
        activity.begins(usize::MAX, true);
        assert!(!can_be_closed(&slots, &slot).await, "the bridge works on its request");
        activity.answered();
        activity.stalls();
        assert!(can_be_closed(&slots, &slot).await);
    }
}
