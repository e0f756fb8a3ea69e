//! Reads rows of tables whose id is a number: actions, bulk changes, groups of errors.

use std::error::Error;

use uuid::Uuid;

use model::{JobId, Timestamp};

use super::row::{Columns, Read};
use crate::{Cause, StoreError};

/// A row of a table. Its errors name the table, the column and the id.
pub(crate) struct TableRow<'r> {
    table: &'static str,
    row: &'r dyn Columns,
    /// The value of its column `id`.
    pub(crate) id: i64,
}

impl<'r> TableRow<'r> {
    /// Reads the id of the row.
    pub(crate) fn new(table: &'static str, row: &'r dyn Columns) -> Result<Self, StoreError> {
        let unknown = Self { table, row, id: 0 };
        let id = unknown.integer("id")?;
        Ok(Self { id, ..unknown })
    }

    /// Returns the error of a column whose value is wrong.
    pub(crate) fn corrupt(
        &self,
        column: &'static str,
        why: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> StoreError {
        StoreError::Corrupt { table: self.table, column, id: self.id.to_string(), why: Cause::of(why) }
    }

    fn optional<T>(&self, column: &'static str, value: Read<T>) -> Result<Option<T>, StoreError> {
        value.map_err(|error| self.corrupt(column, error))
    }

    fn needed<T>(&self, column: &'static str, value: Read<T>) -> Result<T, StoreError> {
        self.optional(column, value)?.ok_or_else(|| self.corrupt(column, "NULL is not allowed"))
    }

    pub(crate) fn integer(&self, column: &'static str) -> Result<i64, StoreError> {
        self.needed(column, self.row.integer(column))
    }

    /// Reads a number that the schema does not allow to be negative.
    pub(crate) fn number(&self, column: &'static str) -> Result<u64, StoreError> {
        self.integer(column).map(i64::unsigned_abs)
    }

    pub(crate) fn optional_number(&self, column: &'static str) -> Result<Option<u64>, StoreError> {
        Ok(self.optional(column, self.row.integer(column))?.map(i64::unsigned_abs))
    }

    pub(crate) fn flag(&self, column: &'static str) -> Result<bool, StoreError> {
        Ok(self.integer(column)? != 0)
    }

    pub(crate) fn time(&self, column: &'static str) -> Result<Timestamp, StoreError> {
        self.integer(column).map(Timestamp::from_millis)
    }

    pub(crate) fn text(&self, column: &'static str) -> Result<&'r str, StoreError> {
        self.needed(column, self.row.text(column))
    }

    pub(crate) fn optional_text(&self, column: &'static str) -> Result<Option<&'r str>, StoreError> {
        self.optional(column, self.row.text(column))
    }

    pub(crate) fn job_id(&self, column: &'static str) -> Result<JobId, StoreError> {
        self.needed(column, self.row.id(column)).map(JobId::from_uuid)
    }

    pub(crate) fn optional_job_id(&self, column: &'static str) -> Result<Option<JobId>, StoreError> {
        let id: Option<Uuid> = self.optional(column, self.row.id(column))?;
        Ok(id.map(JobId::from_uuid))
    }

    /// Reads a text that names one of several values.
    pub(crate) fn named<T>(
        &self,
        column: &'static str,
        from_name: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, StoreError> {
        from_name(self.text(column)?).ok_or_else(|| self.corrupt(column, "unknown"))
    }
}
