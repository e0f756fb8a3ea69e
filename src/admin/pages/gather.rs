//! Reads what surrounds every page. A part that cannot be read is left out, so that a store that is down hides numbers and
//! not the page that says why.

use std::future::Future;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::request::Parts;

use model::Timestamp;
use store::StoreError;

use super::shell::{Badges, Look, Shell};
use crate::admin::Shared;
use crate::admin::access::Visitor;

/// How long a page waits for one part.
pub(super) const PART_TIMEOUT: Duration = Duration::from_secs(2);
/// An error counts as new for this time.
pub(super) const NEW_ERROR: Duration = Duration::from_secs(86_400);

/// Reads a part of a page, in a limited time.
///
/// # Errors
/// A sentence for the page that says why it could not be read.
pub(super) async fn part<T>(read: impl Future<Output = Result<T, StoreError>>) -> Result<T, String> {
    match tokio::time::timeout(PART_TIMEOUT, read).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(format!("The store reported: {error}.")),
        Err(_) => Err(format!("The store did not answer within {} s.", PART_TIMEOUT.as_secs())),
    }
}

/// The visitor of a page and its address: what [`Shell`] needs of the request.
pub(super) struct Visit {
    visitor: Visitor,
    look: Look,
    path: String,
}

impl<S: Sync> FromRequestParts<S> for Visit {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Response> {
        // Missing only if a page is outside the guard, and then no one may see it.
        let visitor = parts.extensions.get::<Visitor>().cloned();
        let visitor = visitor.ok_or_else(|| StatusCode::FORBIDDEN.into_response())?;
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        Ok(Self { visitor, look: Look::of(&parts.headers), path })
    }
}

impl Visit {
    /// Who visits the page.
    pub(super) fn visitor(&self) -> &Visitor {
        &self.visitor
    }

    /// Reads what surrounds the page.
    pub(super) async fn shell(self, shared: &Shared) -> Shell {
        let now = shared.clock.now();
        let (counts, errors) = tokio::join!(
            part(shared.store.jobs().counts()),
            part(shared.store.errors().counts(now - NEW_ERROR)),
        );
        let unfinished = counts.ok().map(|counts| {
            counts.iter().filter(|(state, _)| !state.is_finished()).map(|(_, jobs)| *jobs).sum()
        });
        let new_errors = errors.ok().map(|errors| errors.new);
        let accounts = u64::try_from(shared.live.accounts_in_trouble()).ok();
        Shell {
            visitor: self.visitor,
            look: self.look,
            badges: Badges { unfinished, new_errors, accounts },
            now,
            up: shared.up(),
            path: self.path,
        }
    }
}

/// Whether an error that first occurred at `first` is new.
pub(super) fn is_new(first: Timestamp, now: Timestamp) -> bool {
    now.since(first) < NEW_ERROR
}
