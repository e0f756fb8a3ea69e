//! A row of the table of jobs, as either library returns it: reads use sqlx, and the writer's claims use rusqlite.

use rusqlite::types::FromSql;
use sqlx::sqlite::SqliteRow;
use sqlx::{Decode, Row, Sqlite, Type};
use uuid::Uuid;

use crate::StoreError;
use crate::jobs::row::{Claimed, Columns, Read, with_columns};
use crate::jobs::rows::unless_damaged;

impl Columns for SqliteRow {
    fn integer(&self, column: &'static str) -> Read<i64> {
        optional(self, column)
    }

    fn text(&self, column: &'static str) -> Read<&str> {
        optional(self, column)
    }

    fn id(&self, column: &'static str) -> Read<Uuid> {
        optional(self, column)
    }
}

fn optional<'r, T: Decode<'r, Sqlite> + Type<Sqlite>>(row: &'r SqliteRow, column: &str) -> Read<T> {
    Ok(row.try_get(column)?)
}

macro_rules! array {
    ($($column:literal),+) => { &[$($column),+] };
}

const NAMES: &[&str] = with_columns!(array);

/// A row of a claim, which returns [`columns!`] in their order.
pub(crate) struct ClaimedRow<'r>(pub(crate) &'r rusqlite::Row<'r>);

impl<'r> ClaimedRow<'r> {
    fn get<T: FromSql>(&self, column: &'static str) -> Read<T> {
        Ok(self.0.get(place(column)?)?)
    }
}

impl Columns for ClaimedRow<'_> {
    fn integer(&self, column: &'static str) -> Read<i64> {
        self.get(column)
    }

    fn text(&self, column: &'static str) -> Read<&str> {
        Ok(self.0.get_ref(place(column)?)?.as_str_or_null()?)
    }

    fn id(&self, column: &'static str) -> Read<Uuid> {
        self.get(column)
    }
}

/// Returns the place of a column in a claim. The library would search the names that SQLite keeps, which takes longer
/// than to read the value.
fn place(column: &str) -> Result<usize, &'static str> {
    NAMES.iter().position(|name| *name == column).ok_or("not a column of a claim")
}

/// Reads the rows. Logs and skips those that cannot be read.
pub(crate) fn readable<T>(
    rows: &[SqliteRow],
    read: impl Fn(&dyn Columns) -> Result<T, StoreError>,
) -> Vec<T> {
    rows.iter().filter_map(|row| unless_damaged(read(row))).collect()
}

/// Reads the rows of a claim. Logs and skips those that cannot be read.
pub(crate) fn claimed<T>(
    mut rows: rusqlite::Rows<'_>,
    read: impl Fn(&dyn Columns) -> Result<T, StoreError>,
) -> Result<Claimed<T>, StoreError> {
    let mut claimed = Claimed::default();
    while let Some(row) = rows.next()? {
        claimed.rows += 1;
        claimed.jobs.extend(unless_damaged(read(&ClaimedRow(row))));
    }
    Ok(claimed)
}
