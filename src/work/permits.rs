//! The permits of the pool: they limit how many handlers run at once. Handlers without a limit of their own share
//! `workers.concurrency` fairly.

use std::sync::{Arc, MutexGuard, PoisonError};

use crate::handler::{Admission, AnyHandler};
use model::maps::HashMap;
use model::{FairSemaphore, HandlerLoad};

use super::{Pool, Registry};

/// Allows one handler to run. Dropping the permit returns it and wakes the pool.
pub(super) struct Permit {
    pub(super) pool: Pool,
    pub(super) name: Arc<str>,
}

/// All permits of a pool.
pub(super) struct Permits {
    shared: FairSemaphore,
    /// The permits of each handler that has a limit of its own.
    own: HashMap<Arc<str>, OwnPermits>,
}

/// The permits of one handler.
struct OwnPermits {
    limit: usize,
    free: usize,
}

impl Permits {
    /// Creates `shared` permits for all handlers without a limit of their own.
    pub(super) fn new(shared: usize, registry: &Registry) -> Self {
        let mut own = HashMap::new();
        let mut sharing = Vec::new();
        for (name, _) in registry.iter() {
            let limit = registry.get(name.as_str()).and_then(|known| known.handler.own_concurrency());
            let name: Arc<str> = name.as_str().into();
            match limit {
                Some(limit) => drop(own.insert(name, OwnPermits { limit, free: limit })),
                None => sharing.push(name),
            }
        }
        Self { shared: FairSemaphore::among_known(shared, sharing), own }
    }

    /// The permits that the handler `name` may use, and how many of them are in use.
    fn load(&self, name: &str) -> HandlerLoad {
        match self.own.get(name) {
            Some(own) => HandlerLoad {
                in_use: own.limit - own.free,
                limit: own.limit,
                is_shared: false,
                has_room: own.free > 0,
                unreachable_until: None,
            },
            None => {
                let (limit, in_use) = self.shared.use_of_all();
                let has_room = self.shared.room(name) > 0;
                HandlerLoad { in_use, limit, is_shared: true, has_room, unreachable_until: None }
            }
        }
    }

    fn try_acquire(&mut self, name: &str, wanted: usize) -> usize {
        match self.own.get_mut(name) {
            Some(own) => {
                let got = wanted.min(own.free);
                own.free -= got;
                got
            }
            None => self.shared.try_acquire(name, wanted),
        }
    }

    fn release(&mut self, name: &str) {
        match self.own.get_mut(name) {
            Some(own) => own.free += 1,
            None => self.shared.release(name),
        }
    }
}

/// How many attempts of a handler may begin now, apart from its permits.
pub(super) fn admitted(handler: &dyn AnyHandler) -> Result<usize, std::time::Duration> {
    match handler.admission() {
        Admission::All => Ok(usize::MAX),
        Admission::Probe => Ok(1),
        Admission::After(wait) => Err(wait),
    }
}

impl Pool {
    /// Takes up to `wanted` permits for jobs of the handler `name`; takes none while the pool drains.
    pub(super) fn permits(&self, name: &str, wanted: usize) -> Vec<Permit> {
        if self.0.runtime.is_draining() {
            return Vec::new();
        }
        let got = self.lock().try_acquire(name, wanted);
        (0..got).map(|_| Permit { pool: self.clone(), name: name.into() }).collect()
    }

    /// The permits that the handler `name` may use.
    pub(super) fn permits_of(&self, name: &str) -> HandlerLoad {
        self.lock().load(name)
    }

    fn lock(&self) -> MutexGuard<'_, Permits> {
        self.0.permits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.pool.lock().release(&self.name);
        self.pool.0.store.work().wake_if_waiting();
    }
}
