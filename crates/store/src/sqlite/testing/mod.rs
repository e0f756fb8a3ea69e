//! For tests: failures on demand, and single steps of background work.

mod faults;
#[cfg(test)]
mod hooks;

#[cfg(test)]
pub(crate) use hooks::{Place, Ticks, file_in};
