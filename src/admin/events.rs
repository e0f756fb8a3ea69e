//! `/api/v1/events`: server-sent events about changes, for pages that follow the store.
//!
//! Each event contains the ids of jobs that changed, and the number of jobs in each state. A follower gets at most two
//! events a second, however many jobs there are, and a comment every fifteen seconds, so that it notices a broken
//! connection. Without followers, nothing is collected.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use http::StatusCode;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::health::Phase;
use crate::problem::ProblemDetails;
use crate::schema;
use model::{JobId, StateName};
use store::ChangedJobs;

use super::Shared;
use super::access::Visitor;
use super::document::tag;
use super::responses::TooManyFollowers;

/// The maximum number of followers. Each one holds a connection of the admin listener.
const MAX_FOLLOWERS: usize = 8;
/// The time between two events.
const EVENT_INTERVAL: Duration = Duration::from_millis(500);
/// Intervals without an event after which a comment shows that the connection works.
const HEARTBEAT_INTERVALS: u32 = 30;
/// The maximum number of ids in an event.
const MAX_IDS: usize = 200;
/// When a refused follower should try again.
const RETRY_AFTER: Duration = Duration::from_secs(10);

/// The permits of the followers.
#[derive(Clone)]
pub(super) struct Followers(Arc<Semaphore>);

impl Default for Followers {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_FOLLOWERS)))
    }
}

/// The `data` of an event.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = JobsEvent)]
pub(super) struct Change {
    /// The jobs that changed, at most 200; without those that operators and commands changed.
    #[schema(value_type = Vec<schema::JobId>)]
    jobs: BTreeSet<JobId>,
    /// Whether more jobs changed than these.
    more: bool,
    /// The number of jobs in each state.
    #[schema(value_type = BTreeMap<schema::JobState, u64>)]
    counts: BTreeMap<StateName, u64>,
}

/// One event of the stream. OpenAPI 3.1 has no stream, so the schema of the response describes each event.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only a description")]
struct ServerSentEvent {
    /// The type: `jobs`.
    #[schema(example = "jobs")]
    event: String,
    /// A `JobsEvent` as JSON.
    #[schema(value_type = JobsEventText)]
    data: String,
}

/// A [`Change`] as JSON text.
enum JobsEventText {}

impl PartialSchema for JobsEventText {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new().schema_type(Type::String).content_media_type("application/json");
        let text = text.content_schema(Some(Ref::from_schema_name(Change::name())));
        text.description(Some("A `JobsEvent` as JSON.")).into()
    }
}

impl ToSchema for JobsEventText {}

/// A follower, between two events.
struct Follower {
    shared: Shared,
    visitor: Visitor,
    changed: ChangedJobs,
    counts: BTreeMap<StateName, u64>,
    quiet: u32,
    _permit: OwnedSemaphorePermit,
}

/// Streams changes as server-sent events
///
/// Each event has the type `jobs`, and a `JobsEvent` as its data. At most two come a second, the first one at once. If nothing
/// changes, a comment comes every fifteen seconds. The stream ends when the bridge stops. Changes by operators and by commands
/// show only in `counts`: the ids of those jobs are not listed.
#[utoipa::path(get, path = "/api/v1/events", tag = tag::STATE, operation_id = "followEvents",
    responses((status = 200, description = "The stream.", body = ServerSentEvent, content_type = "text/event-stream"), TooManyFollowers))]
pub(super) async fn follow(
    State(shared): State<Shared>,
    Extension(visitor): Extension<Visitor>,
) -> Result<Response, ProblemDetails> {
    let permit = shared.followers.0.clone().try_acquire_owned().map_err(|_| {
        let detail = format!(
            "{MAX_FOLLOWERS} callers already follow the events. Close one of them, or poll the lists."
        );
        ProblemDetails::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "too-many-followers",
            "Too many followers",
            detail,
        )
        .retry_after(RETRY_AFTER)
    })?;
    let changed = shared.store.jobs().changed();
    let follower = Follower { shared, visitor, changed, counts: BTreeMap::new(), quiet: 0, _permit: permit };
    let events = stream::unfold(follower, |mut follower| async {
        let event = follower.next().await?;
        Some((Ok::<_, Infallible>(event), follower))
    });
    Ok(Sse::new(events).into_response())
}

impl Follower {
    /// The next event; `None` once the bridge stops or the session has ended.
    async fn next(&mut self) -> Option<Event> {
        loop {
            let (jobs, more) = self.collect().await;
            if self.shared.health.phase() == Phase::Draining || !self.visitor.is_still_valid() {
                return None;
            }
            // A store that cannot be read changes nothing. The follower sees the next counts.
            let counts = self.shared.store.jobs().counts().await.unwrap_or_else(|_| self.counts.clone());
            let is_news = !jobs.is_empty() || more || counts != self.counts;
            self.counts.clone_from(&counts);
            if is_news {
                self.quiet = 0;
                return Event::default().event("jobs").json_data(Change { jobs, more, counts }).ok();
            }
            self.quiet += 1;
            if self.quiet >= HEARTBEAT_INTERVALS {
                self.quiet = 0;
                return Some(Event::default().comment("quiet"));
            }
        }
    }

    /// The jobs that change within one interval, and whether there are more.
    async fn collect(&mut self) -> (BTreeSet<JobId>, bool) {
        self.shared.clock.sleep(EVENT_INTERVAL).await;
        let (changed, has_missed) = self.changed.take();
        let mut jobs: BTreeSet<JobId> = changed.into_iter().collect();
        let more = has_missed || jobs.len() > MAX_IDS;
        while jobs.len() > MAX_IDS {
            jobs.pop_first();
        }
        (jobs, more)
    }
}
