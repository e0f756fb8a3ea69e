//! For tests: failures on demand, and steps of what otherwise happens on its own.

mod faults;
#[cfg(test)]
mod hooks;

#[cfg(test)]
pub(crate) use hooks::{Ticks, file_in, url_in};
