//! The slots of a listener: which connections have one, get one or give one up.
//!
//! The table decides. This module adds the lock around it, the waiting, the metrics and the log.
//!
//! Metrics: the gauge `bridge_connections{listener}`, and the counters `bridge_connections_evicted_total{listener}` and
//! `bridge_http_requests_total{listener,route,status}`.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::StatusCode;
use metrics::{Counter, Gauge, counter, gauge};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::meters::Counters;
use model::maps::HashMap;

use super::ListenerOptions;
use super::table::{Admission, Id, Table};

/// The slots of one listener. Clones share them.
#[derive(Clone)]
pub(super) struct Slots(Arc<Inner>);

struct Inner {
    options: ListenerOptions,
    state: Mutex<State>,
    /// Notified when a new connection may get a slot.
    changed: Notify,
    /// Whether a new connection waits for a slot, and no other connection can be closed for it.
    wanted: AtomicBool,
    open: Gauge,
    evicted: Counter,
    /// Requests by listener, route and status.
    requests: Counters<(&'static str, &'static str, u16)>,
}

struct State {
    table: Table,
    close_signals: HashMap<Id, Arc<CloseSignal>>,
}

/// Asks a connection to close.
#[derive(Default)]
pub(super) struct CloseSignal {
    notify: Notify,
    was_sent: AtomicBool,
}

/// The slot of one connection. Dropping it frees the slot.
pub(super) struct Slot {
    slots: Slots,
    id: Id,
    close_signal: Arc<CloseSignal>,
}

impl Slots {
    /// Creates the slots, all of them free.
    pub(super) fn new(options: ListenerOptions) -> Self {
        let state =
            State { table: Table::new(options.limits.max_connections), close_signals: HashMap::new() };
        let open = gauge!("bridge_connections", "listener" => options.name);
        let evicted = counter!("bridge_connections_evicted_total", "listener" => options.name);
        open.increment(0.0);
        evicted.increment(0);
        let (state, changed, wanted) = (Mutex::new(state), Notify::new(), AtomicBool::new(false));
        let requests = Counters::new(
            |(listener, route, status): &(&'static str, &'static str, u16)| counter!("bridge_http_requests_total", "listener" => *listener, "route" => *route, "status" => status.to_string()),
        );
        Self(Arc::new(Inner { options, state, changed, wanted, open, evicted, requests }))
    }

    /// Counts a request.
    pub(super) fn count(&self, route: &'static str, status: StatusCode) {
        self.0.requests.add_one(&(self.0.options.name, route, status.as_u16()));
    }

    /// Returns the listener's options.
    pub(super) fn options(&self) -> &ListenerOptions {
        &self.0.options
    }

    /// Waits for a slot for a new connection. If none is free, asks a connection that waits for its caller to close.
    /// Only one task may wait at a time.
    pub(super) async fn admit(&self) -> Slot {
        let mut full = None;
        loop {
            let now = Instant::now();
            match self.ask(now) {
                Offer::Slot(slot) => {
                    self.0.wanted.store(false, Relaxed);
                    return slot;
                }
                Offer::Closing => self.0.changed.notified().await,
                Offer::Full(Some(until)) => {
                    self.0.wanted.store(true, Relaxed);
                    let _changed_or_time = timeout_at(until, self.0.changed.notified()).await;
                }
                Offer::Full(None) => {
                    self.0.wanted.store(true, Relaxed);
                    full.get_or_insert_with(|| Full::since(now, self.clone()));
                    self.0.changed.notified().await;
                }
            }
        }
    }

    fn ask(&self, now: Instant) -> Offer {
        let mut state = self.state();
        match state.table.admit(now) {
            Admission::Slot(id) => {
                let close_signal = Arc::<CloseSignal>::default();
                state.close_signals.insert(id, close_signal.clone());
                self.0.open.increment(1.0);
                Offer::Slot(Slot { slots: self.clone(), id, close_signal })
            }
            Admission::AfterClosing(id) => {
                if let Some(close_signal) = state.close_signals.get(&id) {
                    close_signal.was_sent.store(true, Relaxed);
                    close_signal.notify.notify_one();
                }
                Offer::Closing
            }
            Admission::Soon => Offer::Closing,
            Admission::Full(until) => Offer::Full(until),
        }
    }

