//! What a process is to a store.

/// What a process wants with the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Own it: make it if need be, bring its schema up to date, free what a dead owner held.
    Serve,
    /// Look at it and move jobs beside a possible owner. It must exist.
    Visit,
}
