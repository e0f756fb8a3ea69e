//! Statements that write one row. Each column's name is next to its value, so adding a column takes one line.

use std::fmt::Write;

use sqlx::sqlite::SqliteArguments;
use sqlx::{AssertSqlSafe, Encode, Sqlite, Type};

use super::statement::Values;

/// An update of one row. Its `SET` clause grows with each value.
pub(crate) struct Update {
    sql: String,
    values: Values,
    pushed: usize,
}

impl Update {
    /// Creates an update from the SQL before the first assignment that has a value.
    pub(crate) fn new(sql: &str) -> Self {
        Self { sql: sql.to_owned(), values: Values::default(), pushed: 0 }
    }

    /// Adds a value to which the SQL refers by its number, such as `?1`.
    pub(crate) fn value<'v, T: Encode<'v, Sqlite> + Type<Sqlite>>(mut self, value: T) -> Self {
        self.values.push(value);
        self.pushed += 1;
        self
    }

    /// Adds `, column = ?` with its value.
    pub(crate) fn set<'v, T: Encode<'v, Sqlite> + Type<Sqlite>>(self, column: &str, value: T) -> Self {
        let mut this = self.value(value);
        // Writing to a string does not fail.
        let _infallible = write!(this.sql, ", {column} = ?{}", this.pushed);
        this
    }

    /// Adds SQL.
    pub(crate) fn sql(mut self, sql: &str) -> Self {
        self.sql.push_str(sql);
        self
    }

    /// Returns the statement, ready to run.
    pub(crate) fn query(
        self,
    ) -> Result<sqlx::query::Query<'static, Sqlite, SqliteArguments>, crate::StoreError> {
        // The text consists of constants and numbers.
        Ok(sqlx::query_with(AssertSqlSafe(self.sql), self.values.checked()?))
    }
}

/// Defines the SQL that inserts one row, and the function that pushes its values, from one list of columns. Write a
/// column that always gets the same SQL as `"column" = "SQL"`.
///
/// `insert_row!(const NAME, fn push(row: &Row); let a = …; "INSERT INTO table" { "column" => value, … } "SQL after the
/// row")`
macro_rules! insert_row {
    (
        $(#[$doc:meta])*
        const $name:ident, fn $push:ident($($argument:ident: $type:ty),+ $(,)?);
        $(let $bound:pat = $computed:expr;)*
        $before:literal {
            $first:literal => $first_value:expr,
            $($column:literal $(= $sql:literal)? $(=> $value:expr)?),+ $(,)?
        }
        $($after:literal)?
    ) => {
        $(#[$doc])*
        const $name: &str = concat!(
            $before, " (", $first, $(", ", $column,)+ ") VALUES (?",
            $(", ", $crate::sqlite::write::single_row::sql_or_value!($($sql)?),)+ ")" $(, $after)?
        );

        fn $push($($argument: $type,)+ values: &mut $crate::sqlite::write::statement::Values) {
            $(let $bound = $computed;)*
            values.push($first_value);
            $($(values.push($value);)?)+
        }
    };
}
pub(crate) use insert_row;

/// Expands to a column's SQL, or to a question mark for its value.
macro_rules! sql_or_value {
    () => {
        "?"
    };
    ($sql:literal) => {
        $sql
    };
}
pub(crate) use sql_or_value;

#[cfg(test)]
mod tests {
    insert_row! {
        const INSERT, fn push(number: i64);
        "INSERT INTO t" { "a" => number, "b" = "'fixed'", "c" => number + 1 }
        " RETURNING c"
    }

    #[test]
    fn names_and_values_come_from_one_list() {
        assert_eq!(INSERT, "INSERT INTO t (a, b, c) VALUES (?, 'fixed', ?) RETURNING c");
        push(1, &mut super::Values::default());
        let update = super::Update::new("UPDATE t SET a = 1").value(7).set("b", 8).sql(" WHERE id = ?1");
        assert_eq!(update.sql, "UPDATE t SET a = 1, b = ?2 WHERE id = ?1");
    }
}
