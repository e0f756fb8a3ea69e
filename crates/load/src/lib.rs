//! The load generator: signed requests by the ten thousand, and a stand-in for Kommo that is cheap enough to
//! stand beside what it measures. For the command `bench` and for the benches of this repository.
//!
//! Generator, sink and bridge share one machine, so what the first two cost is taken from what is measured. The
//! [`Sink`] therefore is no Kommo: it checks path and bearer, notes which continue came when, and answers. It is the
//! part of the simulator that load needs, and it can break as a whole ([`Behaviour`]).
//!
//! # What it promises
//!
//! - Requests are signed before the clock starts ([`Batch::sign`]); to send one costs its bytes and two system calls.
//! - With a rate, requests are due by a constant schedule, and every latency counts from the moment a request
//!   was *due*: a bridge that stands still cannot hide behind a generator that waits for it.
//! - Every request and every continue is accounted for, one by one ([`Ledger`], [`Report`]).
//! - Nothing hangs: where nothing moves for [`Load::stall_timeout`], the run ends, and the report says what is missing.
//!
//! It names no other room of this crate, so that a mistake of the bridge is not mirrored here.
//!
//! All of it runs on whatever tokio runtime it is called from. A current-thread runtime is the cheapest, because
//! no thread has to wake another.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use std::{path::Path, sync::Arc, time::Duration};
//! use salesbot_bridge_load::{Account, Batch, Integration, Load, Report, Sink, Start, Target};
//!
//! let sink = Sink::start("127.0.0.1:0".parse()?, Account::numbered(1)).await?;
//! let integration = Integration::default();
//! let folder = Path::new("/tmp/somewhere");
//! let bridge = Start::new(Path::new("salesbot-bridge"), folder, &integration, &[&sink]).run()?;
//! let before = bridge.usage();
//! let batch = Batch::sign(&integration, &[&sink], &Target::echo(bridge.public()), 50_000);
//! let load = Load { connections: 64, rate: None, stall_timeout: Duration::from_secs(30) };
//! load.run(&batch).await?;
//! let report = Report::of(batch.ledger());
//! println!("{:.0} jobs/s", report.jobs_per_second);
//! # Ok(()) }
//! ```

mod batch;
mod child;
mod http;
mod latency;
mod ledger;
mod report;
mod run;
mod schedule;
mod sink;
mod token;
mod usage;

#[cfg(test)]
mod tests;

pub use batch::{Batch, Target};
pub use child::{BridgeProcess, Start, StartError};
pub use latency::Latency;
pub use ledger::{Count, Ledger};
pub use report::Report;
pub use run::{Load, LoadError};
pub use sink::{Account, Behaviour, Sink};
pub use token::Integration;
pub use usage::Usage;
