//! Creates the partitions of the coming days.

use std::collections::HashSet;

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use super::partitions::{Day, Partition, Table};
use crate::StoreError;

/// For how many days ahead the partitions exist.
pub(crate) const DAYS_AHEAD: i64 = 7;
/// How long a change waits for the locks that it needs. While it waits, all who need the same tables wait behind it.
const LOCK_TIMEOUT: &str = "SET LOCAL lock_timeout = '500ms'";

/// Creates the missing partitions from yesterday until `days_ahead` days after `today`. Returns how many it created. Rows
/// of these days that are in the default partitions move to the new ones.
///
/// # Errors
/// `Contended` if another session uses a default partition for too long: call it again later. Everything then is as
/// before, except that some tables may already have their partitions.
pub(crate) async fn ensure(
    connection: &mut PgConnection,
    today: Day,
    days_ahead: i64,
) -> Result<usize, StoreError> {
    let mut created = 0;
    for table in Table::ALL {
        let there: HashSet<Day> = existing(connection, table).await?.into_iter().collect();
        let days = (-1..=days_ahead).map(|ahead| today.plus(ahead));
        let missing: Vec<Day> = days.filter(|day| !there.contains(day)).collect();
        if !missing.is_empty() {
            create(connection, table, &missing).await?;
            created += missing.len();
        }
    }
    Ok(created)
}

/// The days for which `table` has a partition, the oldest first.
pub(crate) async fn existing(connection: &mut PgConnection, table: Table) -> Result<Vec<Day>, StoreError> {
    let names = "SELECT relname::text FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid \
         WHERE inhparent = to_regclass($1)";
    let names: Vec<String> = sqlx::query_scalar(names).bind(table.name()).fetch_all(connection).await?;
    let mut days: Vec<Day> = names
        .iter()
        .filter_map(|name| Partition::named(table, name))
        .map(|partition| partition.day)
        .collect();
    days.sort_unstable();
    Ok(days)
}

/// Creates the partitions of a table in one transaction.
async fn create(connection: &mut PgConnection, table: Table, days: &[Day]) -> Result<(), StoreError> {
    let columns = columns(connection, table).await?;
    let mut transaction = connection.begin().await?;
    transaction.execute(LOCK_TIMEOUT).await?;
    // Attaching a partition needs this lock. Taking it first keeps other sessions from changing rows that are moved.
    let lock = format!("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", table.default_partition());
    transaction.execute(AssertSqlSafe(lock)).await?;
    for day in days {
        let sql = creation(Partition { table, day: *day }, &columns);
        transaction.execute(AssertSqlSafe(sql)).await?;
    }
    Ok(transaction.commit().await?)
}

/// The statements that create a partition. `CREATE TABLE … PARTITION OF` would lock the whole table against readers.
fn creation(partition: Partition, columns: &str) -> String {
    let (name, from, to) = (partition.name(), partition.from(), partition.to());
    let (table, key, options) = (partition.table.name(), partition.table.key(), partition.table.options());
    let default = partition.table.default_partition();
    format!(
        "CREATE TABLE {name} (LIKE {table} INCLUDING ALL){options}; \
         WITH moved AS (DELETE FROM {default} WHERE {key} >= {from} AND {key} < {to} RETURNING {columns}) \
         INSERT INTO {name} ({columns}) SELECT {columns} FROM moved; \
         ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ({from}) TO ({to})"
    )
}

/// The columns that can be written: all but the generated ones.
async fn columns(connection: &mut PgConnection, table: Table) -> Result<String, StoreError> {
    let columns = "SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute \
         WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped AND attgenerated = ''";
    Ok(sqlx::query_scalar(columns).bind(table.name()).fetch_one(connection).await?)
}
