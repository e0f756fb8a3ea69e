//! The values of a statement: the SQL says `:name`, and [`bind!`] has each value next to its name.
//!
//! The compiler checks that the SQL and the values have the same names, because SQLite would treat a forgotten value as
//! NULL. It also computes each name's number, so that binding a value at run time costs no search.

/// The maximum number of names in a statement.
const MAX_NAMES: usize = 32;

/// The names in a statement, in SQLite's order: a name's number is the position of its first occurrence.
pub(crate) struct Names<'s> {
    sql: &'s [u8],
    /// Where each name begins and ends.
    found: [(usize, usize); MAX_NAMES],
    count: usize,
}

impl<'s> Names<'s> {
    /// Finds the names in `sql`, which must have a colon only before a name.
    pub(crate) const fn of(sql: &'s str) -> Self {
        let mut names = Self { sql: sql.as_bytes(), found: [(0, 0); MAX_NAMES], count: 0 };
        let mut at = 0;
        while at < names.sql.len() {
            if names.sql[at] == b':' {
                let start = at + 1;
                at = start;
                while at < names.sql.len() && matches!(names.sql[at], b'a'..=b'z' | b'_') {
                    at += 1;
                }
                if names.position(names.sql, start, at).is_none() {
                    names.found[names.count] = (start, at);
                    names.count += 1;
                }
            } else {
                at += 1;
            }
        }
        names
    }

    /// Fails the build unless these are the names in the statement, in any order.
    pub(crate) const fn check(&self, given: &[&str]) {
        assert!(given.len() == self.count, "the SQL and the values have different numbers of names");
        let mut next = 0;
        while next < given.len() {
            self.number(given[next]);
            next += 1;
        }
    }

    /// Returns the number of `name`. Fails the build if the SQL does not contain it.
    pub(crate) const fn number(&self, name: &str) -> usize {
        match self.position(name.as_bytes(), 0, name.len()) {
            Some(position) => position + 1,
            None => panic!("a value has a name that is not in the SQL"),
        }
    }

    const fn position(&self, text: &[u8], start: usize, end: usize) -> Option<usize> {
        let mut position = 0;
        while position < self.count {
            let (from, to) = self.found[position];
            if to - from == end - start {
                let mut same = 0;
                while from + same < to && self.sql[from + same] == text[start + same] {
                    same += 1;
                }
                if from + same == to {
                    return Some(position);
                }
            }
            position += 1;
        }
        None
    }
}

/// Binds all values of `statement`, whose text is the constant `sql`: `bind!(statement, SQL, { "name" => value, … })`.
/// Leaves the function with the error if a value cannot be bound.
macro_rules! bind {
    ($statement:expr, $sql:expr, { $($name:literal => $value:expr),* $(,)? }) => {{
        const NAMES: $crate::sqlite::write::bind::Names<'static> =
            $crate::sqlite::write::bind::Names::of($sql);
        const _: () = NAMES.check(&[$($name),*]);
        $($statement.raw_bind_parameter(const { NAMES.number($name) }, $value)?;)*
    }};
}
pub(crate) use bind;

/// Runs the constant statement `sql`, which has no result. Evaluates to the number of rows that it changed.
macro_rules! execute {
    ($connection:expr, $sql:expr, { $($values:tt)* }) => {{
        let mut statement = $connection.prepare_cached($sql)?;
        $crate::sqlite::write::bind::bind!(statement, $sql, { $($values)* });
        statement.raw_execute()?
    }};
}
pub(crate) use execute;

/// Runs the constant statement `sql`. Evaluates to a vector with the result of `read` for each row.
macro_rules! query {
    ($connection:expr, $sql:expr, { $($values:tt)* }, $read:expr) => {{
        let mut statement = $connection.prepare_cached($sql)?;
        $crate::sqlite::write::bind::bind!(statement, $sql, { $($values)* });
        $crate::sqlite::write::bind::read_all(statement.raw_query(), $read)?
    }};
}
pub(crate) use query;

/// Reads all `rows`.
pub(crate) fn read_all<T>(
    mut rows: rusqlite::Rows<'_>,
    mut read: impl FnMut(&rusqlite::Row<'_>) -> Result<T, rusqlite::Error>,
) -> Result<Vec<T>, rusqlite::Error> {
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push(read(row)?);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SQL: &str = "UPDATE t SET a = :now WHERE id = :id AND b > :now AND c = :idle";

    #[test]
    fn names_have_the_numbers_that_sqlite_gives_them() -> Result<(), rusqlite::Error> {
        let connection = rusqlite::Connection::open_in_memory()?;
        connection.execute_batch("CREATE TABLE t (a, b, c, id)")?;
        let statement = connection.prepare(SQL)?;
        let names = Names::of(SQL);
        assert_eq!(statement.parameter_count(), names.count);
        for name in ["now", "id", "idle"] {
            assert_eq!(statement.parameter_index(&format!(":{name}"))?, Some(names.number(name)), "{name}");
        }
        Ok(())
    }

    #[test]
    fn each_value_is_bound_to_its_name() -> Result<(), rusqlite::Error> {
        const SELECT: &str = "SELECT :b || :a || :b WHERE :a IS NOT NULL";
        let connection = rusqlite::Connection::open_in_memory()?;
        let found: Vec<String> = query!(connection, SELECT, { "a" => "x", "b" => "y" }, |row| row.get(0));
        assert_eq!(found, ["yxy"]);
        Ok(())
    }

    #[test]
    fn names_and_values_that_differ_are_refused() {
        let refused = |given: &[&str]| std::panic::catch_unwind(|| Names::of(SQL).check(given)).is_err();
        assert!(!refused(&["id", "now", "idle"]));
        assert!(refused(&["id", "now"]));
        assert!(refused(&["id", "now", "idle", "more"]));
        assert!(refused(&["id", "now", "id_"]));
    }
}
