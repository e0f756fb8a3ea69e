//! The handle for groups of errors.

use crate::sqlite::engine::Engine;
use crate::{ErrorGroup, StoreError};

/// The groups of errors of a store.
#[derive(Clone, Copy)]
pub struct Errors<'s>(pub(super) &'s Engine);

impl Errors<'_> {
    /// Returns all groups, those with the newest error first. There are about a thousand at most.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn groups(self) -> Result<Vec<ErrorGroup>, StoreError> {
        self.0.error_groups().await
    }

    /// Returns one group; `None` if there is no such group.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn group(self, id: i64) -> Result<Option<ErrorGroup>, StoreError> {
        self.0.error_group(id).await
    }
}
