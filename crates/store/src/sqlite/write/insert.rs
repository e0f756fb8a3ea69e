//! Statements that insert one row. Each column's name is next to its value, so adding a column takes one line.

/// Defines the SQL that inserts one row, and the function that binds its values, from one list of columns. Write a
/// column that always gets the same SQL as `"column" = "SQL"`. The SQL after the row may contain `?` for further values,
/// which the caller binds from the number that the function returns.
///
/// `insert_row!(const NAME, fn bind(row: &Row); let a = …; "INSERT INTO table" { "column" => value, … } "SQL after the
/// row")`
macro_rules! insert_row {
    (
        $(#[$doc:meta])*
        $visible:vis const $name:ident, fn $bind:ident($($argument:ident: $type:ty),+ $(,)?);
        $(let $bound:pat = $computed:expr;)*
        $before:literal {
            $first:literal => $first_value:expr,
            $($column:literal $(= $sql:literal)? $(=> $value:expr)?),+ $(,)?
        }
        $($after:literal)?
    ) => {
        $(#[$doc])*
        $visible const $name: &str = concat!(
            $before, " (", $first, $(", ", $column,)+ ") VALUES (?",
            $(", ", $crate::sqlite::write::insert::sql_or_value!($($sql)?),)+ ")" $(, $after)?
        );

        /// Binds the values of the row. Returns the number of the next value.
        fn $bind(
            $($argument: $type,)+
            statement: &mut rusqlite::Statement<'_>,
        ) -> Result<usize, rusqlite::Error> {
            $(let $bound = $computed;)*
            let mut number = 1;
            statement.raw_bind_parameter(number, $first_value)?;
            number += 1;
            $($(
                statement.raw_bind_parameter(number, $value)?;
                number += 1;
            )?)+
            Ok(number)
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
        const INSERT, fn bind(number: i64);
        "INSERT INTO t" { "a" => number, "b" = "'fixed'", "c" => number + 1 }
        " RETURNING a || b || c || ?"
    }

    #[test]
    fn names_and_values_come_from_one_list() -> Result<(), rusqlite::Error> {
        assert_eq!(INSERT, "INSERT INTO t (a, b, c) VALUES (?, 'fixed', ?) RETURNING a || b || c || ?");
        let connection = rusqlite::Connection::open_in_memory()?;
        connection.execute_batch("CREATE TABLE t (a, b, c)")?;
        let mut statement = connection.prepare(INSERT)?;
        let next = bind(1, &mut statement)?;
        statement.raw_bind_parameter(next, "!")?;
        let mut rows = statement.raw_query();
        let row = rows.next()?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
        assert_eq!(row.get::<_, String>(0)?, "1fixed2!");
        Ok(())
    }
}
