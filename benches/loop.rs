//! The full loop under load: the real program with FULL durability, the `echo` handler, 64 connections
//! that post signed form bodies as fast as they are answered, and a sink that takes the continues.
//!
//! `cargo bench --bench loop -- [--requests N] [--connections C]` prints how many requests a second were
//! acknowledged and how many jobs a second continued, from the first request on, and what the bridge
//! used. Generator, bridge and sink share the machine, so the figures are of all three together.

#![allow(clippy::print_stdout, clippy::expect_used, clippy::unwrap_used, reason = "a program for developers")]

use std::collections::VecDeque;
use std::error::Error;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use salesbot_bridge::simulator::{Bot, Options, Plan, Simulator};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

struct Load {
    requests: usize,
    connections: usize,
}

fn main() -> Result<()> {
    let load = arguments()?;
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(run(load))
}

/// `cargo bench` adds `--bench`, which means nothing here.
fn arguments() -> Result<Load> {
    let mut load = Load { requests: 50_000, connections: 64 };
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{name} needs a number"))?.parse()?;
        match name.as_str() {
            "--requests" => load.requests = value,
            "--connections" => load.connections = value,
            _ => return Err(format!("unknown option {name}: --requests N, --connections C").into()),
        }
    }
    Ok(load)
}

async fn run(load: Load) -> Result<()> {
    let simulator = Simulator::start(Options { record: false, ..Options::default() }).await?;
    let folder = tempfile::tempdir()?;
    let (mut bridge, address, admin) = bridge(&simulator, folder.path()).await?;
    let url = format!("http://{address}/widget_request/echo");

    // Signing is the generator's work, not the bridge's: it is done before the clock starts.
    let data = json!({ "message": "How much is the blue one?", "lead": { "id": 31_764_961, "name": "Ann" } });
    let bots: Vec<Bot> = (0..load.requests).map(|_| simulator.bot(Plan::with_data(data.clone()))).collect();
    let requests: VecDeque<Vec<u8>> = bots.iter().map(|bot| request(bot, &url, &address)).collect();
    let requests = Arc::new(Mutex::new(requests));

    let started = Instant::now();
    let connections: Vec<_> =
        (0..load.connections).map(|_| tokio::spawn(connection(address.clone(), requests.clone()))).collect();
    let mut latencies = Vec::with_capacity(load.requests);
    for connection in connections {
        latencies.extend(connection.await??);
    }
    let acknowledged = started.elapsed();
    for bot in &bots {
        bot.continued().await;
    }
    let continued = started.elapsed();

    let commits = commits(&admin).await?;
    let (cpu, memory) = used(&bridge)?;
    latencies.sort();
    let at = |percent: usize| latencies[(latencies.len() - 1) * percent / 100].as_secs_f64() * 1_000.0;
    let rate = |time: Duration| load.requests as f64 / time.as_secs_f64();
    println!("{} requests over {} connections, FULL durability, echo", load.requests, load.connections);
    println!("acknowledged        {:>9.0} /s", rate(acknowledged));
    println!("continued           {:>9.0} /s", rate(continued));
    println!("acknowledgement     {:>9.2} ms p50, {:.2} p99, {:.2} max", at(50), at(99), at(100));
    println!("commits             {commits}");
    println!("the bridge's CPU    {:>9.0} µs per job", cpu.as_secs_f64() * 1e6 / load.requests as f64);
    println!("its peak memory     {:>9.1} MiB", memory as f64 / 1_024.0);
    bridge.start_kill()?;
    bridge.wait().await?;
    Ok(())
}

