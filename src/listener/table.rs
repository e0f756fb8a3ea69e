//! Decides which connection to close when a new one finds no slot.
//!
//! A connection either waits for its caller (for the first byte, the rest of a request, the next request, or until
//! the caller accepts a response), or the bridge works on its request. Only a waiting connection is ever closed: the
//! one that has waited longest. An incomplete body counts like an incomplete head, because the bridge has not read its
//! token yet. So a caller keeps a slot only while the bridge has something to do for it.
//!
//! A stranger that has waited longer than an honest caller needs to send its request is closed before a connection
//! whose caller has proved itself. Young connections are never closed, because their bytes may have arrived without
//! being read yet.
//!
//! No I/O and no clock: times are arguments. Each step costs O(log n).

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use model::maps::HashMap;

/// A connection that has waited for less is not closed, because the bridge may not have read yet what has arrived.
const MIN_WAIT_BEFORE_CLOSE: Duration = Duration::from_millis(100);
/// An honest caller sends its request within this time. Strangers that have not are closed before all others.
const STRANGER_WAIT: Duration = Duration::from_secs(1);

/// The id of a connection.
pub(super) type Id = u64;

/// All open connections of a listener.
pub(super) struct Table {
    max: usize,
    next: Id,
    rows: HashMap<Id, Row>,
    /// Connections that wait for their caller, by the start of the wait.
    strangers: BTreeSet<(Instant, Id)>,
    proven: BTreeSet<(Instant, Id)>,
    /// The connection that was asked to close and has not closed yet.
    asked: Option<Id>,
    in_progress: usize,
}

#[derive(Default)]
struct Row {
    waits: Option<Wait>,
    in_progress: bool,
}

#[derive(Clone, Copy)]
struct Wait {
    since: Instant,
    proven: bool,
}

/// The answer to a new connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// It gets a slot.
    Slot(Id),
    /// No slot yet: this connection must close first. Ask again after a change.
    AfterClosing(Id),
    /// No slot yet: the connection that was asked to close has not closed.
    Soon,
    /// No slot, and no connection can be closed now. Ask again after a change, or at this time, when a connection that
    /// waits for its caller is old enough to be closed.
    Full(Option<Instant>),
}

impl Table {
    /// Creates an empty table with `max` slots.
    pub(super) fn new(max: usize) -> Self {
        Self {
            max,
            next: 0,
            rows: HashMap::new(),
            strangers: BTreeSet::new(),
            proven: BTreeSet::new(),
            asked: None,
            in_progress: 0,
        }
    }

    /// Finds a slot for a new connection, which then waits for its caller.
    pub(super) fn admit(&mut self, now: Instant) -> Admission {
        if self.rows.len() < self.max {
            // A slot became free, so the connection that was asked may stay.
            self.asked = None;
            let id = self.next;
            self.next += 1;
            self.rows.insert(id, Row::default());
            self.waits(id, false, now);
            return Admission::Slot(id);
        }
        if self.asked.is_some() {
            return Admission::Soon;
        }
        match victim(self.strangers.first(), self.proven.first(), now) {
            Victim::Now(id) => {
                self.asked = Some(id);
                Admission::AfterClosing(id)
            }
            Victim::At(time) => Admission::Full(Some(time)),
            Victim::None => Admission::Full(None),
        }
    }

    /// Records that `id` waits for its caller, who has proved itself or not. Returns whether that may help a new
    /// connection.
    pub(super) fn waits(&mut self, id: Id, proven: bool, now: Instant) -> bool {
        let Some(row) = self.rows.get_mut(&id) else { return false };
        let before = row.waits.replace(Wait { since: now, proven });
        self.unlist(id, before);
        self.list(proven).insert((now, id));
        self.is_full()
    }

    /// Records that the bridge works for `id`. Returns whether a new connection must find another one to close.
    pub(super) fn works(&mut self, id: Id) -> bool {
        let before = self.rows.get_mut(&id).and_then(|row| row.waits.take());
        self.unlist(id, before)
    }

    /// Whether a request may start: only while fewer than `share` are in progress.
    pub(super) fn may_begin(&self, share: usize) -> bool {
        self.in_progress < share
    }

    /// Records that the request of `id` is complete and in progress. A request that is still arriving does not count:
    /// it must not keep others out.
    pub(super) fn begins(&mut self, id: Id) {
        if let Some(row) = self.rows.get_mut(&id) {
            self.in_progress += usize::from(!row.in_progress);
            row.in_progress = true;
        }
    }

    /// Records that the request of `id`, if any, is no longer in progress.
    pub(super) fn finishes(&mut self, id: Id) {
        if let Some(row) = self.rows.get_mut(&id) {
            self.in_progress -= usize::from(row.in_progress);
            row.in_progress = false;
        }
    }

    /// Whether `id` must still close: not if its caller has sent something since it was asked, or if another slot
    /// has become free.
    pub(super) fn closes(&self, id: Id) -> bool {
        self.asked == Some(id)
    }

    /// Records that `id` is closed.
    pub(super) fn closed(&mut self, id: Id) {
        self.finishes(id);
        if let Some(row) = self.rows.remove(&id) {
            self.unlist(id, row.waits);
        }
    }

    fn is_full(&self) -> bool {
        self.rows.len() >= self.max
    }

    fn list(&mut self, proven: bool) -> &mut BTreeSet<(Instant, Id)> {
        if proven { &mut self.proven } else { &mut self.strangers }
    }

    /// Removes the wait of `id`. Returns whether it had been asked to close.
    fn unlist(&mut self, id: Id, wait: Option<Wait>) -> bool {
        if let Some(Wait { since, proven }) = wait {
            self.list(proven).remove(&(since, id));
        }
        self.asked.take_if(|asked| *asked == id).is_some()
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Victim {
    Now(Id),
    At(Instant),
    None,
}

/// Returns which connection to close: the stranger or the proven one that has waited longest.
fn victim(stranger: Option<&(Instant, Id)>, proven: Option<&(Instant, Id)>, now: Instant) -> Victim {
    let overdue = stranger.filter(|(since, _)| now.saturating_duration_since(*since) >= STRANGER_WAIT);
    let Some((since, id)) = overdue.or(stranger.into_iter().chain(proven).min()) else { return Victim::None };
    let old_enough = *since + MIN_WAIT_BEFORE_CLOSE;
    if now < old_enough { Victim::At(old_enough) } else { Victim::Now(*id) }
}

#[cfg(test)]
mod tests;
