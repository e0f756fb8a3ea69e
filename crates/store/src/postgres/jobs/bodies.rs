//! The bodies of jobs, in a table of their own.

use uuid::Uuid;

use crate::StoreError;
use crate::postgres::write::rows::column;
use crate::postgres::write::transaction::Transaction;

/// What the widget sent.
pub(crate) const DATA: i16 = 0;
/// The data of the earlier jobs that were joined into this one.
pub(crate) const EARLIER_DATA: i16 = 1;
/// The body of the continue.
pub(crate) const COMPLETION: i16 = 2;

pub(crate) const INSERT: &str =
    "INSERT INTO job_bodies (id, kind, body) SELECT * FROM unnest($1::uuid[], $2::smallint[], $3::text[])";

/// A body to insert.
pub(crate) struct Body<'b> {
    pub(crate) id: Uuid,
    pub(crate) kind: i16,
    pub(crate) body: &'b str,
}

/// Inserts bodies, none of which exists.
pub(crate) async fn insert(
    transaction: &mut Transaction,
    mut bodies: Vec<Body<'_>>,
) -> Result<(), StoreError> {
    if bodies.is_empty() {
        return Ok(());
    }
    bodies.sort_unstable_by_key(|body| (body.id, body.kind));
    let insert = sqlx::query(INSERT)
        .bind(column(&bodies, |body| body.id))
        .bind(column(&bodies, |body| body.kind))
        .bind(column(&bodies, |body| body.body));
    transaction.execute(insert).await?;
    Ok(())
}
