//! Opening a store, taking over from the previous owner, and closing.

mod close;
mod open;
mod recover;
