//! What a connection is busy with, as its stream, its requests and its answers report it.
//!
//! All reports come from the one task that drives the connection, one after the other; what is atomic here is so because
//! the parts of a connection share it. Most reports change nothing and take no lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering::Relaxed};

use super::places::{Bell, Place, Places};
use super::table::Id;

/// So many requests that prove nothing a caller may send on one connection without a good one among them: refused ones, and
/// those that anyone could send. The answer to the last one closes the connection, so no one can fill buffers with them.
const MAX_UNPROVEN: u32 = 8;

/// Nothing of a request is there.
const IDLE: u8 = 0;
/// A request has begun to come.
const RECEIVING: u8 = 1;
/// The request is whole, or the rest of it does not matter.
const WORKING: u8 = 2;
/// The answer is made, and on its way.
const ANSWERED: u8 = 3;

/// The reports of one connection.
pub(super) struct Line {
    places: Places,
    id: Id,
    stage: AtomicU8,
    stalled: AtomicBool,
    proven: AtomicBool,
    unproven: AtomicU32,
    bell: Arc<Bell>,
}

impl Line {
    /// A connection that has just got its place.
    pub(super) fn new(place: &Place) -> Self {
        Self {
            places: place.places().clone(),
            id: place.id(),
            stage: AtomicU8::new(IDLE),
            stalled: AtomicBool::new(false),
            proven: AtomicBool::new(false),
            unproven: AtomicU32::new(0),
            bell: place.bell(),
        }
    }

    pub(super) fn places(&self) -> &Places {
        &self.places
    }

    /// Bytes have arrived.
    pub(super) fn heard(&self) {
        if self.moves(IDLE, RECEIVING) {
            self.waits();
        }
    }

    /// A request's head is whole, and if `whole` the request is. Returns whether it may begin: only while fewer than `share`
    /// requests of the listener are in progress.
    pub(super) fn begins(&self, share: usize, whole: bool) -> bool {
        let may_begin = self.places.may_begin(share);
        // Its first bytes may have come with the request before it, and the answer to that one may not be flushed yet.
        if self.stage.swap(RECEIVING, Relaxed) != RECEIVING {
            self.waits();
        }
        if whole {
            self.received();
        }
        may_begin
    }

    /// The request is whole, or the bridge has read all that it wants of it.
    pub(super) fn received(&self) {
        if self.moves(RECEIVING, WORKING) {
            // The answer to the request before it may be stuck still: it is noted again with the next write.
            self.stalled.store(false, Relaxed);
            self.places.begins(self.id);
        }
    }

    /// The answer is held back for a while. The caller waits, not the bridge, so the connection may be closed meanwhile.
    pub(super) fn pauses(&self) {
        self.rests();
    }

    /// The pause is over.
    pub(super) fn resumes(&self) {
        self.places.works(self.id);
    }

    /// A request was good and proves who sent it.
    pub(super) fn proves_itself(&self) {
        self.proven.store(true, Relaxed);
        self.unproven.store(0, Relaxed);
    }

    /// A request was refused, or anyone could have sent it. Returns whether it was one too many.
    pub(super) fn proves_nothing_too_often(&self) -> bool {
        self.unproven.fetch_add(1, Relaxed) + 1 >= MAX_UNPROVEN
    }

    /// Whether the connection closes with this answer, because a new one needs its place.
    pub(super) fn makes_room(&self) -> bool {
        self.places.need_place_of(&self.bell)
    }

    /// The whole answer has been handed over for writing.
    pub(super) fn answered(&self) {
        self.stage.store(ANSWERED, Relaxed);
    }

    /// All that was handed over is written.
    pub(super) fn flushed(&self) {
        if self.moves(ANSWERED, IDLE) {
            self.rests();
        }
    }

    /// The caller takes nothing of its answer at the moment.
    pub(super) fn stalls(&self) {
        if self.stage.load(Relaxed) >= WORKING && !self.stalled.swap(true, Relaxed) {
            self.waits();
        }
    }

    /// The caller takes something of its answer again.
    pub(super) fn goes_on(&self) {
        // If the next request is coming already, its caller is waited for all the same.
        if self.stalled.swap(false, Relaxed) && self.stage.load(Relaxed) >= WORKING {
            self.places.works(self.id);
        }
    }

    fn waits(&self) {
        self.places.waits(self.id, self.proven.load(Relaxed));
    }

    fn rests(&self) {
        self.places.rests(self.id, self.proven.load(Relaxed));
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

    /// A connection at a listener with one place.
    async fn alone() -> (Places, Place, Line) {
        let places = Places::new(options(1, Duration::from_secs(60)));
        let place = places.admit().await;
        let line = Line::new(&place);
        (places, place, line)
    }

    /// Whether a new connection would close this one.
    async fn can_be_closed(places: &Places, place: &Place) -> bool {
        tokio::select! {
            biased;
            _ = places.admit() => false,
            () = place.asked() => place.closes(),
            () = tokio::time::sleep(Duration::from_secs(10)) => false,
        }
    }

    /// A whole request, and an answer that its peer does not take.
    fn answers_in_vain(line: &Line) {
        line.heard();
        line.begins(usize::MAX, true);
        line.answered();
        line.stalls();
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_takes_a_little_while_its_next_request_comes_is_waited_for() {
        let (places, place, line) = alone().await;
        answers_in_vain(&line);
        line.begins(usize::MAX, false);
        line.goes_on();
        assert!(can_be_closed(&places, &place).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_was_to_close_when_a_request_came_closes_with_its_answer() {
        let (places, place, line) = alone().await;
        assert!(!line.makes_room());
        assert!(can_be_closed(&places, &place).await);
        line.heard();
        line.begins(usize::MAX, true);
        assert!(!place.closes() && line.makes_room());
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_takes_no_answer_is_waited_for_after_each_request() {
        let (places, place, line) = alone().await;
        answers_in_vain(&line);
        line.begins(usize::MAX, true);
        assert!(!can_be_closed(&places, &place).await, "the bridge works on it");
        line.answered();
        line.stalls();
        assert!(can_be_closed(&places, &place).await);
    }
}
