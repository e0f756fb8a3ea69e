//! Reads what surrounds every page. A part that cannot be read is left out, so that a store that is down hides numbers and
//! not the page that says why.

use std::future::Future;
use std::time::Duration;

use axum::extract::{FromRequestParts, Request};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderMap, StatusCode, Uri};
use tokio::time::Instant;
use tokio::time::error::Elapsed;

use model::Timestamp;
use store::StoreError;

use super::shell::{Badges, Look, Shell};
use crate::admin::Shared;
use crate::admin::access::Visitor;

/// How long a page waits for one part, and for all parts that are read one after the other.
pub(super) const PART_TIMEOUT: Duration = Duration::from_secs(2);
/// An error counts as new for this time.
pub(super) const NEW_ERROR: Duration = Duration::from_secs(86_400);

tokio::task_local! {
    /// Until when a page waits for its parts.
    static DEADLINE: Instant;
}

/// Limits the time of all parts of a page together. The result of a form has a limit only for each part: its change may
/// have taken the time.
pub(super) async fn limit_time(request: Request, next: Next) -> Response {
    if request.method().is_safe() { in_all(next.run(request)).await } else { next.run(request).await }
}

/// Limits the time of all parts that `page` reads.
async fn in_all<T>(page: impl Future<Output = T>) -> T {
    DEADLINE.scope(Instant::now() + PART_TIMEOUT, page).await
}

/// Waits for a part in the time that the page has left.
///
/// # Errors
/// The time is over.
pub(super) async fn in_time<T>(read: impl Future<Output = T>) -> Result<T, Elapsed> {
    let latest = Instant::now() + PART_TIMEOUT;
    let until = DEADLINE.try_with(|deadline| *deadline).map_or(latest, |deadline| deadline.min(latest));
    tokio::time::timeout_at(until, read).await
}

/// Reads a part of a page, in a limited time.
///
/// # Errors
/// A sentence for the page that says why it could not be read.
pub(super) async fn part<T>(read: impl Future<Output = Result<T, StoreError>>) -> Result<T, String> {
    match in_time(read).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(format!("The store reported: {error}.")),
        Err(_) => Err(not_in_time()),
    }
}

/// Reads on a thread that may block.
pub(super) fn blocking<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> impl Future<Output = Result<T, StoreError>> {
    let reading = tokio::task::spawn_blocking(read);
    // The task fails only if the process is stopping.
    async { reading.await.unwrap_or(Err(StoreError::Closed)) }
}

/// Says that a part was not read in time.
pub(super) fn not_in_time() -> String {
    format!("The store did not answer within {} s.", PART_TIMEOUT.as_secs())
}

/// The visitor of a page and its address: what [`Shell`] needs of the request.
pub(in crate::admin) struct Visit {
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
        Ok(Self::new(visitor, &parts.headers, &parts.uri))
    }
}

impl Visit {
    /// The visit of `visitor` at this address.
    pub(in crate::admin) fn new(visitor: Visitor, headers: &HeaderMap, uri: &Uri) -> Self {
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        Self { visitor, look: Look::of(headers), path }
    }

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

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn parts_read_one_after_the_other_share_the_time_of_their_page() {
        let hangs = || part(pending::<Result<(), StoreError>>());
        let start = Instant::now();
        let page = async { (hangs().await, hangs().await, hangs().await) };
        let (first, _, last) = in_all(page).await;
        assert_eq!(start.elapsed(), PART_TIMEOUT);
        assert_eq!((first.unwrap_err(), last.unwrap_err()), (not_in_time(), not_in_time()));
        let start = Instant::now();
        let _result_of_a_form = (hangs().await, hangs().await);
        assert_eq!(start.elapsed(), PART_TIMEOUT * 2);
    }
}
