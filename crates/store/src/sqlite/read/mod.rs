//! How a read reaches the database: through sqlx, on connections that never wait for the writer.

pub(crate) mod named;
