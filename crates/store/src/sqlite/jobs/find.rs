//! Finds jobs by the first digits of their ids. Each lookup reads a range of the primary key, so it is fast however many
//! jobs there are.

use sqlx::{Row, SqlitePool};
use uuid::Uuid;

use model::{JobId, JobPrefix};

use crate::StoreError;
use crate::jobs::find::{MATCHES_READ, unique};
use crate::sqlite::engine::Engine;

pub(crate) const MATCHES: &str = "SELECT id FROM jobs WHERE id BETWEEN ? AND ? ORDER BY id DESC LIMIT ?";
/// Selects the jobs directly before and after an id.
pub(crate) const NEIGHBOURS: &str =
    "SELECT (SELECT max(id) FROM jobs WHERE id < ?1), (SELECT min(id) FROM jobs WHERE id > ?1)";

impl Engine {
    pub(crate) async fn find(&self, prefix: JobPrefix) -> Result<JobId, StoreError> {
        match prefix.whole() {
            Some(id) => Ok(id),
            None => find(&self.reading, prefix).await,
        }
    }

    pub(crate) async fn unique_digits(&self, ids: &[JobId]) -> Result<Vec<usize>, StoreError> {
        let mut digits = Vec::with_capacity(ids.len());
        for &id in ids {
            let row = sqlx::query(NEIGHBOURS).bind(id.as_uuid()).fetch_one(&self.reading).await?;
            let neighbours: [Option<Uuid>; 2] = [row.try_get(0)?, row.try_get(1)?];
            let neighbours = neighbours.into_iter().flatten();
            let needed = neighbours.map(|other| id.digits_from(JobId::from_uuid(other)));
            digits.push(needed.max().unwrap_or_default());
        }
        Ok(digits)
    }
}

async fn find(pool: &SqlitePool, prefix: JobPrefix) -> Result<JobId, StoreError> {
    let (first, last) = prefix.range();
    let query = sqlx::query(MATCHES).bind(first.as_uuid()).bind(last.as_uuid()).bind(MATCHES_READ);
    let rows = query.fetch_all(pool).await?;
    let ids = rows.iter().map(|row| row.try_get("id").map(JobId::from_uuid));
    unique(prefix, ids.collect::<Result<Vec<_>, _>>()?)
}
