//! The requests of callers, kept in order of arrival for later inspection.

use std::sync::{Mutex, MutexGuard};

use super::account::lock;
use super::report::{ApiCall, Call, OauthCall};

/// Lists that only grow. If `on` is false they stay empty, for long load tests.
#[derive(Debug)]
pub(super) struct Records {
    on: bool,
    calls: Mutex<Vec<Call>>,
    api: Mutex<Vec<ApiCall>>,
    oauth: Mutex<Vec<OauthCall>>,
    /// Held while a call is answered, until its status is recorded.
    answering: Mutex<()>,
}

/// The positions at which a call was kept, so that its status can be added later.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Kept {
    call: Option<usize>,
    api: Option<usize>,
}

impl Records {
    pub(super) fn new(on: bool) -> Self {
        Self {
            on,
            calls: Mutex::default(),
            api: Mutex::default(),
            oauth: Mutex::default(),
            answering: Mutex::default(),
        }
    }

    /// Makes readers of the calls wait until the guard is dropped.
    pub(super) fn answering(&self) -> MutexGuard<'_, ()> {
        lock(&self.answering)
    }

    pub(super) fn calls(&self) -> Vec<Call> {
        let _answered = lock(&self.answering);
        lock(&self.calls).clone()
    }

    pub(super) fn api_calls(&self) -> Vec<ApiCall> {
        let _answered = lock(&self.answering);
        lock(&self.api).clone()
    }

    /// Keeps an API call, and the continue if it is one.
    pub(super) fn keep(&self, seen: impl FnOnce() -> (ApiCall, Option<Call>)) -> Kept {
        if !self.on {
            return Kept::default();
        }
        let (api, call) = seen();
        Kept { call: call.map(|call| push(&self.calls, call)), api: Some(push(&self.api, api)) }
    }

    pub(super) fn answered(&self, kept: Kept, status: Option<u16>) {
        if let Some(at) = kept.call {
            lock(&self.calls)[at].status = status;
        }
        if let Some(at) = kept.api {
            lock(&self.api)[at].status = status;
        }
    }

    pub(super) fn oauth_calls(&self) -> Vec<OauthCall> {
        lock(&self.oauth).clone()
    }

    pub(super) fn keep_oauth(&self, call: OauthCall) -> Option<usize> {
        self.on.then(|| push(&self.oauth, call))
    }

    pub(super) fn answered_oauth(&self, kept: Option<usize>, status: Option<u16>) {
        if let Some(at) = kept {
            lock(&self.oauth)[at].status = status;
        }
    }
}

fn push<T>(list: &Mutex<Vec<T>>, entry: T) -> usize {
    let mut list = lock(list);
    list.push(entry);
    list.len() - 1
}
