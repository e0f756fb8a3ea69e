//! The start after a crash, with a million unfinished jobs: the time until the bridge listens.
//!
//! Before the crash, a handler hung and Kommo was down. The million jobs are copies of the first jobs that were left
//! waiting. The file is in the page cache, so this does not measure a cold disk.

use std::time::{Duration, Instant};

use ::load::{Behaviour, Report};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Result;
use crate::figure::{Figure, Target};
use crate::filler::{Kind, fill};
use crate::load::{Shape, all_accepted};
use crate::rig::{Program, Rig};

/// Long timeouts, so that no job has timed out at the start.
const HANG_SETTINGS: &str = "handlers.hang = { attempt_timeout = \"1h\", answer_within = \"1h\" }\n";

pub async fn run(rig: &Rig) -> Result<Vec<Figure>> {
    let jobs = rig.size(1_000_000, 20_000);
    let (store, sink) = (rig.store()?, rig.sink(1).await?);
    sink.behave(Behaviour::Down);
    let bridge = rig.start(Program::Hanging, store.path(), &[&sink], HANG_SETTINGS)?;
    for handler in ["hang", "echo"] {
        let shape = Shape::closed(1_000, 16);
        let batch = shape.sign(rig, &bridge, &[&sink], handler);
        shape.send(&batch).await?;
        all_accepted(&Report::of(batch.ledger()), shape.requests)?;
    }
    bridge.kill()?;
    let minute = Duration::from_secs(60);
    fill(&store.path().join("bridge.db"), Kind::Waiting, jobs as i64, 20 * minute, minute).await?;

    let mut listening =
        Figure::new(format!("until it listens, {jobs} unfinished jobs"), "s").target(Target::AtMost(2.0));
    let mut ready = Figure::new("until /health/ready returns 200", "s");
    let mut memory = Figure::new("resident memory 5 s later", "MiB");
    for _ in 0..rig.runs {
        let started = Instant::now();
        let bridge = rig.start(Program::Hanging, store.path(), &[&sink], HANG_SETTINGS)?;
        drop(TcpStream::connect(bridge.public()).await?);
        listening.values.push(started.elapsed().as_secs_f64());
        while !is_ready(bridge.admin()).await? {
            if started.elapsed() > 2 * minute {
                return Err("the bridge is not ready after two minutes".into());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        ready.values.push(started.elapsed().as_secs_f64());
        tokio::time::sleep(Duration::from_secs(5)).await;
        let usage = bridge.usage().ok_or("the bridge has ended")?;
        memory.values.push(usage.memory as f64 / f64::from(1 << 20));
        bridge.kill()?;
    }
    Ok(vec![listening, ready, memory])
}

async fn is_ready(admin: std::net::SocketAddr) -> Result<bool> {
    let mut stream = TcpStream::connect(admin).await?;
    let request = format!("GET /health/ready HTTP/1.1\r\nhost: {admin}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer.starts_with("HTTP/1.1 200"))
}
