//! The tables: migrations, and a partition for each day.

pub(crate) mod migrate;
pub(crate) mod migrations;
pub(crate) mod partition_changes;
pub(crate) mod partitions;

#[cfg(test)]
mod tests;
