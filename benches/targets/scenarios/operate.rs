//! What people wait for when they operate a bridge with 5 million jobs: every page of the admin API and of the dashboard,
//! each key of a filter, and the worst filters, over HTTP. And what an open tab of the dashboard costs.
//!
//! *Warm* is a page whose part of the file is in the system's cache. *Cold* is the first request after the file was
//! dropped from that cache, as after a reboot.

mod dashboard;
mod pages;
mod salt;
mod tab;

use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{Advice, fadvise};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Result;
use crate::figure::{Figure, Target};
use crate::filler::{Kind, fill};
use crate::load::Shape;
use crate::rig::{Program, Rig};

use pages::{Page, Sample};

const DAY: u64 = 86_400;
/// How long the bridge may take to index the jobs that the filler has added.
const INDEX_TIMEOUT: Duration = Duration::from_secs(1_200);
/// How long a page may take, in milliseconds.
const LIMIT: f64 = 100.0;
/// The maximum size of a page of the dashboard, in KB.
const MAX_PAGE: f64 = 60.0;
/// The number of cold requests for each page.
const COLD_RUNS: usize = 3;

pub async fn run(rig: &Rig) -> Result<Vec<Figure>> {
    let jobs = rig.size(5_000_000, 20_000);
    let kept = rig.kept("operate")?;
    let store = rig.store()?;
    let folder = kept.as_deref().unwrap_or(store.path());
    let file = folder.join("bridge.db");
    // The jobs that run while a tab is open belong to the third account.
    let sinks = [&rig.sink(1).await?, &rig.sink(2).await?, &rig.sink(3).await?];
    let mut figures = Vec::new();
    let is_new = !file.exists();
    if is_new {
        // Four of five jobs belong to the first account.
        let bridge = rig.start(Program::Bridge, folder, &sinks, "")?;
        Shape::closed(400, 16).run(rig, &bridge, &sinks[..1]).await?;
        Shape::closed(100, 16).run(rig, &bridge, &sinks[1..2]).await?;
        bridge.stop(Duration::from_secs(30))?;
        let (oldest, newest) = (Duration::from_secs(13 * DAY), Duration::from_secs(60));
        fill(&file, Kind::Finished, jobs as i64, oldest, newest).await?;
        salt::add(&file).await?;
    }
    let before = std::fs::metadata(&file)?.len();
    let bridge = rig.start(Program::Bridge, folder, &sinks, "")?;
    if is_new {
        let started = Instant::now();
        while !is_indexed(&file).await? {
            if started.elapsed() > INDEX_TIMEOUT {
                return Err(format!("the bridge has not indexed the jobs within {INDEX_TIMEOUT:?}").into());
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let usage = bridge.usage().ok_or("the bridge has ended")?;
        let cpu = usage.cpu.as_secs_f64() / jobs as f64 * 1e6;
        let seconds = started.elapsed().as_secs_f64();
        figures.push(Figure::new(format!("until {jobs} jobs are indexed"), "s").of([seconds]));
        figures.push(Figure::new("CPU to index a job", "µs").of([cpu]));
    }
    let sample = Sample::of(&file).await?;
    for page in dashboard::all(&sample) {
        figures.extend(measure_html(rig, &bridge.admin(), &page).await?);
    }
    figures.extend(tab::measure(rig, &bridge, sinks[2]).await?);
    for page in pages::all(&sample) {
        figures.extend(measure(rig, &bridge.admin(), &page, &file).await?);
    }
    bridge.stop(Duration::from_secs(30))?;
    if is_new {
        let grown = std::fs::metadata(&file)?.len().saturating_sub(before) as f64 / jobs as f64;
        figures.push(Figure::new("the search index, per job", "bytes").of([grown]));
    }
    Ok(figures)
}

/// Requests a page several times, cold and warm.
async fn measure(rig: &Rig, admin: &SocketAddr, page: &Page, file: &Path) -> Result<[Figure; 2]> {
    let target = Target::AtMost(LIMIT);
    let mut warm = Figure::new(page.name.clone(), "ms").target(target);
    let mut cold = Figure::new(format!("{}, cold", page.name), "ms");
    for _ in 0..COLD_RUNS.min(rig.runs) {
        fadvise(File::open(file)?, 0, None, Advice::DontNeed)?;
        cold.values.push(time(admin, page).await?.0);
    }
    for _ in 0..rig.runs {
        warm.values.push(time(admin, page).await?.0);
    }
    Ok([warm, cold])
}

/// Requests a page of the dashboard several times, warm.
async fn measure_html(rig: &Rig, admin: &SocketAddr, page: &Page) -> Result<[Figure; 2]> {
    let mut times = Figure::new(page.name.clone(), "ms").target(Target::AtMost(LIMIT));
    let mut sizes = Figure::new(format!("{}, size", page.name), "KB").target(Target::Never(MAX_PAGE));
    time(admin, page).await?;
    for _ in 0..rig.runs {
        let (took, bytes) = time(admin, page).await?;
        times.values.push(took);
        sizes.values.push(bytes as f64 / 1e3);
    }
    Ok([times, sizes])
}

/// Requests a page. Returns the time until its last byte, in milliseconds, and the length of its body.
async fn time(admin: &SocketAddr, page: &Page) -> Result<(f64, usize)> {
    let request = page.request(admin);
    let started = Instant::now();
    let mut stream = TcpStream::connect(admin).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let took = started.elapsed().as_secs_f64() * 1e3;
    if !answer.starts_with(&format!("HTTP/1.1 {} ", page.status)) {
        return Err(format!("{}: {answer}", page.name).into());
    }
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    Ok((took, body.len()))
}

/// Whether only the newest jobs are left to index.
async fn is_indexed(file: &Path) -> Result<bool> {
    let mut database = SqliteConnectOptions::new().filename(file).read_only(true).connect().await?;
    let behind = "SELECT count(*) FROM (SELECT 1 FROM jobs \
                  WHERE id > (SELECT indexed_until FROM search_progress) LIMIT 4096)";
    let behind: i64 = sqlx::query_scalar(behind).fetch_one(&mut database).await?;
    database.close().await?;
    Ok(behind < 2_048)
}
