//! Queries whose values have names, for reads through sqlx: the SQL says `:name`, and each value is next to its name.
//!
//! sqlx binds only by number, and an unbound parameter is NULL. So this module replaces the names with numbers, and
//! refuses a statement whose names and values differ. The text of a statement is always the same, so sqlx prepares it
//! once.

use std::fmt::Write;

use sqlx::error::BoxDynError;
use sqlx::query::Query;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments, AssertSqlSafe, Encode, Sqlite, Type};

use crate::{Cause, StoreError};

/// A statement and the values of its names.
pub(crate) struct Named<'s> {
    sql: &'s str,
    names: Vec<&'static str>,
    values: SqliteArguments,
    refused: Option<BoxDynError>,
}

impl<'s> Named<'s> {
    /// Creates a statement without values.
    pub(crate) fn new(sql: &'s str) -> Self {
        Self { sql, names: Vec::new(), values: SqliteArguments::default(), refused: None }
    }

    /// Adds the value of `:name`.
    pub(crate) fn value<'v, T: Encode<'v, Sqlite> + Type<Sqlite>>(
        mut self,
        name: &'static str,
        value: T,
    ) -> Self {
        self.names.push(name);
        if let Err(error) = self.values.add(value) {
            self.refused.get_or_insert(error);
        }
        self
    }

    /// Returns the statement, ready to run.
    ///
    /// # Errors
    /// A name has no value, or a value no name: a bug, which every test that runs the statement finds.
    pub(crate) fn query(self) -> Result<Query<'static, Sqlite, SqliteArguments>, StoreError> {
        let sql = numbered(self.sql, &self.names).map_err(|bug| StoreError::Database(bug.into()))?;
        match self.refused {
            Some(error) => Err(StoreError::Database(Cause::of(error))),
            // The text consists of constants and numbers.
            None => Ok(sqlx::query_with(AssertSqlSafe(sql), self.values)),
        }
    }
}

/// Replaces each name with the number of its value.
fn numbered(sql: &str, names: &[&str]) -> Result<String, String> {
    let mut text = String::with_capacity(sql.len());
    let mut is_used = vec![false; names.len()];
    for (before, name) in pieces(sql) {
        text.push_str(before);
        if let Some(name) = name {
            let at = names.iter().position(|known| *known == name);
            let at = at.ok_or_else(|| format!("no value for `:{name}` in {sql}"))?;
            is_used[at] = true;
            // Writing to a string does not fail.
            let _infallible = write!(text, "?{}", at + 1);
        }
    }
    match is_used.iter().position(|used| !used) {
        Some(at) => Err(format!("no `:{}` in {sql}", names[at])),
        None => Ok(text),
    }
}

/// Splits SQL at its names: each piece of text, and the name after it, if any. Our SQL has no other colons.
fn pieces(sql: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    let mut rest = Some(sql);
    std::iter::from_fn(move || {
        let (before, after) = match rest?.split_once(':') {
            Some((before, after)) => (before, after),
            None => return rest.take().map(|last| (last, None)),
        };
        let end = after.find(|c: char| !c.is_ascii_lowercase() && c != '_').unwrap_or(after.len());
        rest = Some(&after[end..]);
        Some((before, Some(&after[..end])))
    })
}

/// The statement with question marks in place of its names, to explain its plan.
#[cfg(test)]
pub(crate) fn without_names(sql: &str) -> String {
    pieces(sql).map(|(before, name)| format!("{before}{}", name.map_or("", |_| "?"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_gets_the_number_of_its_value() {
        let sql = "UPDATE t SET a = :now WHERE id = :id AND b > :now";
        assert_eq!(numbered(sql, &["id", "now"]).unwrap(), "UPDATE t SET a = ?2 WHERE id = ?1 AND b > ?2");
        assert_eq!(numbered("DELETE FROM t", &[]).unwrap(), "DELETE FROM t");
        assert_eq!(without_names(sql), "UPDATE t SET a = ? WHERE id = ? AND b > ?");
    }

    #[test]
    fn names_and_values_that_differ_are_refused() {
        let sql = "SELECT a FROM t WHERE id = :id";
        assert!(numbered(sql, &[]).unwrap_err().contains("no value for `:id`"));
        assert!(numbered(sql, &["id", "now"]).unwrap_err().contains("no `:now`"));
        assert!(matches!(Named::new(sql).value("key", 1).query(), Err(StoreError::Database(_))));
    }
}
