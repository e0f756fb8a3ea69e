//! The places of a listener: who has one, who gets one, who gives one up.
//!
//! The table decides. Here are the lock around it, the waiting, the metrics and the log.
//!
//! Metrics: the gauge `bridge_connections{listener}` and the counter `bridge_connections_evicted_total{listener}`.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use metrics::{Counter, Gauge, counter, gauge};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::ListenerOptions;
use super::table::{Admission, Id, Table};

/// The places of one listener. Clones share them.
#[derive(Clone)]
pub(super) struct Places(Arc<Inner>);

struct Inner {
    options: ListenerOptions,
    state: Mutex<State>,
    /// A new connection may find a place now.
    changed: Notify,
    /// A new connection finds no place, and no other one can be closed for it.
    wanted: AtomicBool,
    open: Gauge,
    evicted: Counter,
}

struct State {
    table: Table,
    bells: HashMap<Id, Arc<Bell>>,
}

/// Tells a connection that it is to close.
#[derive(Default)]
pub(super) struct Bell {
    rings: Notify,
    has_rung: AtomicBool,
}

/// The place of one connection; dropping it gives it up.
pub(super) struct Place {
    places: Places,
    id: Id,
    bell: Arc<Bell>,
}

impl Places {
    /// All places are free.
    pub(super) fn new(options: ListenerOptions) -> Self {
        let state = State { table: Table::new(options.limits.max_connections), bells: HashMap::new() };
        let open = gauge!("bridge_connections", "listener" => options.name);
        let evicted = counter!("bridge_connections_evicted_total", "listener" => options.name);
        open.increment(0.0);
        evicted.increment(0);
        let (state, changed, wanted) = (Mutex::new(state), Notify::new(), AtomicBool::new(false));
        Self(Arc::new(Inner { options, state, changed, wanted, open, evicted }))
    }

    /// How this listener is run.
    pub(super) fn options(&self) -> &ListenerOptions {
        &self.0.options
    }

    /// Waits for a place for a new connection. If there is none, a connection that waits for its caller closes. Only one
    /// task may wait at a time.
    pub(super) async fn admit(&self) -> Place {
        let mut full = None;
        loop {
            let now = Instant::now();
            match self.ask(now) {
                Offer::Place(place) => {
                    self.0.wanted.store(false, Relaxed);
                    return place;
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
            Admission::Place(id) => {
                let bell = Arc::<Bell>::default();
                state.bells.insert(id, bell.clone());
                self.0.open.increment(1.0);
                Offer::Place(Place { places: self.clone(), id, bell })
            }
            Admission::AfterClosing(id) => {
                if let Some(bell) = state.bells.get(&id) {
                    bell.has_rung.store(true, Relaxed);
                    bell.rings.notify_one();
                }
                Offer::Closing
            }
            Admission::Soon => Offer::Closing,
            Admission::Full(until) => Offer::Full(until),
        }
    }

    /// The caller of `id` is waited for from now on; `proven` is whether it has proved itself.
    pub(super) fn waits(&self, id: Id, proven: bool) {
        let may_help = self.state().table.waits(id, proven, Instant::now());
        self.wake_if(may_help);
    }

    /// The bridge works for `id` from now on.
    pub(super) fn works(&self, id: Id) {
        let declined = self.state().table.works(id);
        self.wake_if(declined);
    }

    /// Whether a request may begin: only while fewer than `share` are in progress.
    pub(super) fn may_begin(&self, share: usize) -> bool {
        self.state().table.may_begin(share)
    }

    /// The request of `id` is in progress from now on.
    pub(super) fn begins(&self, id: Id) {
        let mut state = self.state();
        state.table.begins(id);
        let declined = state.table.works(id);
        drop(state);
        self.wake_if(declined);
    }

    /// The request of `id` is over, and its caller is waited for.
    pub(super) fn rests(&self, id: Id, proven: bool) {
        let mut state = self.state();
        state.table.finishes(id);
        let may_help = state.table.waits(id, proven, Instant::now());
        drop(state);
        self.wake_if(may_help);
    }

    /// Whether a connection is to close with its next answer. It is if it was to close and a request came at that moment, or
    /// if a new connection waits and there is no other way to make room: callers that ask on and on are never waited for.
    /// If so, this is counted and logged.
    pub(super) fn need_place_of(&self, bell: &Bell) -> bool {
        let wanted = &self.0.wanted;
        let needed = bell.has_rung.load(Relaxed) || wanted.load(Relaxed) && wanted.swap(false, Relaxed);
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
                "all connections are in use: one that waited for its caller, or had its answer, was closed for a new one"
            );
        }
    }

    fn wake_if(&self, may_help: bool) {
        if may_help {
            self.0.changed.notify_one();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is a single step, so a panic elsewhere leaves nothing half done.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Offer {
    Place(Place),
    /// Another connection is closing.
    Closing,
    Full(Option<Instant>),
}

impl Place {
    pub(super) fn places(&self) -> &Places {
        &self.places
    }

    pub(super) fn id(&self) -> Id {
        self.id
    }

    /// Waits until the connection may have to close: [`closes`](Self::closes) says whether it has to.
    pub(super) async fn asked(&self) {
        self.bell.rings.notified().await;
    }

    /// Rings when the connection is to close.
    pub(super) fn bell(&self) -> Arc<Bell> {
        self.bell.clone()
    }

    /// Whether the connection has to close for a new one. If so, this is counted and logged.
    pub(super) fn closes(&self) -> bool {
        if !self.places.state().table.closes(self.id) {
            return false;
        }
        self.places.report_closed();
        true
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.places.state();
        state.table.closed(self.id);
        state.bells.remove(&self.id);
        drop(state);
        self.places.0.open.decrement(1.0);
        self.places.wake_if(true);
    }
}

/// While it lives, a new connection waits for a place.
struct Full(Places);

impl Full {
    fn since(now: Instant, places: Places) -> Self {
        let options = places.options();
        if options.log_limiter.allows("full") {
            tracing::warn!(
                listener = options.name,
                max_connections = options.limits.max_connections,
                "all connections have a request in progress: new ones wait"
            );
        }
        (options.on_full)(Some(now));
        Self(places)
    }
}

impl Drop for Full {
    fn drop(&mut self) {
        (self.0.options().on_full)(None);
    }
}
