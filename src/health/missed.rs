//! Requests of bots that did not become jobs since the start: calls of unknown paths, and refusals. No list of jobs shows
//! them.

use std::collections::BTreeMap;
use std::sync::{MutexGuard, PoisonError};

use serde::Serialize;
use utoipa::ToSchema;

use model::Timestamp;

use super::Health;

/// The maximum number of unknown paths to remember.
const MAX_MISDIRECTED: usize = 5;

/// Calls of bots to a path that does not exist.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Misdirected {
    /// The path, shortened, without its query.
    pub path: String,
    /// The number of calls.
    pub calls: u64,
}

/// Requests that were refused with the same outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = RefusedRequests)]
pub struct Refused {
    /// The label `outcome` of `bridge_requests_total`.
    #[schema(value_type = String, example = "unauthorized")]
    pub outcome: &'static str,
    /// The number of requests.
    pub requests: u64,
    /// When the last one came.
    #[schema(value_type = crate::schema::Moment)]
    pub last_at: Timestamp,
    /// Why the last one was refused, with the value at fault. Never contains a token or a body.
    pub last_reason: String,
}

#[derive(Debug, Default)]
pub(super) struct Missed {
    /// The unknown paths that were called last, the newest last.
    misdirected: Vec<Misdirected>,
    /// By outcome, of which there are few.
    refused: BTreeMap<&'static str, Refused>,
}

impl Health {
    /// Notes a POST to an unknown path.
    pub fn misdirected(&self, path: String) {
        let mut missed = self.missed();
        let known = missed.misdirected.iter().position(|known| known.path == path);
        let mut one = known.map_or(Misdirected { path, calls: 0 }, |place| missed.misdirected.remove(place));
        one.calls += 1;
        if missed.misdirected.len() >= MAX_MISDIRECTED {
            missed.misdirected.remove(0);
        }
        missed.misdirected.push(one);
    }

    /// The unknown paths that were called last with POST, the newest first.
    pub fn misdirected_calls(&self) -> Vec<Misdirected> {
        self.missed().misdirected.iter().rev().cloned().collect()
    }

    /// Notes that a request was refused.
    pub fn refused(&self, outcome: &'static str, reason: String, now: Timestamp) {
        let mut missed = self.missed();
        let requests = missed.refused.get(outcome).map_or(0, |known| known.requests) + 1;
        missed.refused.insert(outcome, Refused { outcome, requests, last_at: now, last_reason: reason });
    }

    /// The refused requests by outcome, the most frequent first.
    pub fn refused_requests(&self) -> Vec<Refused> {
        let mut refused: Vec<Refused> = self.missed().refused.values().cloned().collect();
        refused.sort_by_key(|one| std::cmp::Reverse(one.requests));
        refused
    }

    fn missed(&self) -> MutexGuard<'_, Missed> {
        self.0.missed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_unknown_paths_are_remembered_with_their_calls() {
        let health = Health::new();
        for path in ["/a", "/b", "/a", "/c", "/d", "/e", "/f"] {
            health.misdirected(path.to_owned());
        }
        let calls: Vec<_> = health.misdirected_calls().into_iter().map(|one| (one.path, one.calls)).collect();
        let expected = [("/f", 1), ("/e", 1), ("/d", 1), ("/c", 1), ("/a", 2)];
        assert_eq!(calls, expected.map(|(path, calls)| (path.to_owned(), calls)));
    }

    #[test]
    fn refusals_are_counted_by_outcome_with_their_last_reason() {
        let health = Health::new();
        for (second, outcome, reason) in
            [(1, "no_handler", "a"), (2, "unauthorized", "b"), (3, "unauthorized", "c")]
        {
            health.refused(outcome, reason.to_owned(), Timestamp::from_millis(second));
        }
        let refused = health.refused_requests();
        let text: Vec<_> = refused
            .iter()
            .map(|one| (one.outcome, one.requests, one.last_at.as_millis(), &*one.last_reason))
            .collect();
        assert_eq!(text, [("unauthorized", 2, 3, "c"), ("no_handler", 1, 1, "a")]);
    }
}
