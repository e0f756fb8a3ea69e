//! The full loop with a handler over HTTP, whose local server answers at once: runs alternate with `echo`.
//!
//! The server is in this process, beside the generator and the sink. It reads a request and answers without looking at it.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::task::AbortOnDropHandle;

use crate::Result;
use crate::figure::{Figure, Target};
use crate::load::Shape;
use crate::rig::{Program, Rig};

const RESPONSE: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 20\r\n\r\n{\"data\":{\"n\":\"Hi\"}}\n";

pub async fn run(rig: &Rig) -> Result<Vec<Figure>> {
    let shape = Shape::closed(rig.size(50_000, 2_000), 64);
    let mut rate = Figure::new("jobs continued, handler over HTTP", "/s");
    let mut cpu = Figure::new("CPU per job, handler over HTTP", "µs");
    let mut own = Figure::new("generator, sink and server, CPU per job", "µs");
    let mut ratio = Figure::new("jobs continued, over HTTP / echo", "×").target(Target::AtLeast(0.5));
    for _ in 0..rig.runs {
        let server = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/", server.local_addr()?);
        let _serving = AbortOnDropHandle::new(serve(server));
        // 64 calls in flight are the default.
        let config = format!(
            "handlers.url = {{ kind = \"http\", url = \"{url}\", secret = \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\" }}\n"
        );
        let mut rates = [0.0; 2];
        for (index, handler) in ["url", "echo"].into_iter().enumerate() {
            let (store, sink) = (rig.store()?, rig.sink(1).await?);
            let bridge = rig.start(Program::Bridge, store.path(), &[&sink], &config)?;
            Shape::closed(1_000, 16).run_with(rig, &bridge, &[&sink], handler).await?;
            let measured = shape.run_with(rig, &bridge, &[&sink], handler).await?;
            rates[index] = measured.report.jobs_per_second;
            if handler == "url" {
                rate.values.push(measured.report.jobs_per_second);
                cpu.values.push(measured.cpu);
                own.values.push(measured.own_cpu);
            }
        }
        ratio.values.push(rates[0] / rates[1]);
    }
    Ok(vec![rate, cpu, own, ratio])
}

fn serve(server: TcpListener) -> JoinHandle<()> {
    tokio::spawn(async move {
        while let Ok((connection, _)) = server.accept().await {
            tokio::spawn(answer(connection));
        }
    })
}

/// Answers the requests of one connection.
async fn answer(mut connection: TcpStream) -> io::Result<()> {
    connection.set_nodelay(true)?;
    let mut read = Vec::with_capacity(4_096);
    loop {
        if let Some(whole) = length(&read).filter(|whole| read.len() >= *whole) {
            read.drain(..whole);
            connection.write_all(RESPONSE).await?;
        } else if connection.read_buf(&mut read).await? == 0 {
            return Ok(());
        }
    }
}

/// The length of the first request in `bytes`; `None` if its head is incomplete.
fn length(bytes: &[u8]) -> Option<usize> {
    let head = bytes.windows(4).position(|part| part == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(bytes.get(..head)?).ok()?;
    let name = |line: &&str| line.to_ascii_lowercase().starts_with("content-length:");
    let body: usize = text.lines().find(name)?.split(':').nth(1)?.trim().parse().ok()?;
    Some(head + body)
}