    /// Records that `id` waits for its caller from now on; `proven` is whether the caller has proved itself.
    pub(super) fn waits(&self, id: Id, proven: bool) {
        let may_help = self.state().table.waits(id, proven, Instant::now());
        self.wake_if(may_help);
    }

    /// Records that the bridge works on a request of `id` from now on.
    pub(super) fn works(&self, id: Id) {
        let declined = self.state().table.works(id);
        self.wake_if(declined);
    }

    /// Whether a request may start: only while fewer than `share` are in progress.
    pub(super) fn may_begin(&self, share: usize) -> bool {
        self.state().table.may_begin(share)
    }

    /// Records that the request of `id` is in progress from now on.
    pub(super) fn begins(&self, id: Id) {
        let mut state = self.state();
        state.table.begins(id);
        let declined = state.table.works(id);
        drop(state);
        self.wake_if(declined);
    }

    /// Records that the request of `id` has ended, and that the connection waits for its caller.
    pub(super) fn rests(&self, id: Id, proven: bool) {
        let mut state = self.state();
        state.table.finishes(id);
        let may_help = state.table.waits(id, proven, Instant::now());
        drop(state);
        self.wake_if(may_help);
    }

    /// Whether a connection must close with its next response: because its request arrived after it was asked to close,
    /// or because a new connection waits and no other connection can be closed. Without the second reason, callers that
    /// send one request after another would never make room. Counts and logs the closing.
    pub(super) fn needs_slot_of(&self, close_signal: &CloseSignal) -> bool {
        let wanted = &self.0.wanted;
        let needed =
            close_signal.was_sent.load(Relaxed) || wanted.load(Relaxed) && wanted.swap(false, Relaxed);
        if needed {
            self.report_closed();
        }
        needed
    }

    fn report_closed(&self) {
        self.0.evicted.increment(1);
        let options = self.options();
        if options.log_limiter.allows("evicted") {
            tracing::warn!(
                listener = options.name,
                max_connections = options.limits.max_connections,
                "listener is full: closed a connection that was waiting or finished, to accept a new one"
            );
        }
    }

    fn wake_if(&self, may_help: bool) {
        if may_help {
            self.0.changed.notify_one();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Ignores poisoning: each change is a single step, so a panic leaves no inconsistent state.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Offer {
    Slot(Slot),
    /// Another connection is closing.
    Closing,
    Full(Option<Instant>),
}

impl Slot {
    pub(super) fn slots(&self) -> &Slots {
        &self.slots
    }

    pub(super) fn id(&self) -> Id {
        self.id
    }

    /// Waits until the connection may have to close; [`closes`](Self::closes) decides.
    pub(super) async fn asked(&self) {
        self.close_signal.notify.notified().await;
    }

    /// Returns the signal that asks the connection to close.
    pub(super) fn close_signal(&self) -> Arc<CloseSignal> {
        self.close_signal.clone()
    }

    /// Whether the connection must close for a new one. Counts and logs the closing.
    pub(super) fn closes(&self) -> bool {
        if !self.slots.state().table.closes(self.id) {
            return false;
        }
        self.slots.report_closed();
        true
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut state = self.slots.state();
        state.table.closed(self.id);
        state.close_signals.remove(&self.id);
        drop(state);
        self.slots.0.open.decrement(1.0);
        self.slots.wake_if(true);
    }
}

/// Exists while a new connection waits for a slot.
struct Full(Slots);

impl Full {
    fn since(now: Instant, slots: Slots) -> Self {
        let options = slots.options();
        if options.log_limiter.allows("full") {
            tracing::warn!(
                listener = options.name,
                max_connections = options.limits.max_connections,
                "listener is full: every connection has a request in progress, and new ones wait"
            );
        }
        (options.on_full)(Some(now));
        Self(slots)
    }
}

impl Drop for Full {
    fn drop(&mut self) {
        (self.0.options().on_full)(None);
    }
}
