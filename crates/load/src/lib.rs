//! A load generator that sends pre-signed requests, and a cheap substitute for Kommo that receives the continues.
//! For the command `bench` and the benches of this repository.
//!
//! Generator, sink and bridge share one machine, so the CPU time of the first two is lost to the bridge. The
//! [`Sink`] therefore does much less than the simulator: it checks path and bearer, records when each continue
//! arrived, and responds. It can also fail as a whole ([`Behaviour`]).
//!
//! # Guarantees
//!
//! - Requests are signed before the clock starts ([`Batch::sign`]). Sending one copies its bytes and makes two
//!   system calls.
//! - With a rate, requests are due on a constant schedule, and latencies count from the time a request was *due*.
//!   The generator does not wait for a bridge that stalls, so stalls show in the latencies.
//! - Every request and every continue is accounted for ([`Ledger`], [`Report`]).
//! - Nothing hangs: if there is no progress for [`Load::stall_timeout`], the run ends, and the report lists what is
//!   missing.
//!
//! This crate uses no other crate of the workspace, so that it does not repeat a mistake of the bridge.
//!
//! Everything runs on the caller's tokio runtime. A current-thread runtime is the cheapest, because no thread has
//! to wake another.
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
