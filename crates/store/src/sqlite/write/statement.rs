//! Many rows in one statement, and many statements in one round trip.
//!
//! Each call of sqlx is a round trip to SQLite's thread: two wake-ups, which take longer than the rows of a small
//! transaction. So a batch needs few statements, and statements without a result run together with the next one.
//!
//! sqlx caches prepared statements by text, so there must be few different texts. The number of rows in a statement is
//! therefore a power of two, and a [`Script`] joins statements only if this does not multiply the number of texts.

use sqlx::error::BoxDynError;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments, AssertSqlSafe, Encode, Sqlite, SqliteConnection, Type};

use crate::{Cause, StoreError};

/// The maximum number of rows in a statement.
const MAX_ROWS: usize = 128;
/// The rows of a padded statement, if it needs more than two.
pub(crate) const FEW_ROWS: usize = 8;

/// Collects the values of a statement.
#[derive(Default)]
pub(crate) struct Values {
    arguments: SqliteArguments,
    refused: Option<BoxDynError>,
}

impl Values {
    /// Adds one value.
    pub(crate) fn push<'v, T: Encode<'v, Sqlite> + Type<Sqlite>>(&mut self, value: T) -> &mut Self {
        if let Err(error) = self.arguments.add(value) {
            self.refused.get_or_insert(error);
        }
        self
    }

    /// Returns all values, unless one of them could not be encoded.
    pub(crate) fn checked(self) -> Result<SqliteArguments, StoreError> {
        match self.refused {
            Some(error) => Err(StoreError::Database(Cause::of(error))),
            None => Ok(self.arguments),
        }
    }
}

/// A statement around a list of rows: `before (?, …), (?, …) after`. It must skip rows whose first value is NULL, which
/// pad the list to a power of two.
pub(crate) struct RowsStatement {
    /// The SQL before the rows.
    pub(crate) before: &'static str,
    /// The number of values in a row.
    pub(crate) width: usize,
    /// The SQL after the rows.
    pub(crate) after: &'static str,
}