async fn bridge(simulator: &Simulator, folder: &std::path::Path) -> Result<(Child, String, String)> {
    let Options { client_uuid, client_secret, access_token, .. } = simulator.options();
    let base_url = simulator.base_url();
    let file = folder.join("bridge.toml");
    let text = format!(
        r#"
        server = {{ listen = "127.0.0.1:0", max_connections = 10000 }}
        admin.listen = "127.0.0.1:0"
        store.url = "sqlite:{folder}/bridge.db"
        integrations.bench = {{ client_uuid = "{client_uuid}", client_secret = "{client_secret}" }}
        accounts.bench = {{ base_url = "{base_url}", access_token = "{access_token}" }}
        handlers.echo.kind = "echo"
        delivery = {{ allowed_hosts = ["{host}"], insecure = true, rate_per_account = 1000000 }}
        log.format = "json"
        "#,
        folder = folder.display(),
        host = base_url.trim_start_matches("http://"),
    );
    std::fs::write(&file, text)?;
    let mut child = Command::new(env!("CARGO_BIN_EXE_salesbot-bridge"))
        .args(["serve", "--config"])
        .arg(&file)
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut lines = BufReader::new(child.stderr.take().ok_or("no stderr")?).lines();
    while let Some(line) = lines.next_line().await? {
        let line: serde_json::Value = serde_json::from_str(&line).map_err(|_| line)?;
        if let (Some(address), Some(admin)) = (line["server.listen"].as_str(), line["admin.listen"].as_str())
        {
            let (address, admin) = (address.to_owned(), admin.to_owned());
            // Whoever stops reading stops the writer.
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return Ok((child, address, admin));
        }
    }
    Err("the bridge did not start".into())
}

fn request(bot: &Bot, url: &str, address: &str) -> Vec<u8> {
    let request = bot.request(url);
    let mut bytes = format!(
        "POST /widget_request/echo HTTP/1.1\r\nhost: {address}\r\ncontent-type: {}\r\ncontent-length: {}\r\n\r\n",
        request.content_type,
        request.body.len()
    )
    .into_bytes();
    bytes.extend_from_slice(&request.body);
    bytes
}

/// Posts one request after the other; gives back how long each took to be answered with 200.
async fn connection(address: String, requests: Arc<Mutex<VecDeque<Vec<u8>>>>) -> Result<Vec<Duration>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    let (mut latencies, mut line, mut body) = (Vec::new(), String::new(), Vec::new());
    loop {
        let Some(request) = requests.lock().unwrap().pop_front() else { return Ok(latencies) };
        let started = Instant::now();
        stream.get_mut().write_all(&request).await?;
        line.clear();
        stream.read_line(&mut line).await?;
        if !line.starts_with("HTTP/1.1 200") {
            return Err(format!("the bridge answered {line}").into());
        }
        let mut length = 0;
        loop {
            line.clear();
            stream.read_line(&mut line).await?;
            match line.trim_end().split_once(": ") {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = value.parse()?
                }
                Some(_) => {}
                None => break,
            }
        }
        body.resize(length, 0);
        stream.read_exact(&mut body).await?;
        latencies.push(started.elapsed());
    }
}

/// How many commits there were, how long one took and how much it wrote, as the bridge itself counts.
async fn commits(admin: &str) -> Result<String> {
    let mut stream = TcpStream::connect(admin).await?;
    stream
        .write_all(format!("GET /metrics HTTP/1.1\r\nhost: {admin}\r\nconnection: close\r\n\r\n").as_bytes())
        .await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    let number = |name: &str| -> Result<f64> {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .ok_or_else(|| format!("no metric {name}"))?;
        Ok(line.trim().parse()?)
    };
    let count = number("bridge_commit_seconds_count")?;
    let (seconds, operations) =
        (number("bridge_commit_seconds_sum")?, number("bridge_commit_operations_sum")?);
    Ok(format!("{count:>9.0}, {:.2} ms and {:.0} operations each", seconds / count * 1e3, operations / count))
}

/// CPU time and peak memory in KiB of the child, as the kernel counts them.
fn used(child: &Child) -> Result<(Duration, u64)> {
    let id = child.id().ok_or("the bridge has ended")?;
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat"))?;
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks: u64 = fields.get(11).ok_or("no utime")?.parse::<u64>()?
        + fields.get(12).ok_or("no stime")?.parse::<u64>()?;
    let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    // The kernel counts in hundredths of a second.
    Ok((Duration::from_millis(ticks * 10), peak.trim().trim_end_matches(" kB").parse()?))
}
