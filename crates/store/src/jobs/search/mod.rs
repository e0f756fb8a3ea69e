//! The search index: finds the jobs of a handler, an account, a lead or a bot among millions.
//!
//! An index on `jobs` would cost each accepted job a write to a random page. Instead, maintenance indexes jobs later, in
//! the order of their ids. A *run* covers about a thousand jobs, in *blocks* of 64. For each *term* (a handler, an account,
//! a lead, …) it stores in which blocks of the run the term occurs, in 6 bytes. A search reads its terms, and then only
//! these blocks; the filter's conditions decide about each job, so the index may point to too many blocks, but never to
//! too few. Jobs that are not indexed yet are the newest ones, and a search scans them.
//!
//! A job that arrives with an id among indexed ones, after someone set the clock back, makes the runs from there on void
//! in the same transaction.

pub(crate) mod lookup;
pub(crate) mod progress;
pub(crate) mod run;
pub(crate) mod watch;