/// Defines a [`RowsStatement`], and the function that pushes one of its rows, from one list of columns. Each column's
/// name is next to its value, so adding a column takes one line.
///
/// `rows_statement!(const NAME, fn push(row: &Row); let a = …; "SQL before the names" { "column" => value, … } "SQL
/// between the names and the rows" "SQL after the rows");`
macro_rules! rows_statement {
    (
        $(#[$doc:meta])*
        $visible:vis const $name:ident, $push_visible:vis fn $push:ident($($argument:ident: $type:ty),+ $(,)?);
        $(let $bound:pat = $computed:expr;)*
        $before:literal { $first:literal => $first_value:expr, $($column:literal => $value:expr),+ $(,)? }
        $between:literal $after:expr $(;)?
    ) => {
        $(#[$doc])*
        $visible const $name: $crate::sqlite::write::statement::RowsStatement =
            $crate::sqlite::write::statement::RowsStatement {
                before: concat!($before, $first, $(", ", $column,)+ $between),
                width: [$first, $($column),+].len(),
                after: $after,
            };

        $push_visible fn $push($($argument: $type,)+ row: &mut $crate::sqlite::write::statement::Values) {
            $(let $bound = $computed;)*
            row.push($first_value);
            $(row.push($value);)+
        }
    };
}
pub(crate) use rows_statement;

impl RowsStatement {
    /// Runs the statement over `items`. Returns its rows in no particular order.
    pub(crate) async fn run<T>(
        &self,
        connection: &mut SqliteConnection,
        items: &[T],
        push: impl Fn(&T, &mut Values),
    ) -> Result<Vec<SqliteRow>, StoreError> {
        Script::default().ask(connection, self, items, push).await
    }

    /// Returns the text of the statement over `rows` rows.
    #[cfg(test)]
    pub(crate) fn text(&self, rows: usize) -> String {
        let mut sql = String::new();
        self.write(rows, &mut sql);
        sql
    }

    fn write(&self, rows: usize, sql: &mut String) {
        let row_length = 2 * self.width + 2;
        sql.reserve(self.before.len() + self.after.len() + rows * row_length);
        sql.push_str(self.before);
        for row in 0..rows {
            sql.push_str(if row == 0 { "(" } else { ",(" });
            for column in 0..self.width {
                sql.push_str(if column == 0 { "?" } else { ",?" });
            }
            sql.push(')');
        }
        sql.push_str(self.after);
    }
}

/// Statements that wait to run together.
#[derive(Default)]
pub(crate) struct Script {
    sql: String,
    values: Values,
    /// The number of rows in its statements; `None` if none of them has a list of rows.
    rows: Option<usize>,
}

impl Script {
    /// Adds a statement without values, such as `BEGIN` or `COMMIT`.
    pub(crate) fn plain(&mut self, sql: &'static str) {
        self.separate();
        self.sql.push_str(sql);
    }

    /// Adds `statement` over `items`, at most [`MAX_ROWS`] of them. It has no result, so it runs together with the next
    /// statement. If the sizes differ, the waiting statements run first, because joining them would create a text for
    /// each pair of sizes.
    async fn rows<T>(
        &mut self,
        connection: &mut SqliteConnection,
        statement: &RowsStatement,
        items: &[T],
        push: impl Fn(&T, &mut Values),
    ) -> Result<(), StoreError> {
        let rows = items.len().next_power_of_two();
        if self.rows.is_some_and(|known| known != rows) {
            self.run(connection).await?;
        }
        self.append(statement, rows, items, push);
        self.rows = Some(rows);
        Ok(())
    }

    fn append<T>(
        &mut self,
        statement: &RowsStatement,
        rows: usize,
        items: &[T],
        push: impl Fn(&T, &mut Values),
    ) {
        self.separate();
        statement.write(rows, &mut self.sql);
        self.values.arguments.reserve(rows * statement.width, 0);
        for item in items {
            push(item, &mut self.values);
        }
        for _ in 0..(rows - items.len()) * statement.width {
            self.values.push(None::<i64>);
        }
    }

    /// Adds `statement` over all `items`; its result is not needed.
    pub(crate) async fn add<T>(
        &mut self,
        connection: &mut SqliteConnection,
        statement: &RowsStatement,
        items: &[T],
        push: impl Fn(&T, &mut Values),
    ) -> Result<(), StoreError> {
        for chunk in items.chunks(MAX_ROWS) {
            self.rows(connection, statement, chunk, &push).await?;
        }
        Ok(())
    }

    /// Adds `statement` over a few `items`, padded to one of three sizes, so that it can join any other statement. Each
    /// row costs a microsecond, and a lone request has one row.
    pub(crate) fn add_padded<T>(
        &mut self,
        statement: &RowsStatement,
        items: &[T],
        push: impl Fn(&T, &mut Values),
    ) {
        let rows = if items.len() <= 2 { items.len().max(1) } else { FEW_ROWS.max(items.len()) };
        self.append(statement, rows, items, push);
    }

    /// Runs all waiting statements and `statement` over `items`. Returns the rows of `statement` in no particular order.
    pub(crate) async fn ask<T>(
        &mut self,
        connection: &mut SqliteConnection,
        statement: &RowsStatement,
        items: &[T],
        push: impl Fn(&T, &mut Values),
    ) -> Result<Vec<SqliteRow>, StoreError> {
        let mut returned = Vec::with_capacity(items.len());
        for chunk in items.chunks(MAX_ROWS) {
            if self.rows.is_some() {
                self.run(connection).await?;
            }
            self.append(statement, chunk.len().next_power_of_two(), chunk, &push);
            returned.append(&mut self.run(connection).await?);
        }
        Ok(returned)
    }

    /// Runs all waiting statements.
    pub(crate) async fn run(
        &mut self,
        connection: &mut SqliteConnection,
    ) -> Result<Vec<SqliteRow>, StoreError> {
        let Self { sql, values, .. } = std::mem::take(self);
        let arguments = values.checked()?;
        if sql.is_empty() {
            return Ok(Vec::new());
        }
        // The text consists of constants and question marks.
        Ok(sqlx::query_with(AssertSqlSafe(sql), arguments).fetch_all(connection).await?)
    }

    fn separate(&mut self) {
        if !self.sql.is_empty() {
            self.sql.push(';');
        }
    }
}
