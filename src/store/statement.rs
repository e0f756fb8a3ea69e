//! Many rows in one statement.
//!
//! Each statement is a round trip to the connection's thread, so a batch goes into few of them. The
//! number of rows in a statement is a power of two: few texts, each prepared once.

use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments, AssertSqlSafe, Encode, Sqlite, SqliteConnection, Type};

use super::StoreError;

/// The most rows in a statement.
const MOST_ROWS: usize = 128;

/// Collects the values of a statement.
#[derive(Default)]
pub(super) struct Values {
    arguments: SqliteArguments,
    refused: Option<String>,
}

impl Values {
    /// Adds one value.
    pub(super) fn push<'v, T: Encode<'v, Sqlite> + Type<Sqlite>>(&mut self, value: T) -> &mut Self {
        if let Err(error) = self.arguments.add(value) {
            self.refused.get_or_insert(error.to_string());
        }
        self
    }
}

/// A statement around a list of rows: `before (?, …), (?, …) after`. It has to pass over rows whose first
/// value is NULL: they fill the list up to a power of two.
pub(super) struct RowsStatement {
    /// SQL in front of the rows.
    pub(super) before: &'static str,
    /// Values of a row.
    pub(super) width: usize,
    /// SQL behind the rows.
    pub(super) after: &'static str,
}

impl RowsStatement {
    /// Runs the statement over `items` and gives back what it returns, in no particular order.
    pub(super) async fn run<T>(
        &self,
        connection: &mut SqliteConnection,
        items: &[T],
        push: impl Fn(&T, &mut Values),
    ) -> Result<Vec<SqliteRow>, StoreError> {
        let mut returned = Vec::with_capacity(items.len());
        for chunk in items.chunks(MOST_ROWS) {
            let rows = chunk.len().next_power_of_two();
            let mut values = Values::default();
            values.arguments.reserve(rows * self.width, 0);
            for item in chunk {
                push(item, &mut values);
            }
            for _ in 0..(rows - chunk.len()) * self.width {
                values.push(None::<i64>);
            }
            if let Some(why) = values.refused {
                return Err(StoreError::Database(why));
            }
            // The text is made of constants and question marks.
            let query = sqlx::query_with(AssertSqlSafe(self.text(rows)), values.arguments);
            returned.append(&mut query.fetch_all(&mut *connection).await?);
        }
        Ok(returned)
    }

    /// The statement over `rows` rows.
    pub(super) fn text(&self, rows: usize) -> String {
        let row_length = 2 * self.width + 2;
        let mut sql = String::with_capacity(self.before.len() + self.after.len() + rows * row_length);
        sql.push_str(self.before);
        for row in 0..rows {
            sql.push_str(if row == 0 { "(" } else { ",(" });
            for column in 0..self.width {
                sql.push_str(if column == 0 { "?" } else { ",?" });
            }
            sql.push(')');
        }
        sql.push_str(self.after);
        sql
    }
}
