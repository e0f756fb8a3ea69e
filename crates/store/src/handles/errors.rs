//! The handle for groups of errors.

use crate::engine::{Engine, on};
use crate::{
    DeadInGroup, ErrorCounts, ErrorGroup, ErrorGroupPage, ErrorGroupPosition, ListedErrors, StoreError,
};
use model::Timestamp;

/// The groups of errors of a store.
#[derive(Clone, Copy)]
pub struct Errors<'s>(pub(super) &'s Engine);

impl Errors<'_> {
    /// Returns all groups, those with the newest error first. There are about a thousand at most.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn groups(self) -> Result<Vec<ErrorGroup>, StoreError> {
        Ok(on!(self.0, engine => engine.error_groups(None, u32::MAX).await)?.groups)
    }

    /// Returns at most `limit` groups behind the position `after`, those with the newest error first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn page(
        self,
        after: Option<ErrorGroupPosition>,
        limit: u32,
    ) -> Result<ErrorGroupPage, StoreError> {
        on!(self.0, engine => engine.error_groups(after, limit).await)
    }

    /// Returns one group; `None` if there is no such group.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn group(self, id: i64) -> Result<Option<ErrorGroup>, StoreError> {
        on!(self.0, engine => engine.error_group(id).await)
    }

    /// Returns at most `limit` groups: first those whose first error occurred after `new_since`, and of both parts, those with
    /// the newest error first. The list begins behind `after`: whether a group is in the first part, the time of its last
    /// error, and its number.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn list(
        self,
        new_since: Timestamp,
        after: Option<(bool, Timestamp, i64)>,
        limit: u32,
    ) -> Result<ListedErrors, StoreError> {
        on!(self.0, engine => engine.list_errors(new_since, after, limit).await)
    }

    /// Returns at most `limit` groups with errors within 24 hours, those with most of them first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn top(self, limit: u32) -> Result<Vec<ErrorGroup>, StoreError> {
        on!(self.0, engine => engine.top_errors(limit).await)
    }

    /// Counts the groups, those with an error after `since`, those whose first error is after `since`, and the errors.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn counts(self, since: Timestamp) -> Result<ErrorCounts, StoreError> {
        on!(self.0, engine => engine.count_errors(since).await)
    }

    /// Counts the dead jobs of a group, among the newest 50,000 dead jobs.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn dead(self, group: i64) -> Result<DeadInGroup, StoreError> {
        on!(self.0, engine => engine.dead_in_group(group).await)
    }
}
