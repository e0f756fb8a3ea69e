//! Decides which connection is closed when a new one finds no place.
//!
//! A connection either waits for its caller (for the first byte, for the rest of a request, for the next request, or for
//! the caller to take an answer) or the bridge works on its request. Only one that waits is ever chosen: the one that has
//! waited longest. A body that is not whole is no better than half a head, because its token has not been read yet. So a
//! caller keeps a place only while it has something for the bridge to do.
//!
//! Strangers go before connections on which a caller has proved itself, as long as honest callers are sure to have sent
//! their request by then. Nothing young is chosen: its bytes may have arrived and not be read yet.
//!
//! No I/O and no clock: times come in. Each step costs O(log n).

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use tokio::time::Instant;

/// A connection that has waited for less is not closed: the bridge may not have read yet what has arrived.
const MIN_WAIT_BEFORE_CLOSE: Duration = Duration::from_millis(100);
/// An honest caller has sent its request by then. Strangers that have not are closed before all others.
const STRANGER_WAIT: Duration = Duration::from_secs(1);

/// The name of a connection.
pub(super) type Id = u64;

/// All open connections of a listener.
pub(super) struct Table {
    max: usize,
    next: Id,
    rows: HashMap<Id, Row>,
    /// Those that wait for their caller, by when the wait began.
    strangers: BTreeSet<(Instant, Id)>,
    proven: BTreeSet<(Instant, Id)>,
    /// The connection that was asked to close and has not yet.
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

/// What a new connection gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// A place.
    Place(Id),
    /// Nothing yet: this connection is to close. Ask again when something has changed.
    AfterClosing(Id),
    /// Nothing: the connection that was asked has not closed yet.
    Soon,
    /// Nothing: the bridge works on every request. Ask again when something has changed, or at this time, when a connection
    /// that waits for its caller is old enough to be closed.
    Full(Option<Instant>),
}

impl Table {
    /// No connection, and places for `max`.
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

    /// Finds a place for a new connection, which then waits for its caller.
    pub(super) fn admit(&mut self, now: Instant) -> Admission {
        if self.rows.len() < self.max {
            // A place came free, so the one that was asked may stay.
            self.asked = None;
            let id = self.next;
            self.next += 1;
            self.rows.insert(id, Row::default());
            self.waits(id, false, now);
            return Admission::Place(id);
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

    /// From now on `id` waits for its caller, who has proved itself or not. Returns whether that may help a new connection.
    pub(super) fn waits(&mut self, id: Id, proven: bool, now: Instant) -> bool {
        let Some(row) = self.rows.get_mut(&id) else { return false };
        let before = row.waits.replace(Wait { since: now, proven });
        self.unlist(id, before);
        self.list(proven).insert((now, id));
        self.is_full()
    }

    /// From now on the bridge works for `id`. Returns whether a new connection has to look for another one to close.
    pub(super) fn works(&mut self, id: Id) -> bool {
        let before = self.rows.get_mut(&id).and_then(|row| row.waits.take());
        self.unlist(id, before)
    }

    /// Whether a request may begin: only while fewer than `share` are in progress.
    pub(super) fn may_begin(&self, share: usize) -> bool {
        self.in_progress < share
    }

    /// The request of `id` is whole and in progress from now on. One that is still coming is not: it must keep no others out.
    pub(super) fn begins(&mut self, id: Id) {
        if let Some(row) = self.rows.get_mut(&id) {
            self.in_progress += usize::from(!row.in_progress);
            row.in_progress = true;
        }
    }

    /// The request of `id`, if it has one, is no longer in progress.
    pub(super) fn finishes(&mut self, id: Id) {
        if let Some(row) = self.rows.get_mut(&id) {
            self.in_progress -= usize::from(row.in_progress);
            row.in_progress = false;
        }
    }

    /// Whether `id` is to close now. It is not if its caller was heard since it was asked, or if another place came free.
    pub(super) fn closes(&self, id: Id) -> bool {
        self.asked == Some(id)
    }

    /// `id` is closed.
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

    /// Forgets that `id` waited. Returns whether it had been asked to close.
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

/// Which connection closes, of the stranger and the proven one that have waited longest.
fn victim(stranger: Option<&(Instant, Id)>, proven: Option<&(Instant, Id)>, now: Instant) -> Victim {
    let overdue = stranger.filter(|(since, _)| now.saturating_duration_since(*since) >= STRANGER_WAIT);
    let Some((since, id)) = overdue.or(stranger.into_iter().chain(proven).min()) else { return Victim::None };
    let old_enough = *since + MIN_WAIT_BEFORE_CLOSE;
    if now < old_enough { Victim::At(old_enough) } else { Victim::Now(*id) }
}

#[cfg(test)]
mod tests;
