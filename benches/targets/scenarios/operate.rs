//! What people wait for when they operate a bridge with 5 million jobs: lists, and each key of a filter.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use url::form_urlencoded::byte_serialize;

use crate::Result;
use crate::figure::{Figure, Target};
use crate::filler::{Kind, fill};
use crate::load::Shape;
use crate::rig::{Program, Rig};

const DAY: u64 = 86_400;
/// How long the bridge may take to index the jobs that the filler has added.
const INDEX_TIMEOUT: Duration = Duration::from_secs(1_200);

/// The filters to measure. `LEAD`, `URL` and `ID` are those of a job in the middle.
const FILTERS: &[&str] = &[
    "",
    "state:delivered",
    "state:dead",
    "-state:delivered",
    "handler:echo",
    "handler:nothing",
    "account:31000001",
    "account:ORIGIN",
    "account:31000009",
    "lead:LEAD",
    "lead:LEAD account:31000001 state:delivered",
    "contact:5",
    "customer:5",
    "bot:BOT",
    "bot:5",
    "conversation:31000001:lead:LEAD",
    "id:ID",
    "trace:TRACE",
    "return_url:URL",
    "since:1h",
    "until:6d",
    "since:7d until:6d",
    "error:nothing",
    "status:429",
    "attempts:>2",
    "outcome:fallback",
    "outcome:handler",
    "waiting:account",
    "is:late",
    "is:unfinished",
    "is:superseded",
    "nothing",
];

/// Other pages to measure.
const PAGES: &[(&str, &str)] = &[("one job", "/api/v1/jobs/ID"), ("statistics", "/api/v1/stats")];

pub async fn run(rig: &Rig) -> Result<Vec<Figure>> {
    let jobs = rig.size(5_000_000, 20_000);
    let store = rig.store()?;
    let sinks = [&rig.sink(1).await?, &rig.sink(2).await?];
    let bridge = rig.start(Program::Bridge, store.path(), &sinks, "")?;
    Shape::closed(500, 16).run(rig, &bridge, &sinks).await?;
    bridge.stop(Duration::from_secs(30))?;
    let file = store.path().join("bridge.db");
    fill(&file, Kind::Finished, jobs as i64, Duration::from_secs(13 * DAY), Duration::from_secs(60)).await?;
    let before = std::fs::metadata(&file)?.len();

    let bridge = rig.start(Program::Bridge, store.path(), &sinks, "")?;
    let started = Instant::now();
    while !is_indexed(&file).await? {
        if started.elapsed() > INDEX_TIMEOUT {
            return Err(format!("the bridge has not indexed the jobs within {INDEX_TIMEOUT:?}").into());
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let indexed =
        Figure::new(format!("until {jobs} jobs are indexed"), "s").of([started.elapsed().as_secs_f64()]);
    let usage = bridge.usage().ok_or("the bridge has ended")?;
    let cpu = usage.cpu.as_secs_f64() / jobs as f64 * 1e6;
    let sample = sample(&file).await?;
    let mut figures = vec![indexed, Figure::new("CPU to index a job", "µs").of([cpu])];
    for filter in FILTERS {
        let filter = sample.fill_in(filter);
        let q: String = byte_serialize(filter.as_bytes()).collect();
        figures.push(
            measure(rig, &bridge.admin(), &format!("list `{filter}`"), &format!("/api/v1/jobs?q={q}"))
                .await?,
        );
    }
    for (name, path) in PAGES {
        figures.push(measure(rig, &bridge.admin(), name, &sample.fill_in(path)).await?);
    }
    bridge.stop(Duration::from_secs(30))?;
    let grown = std::fs::metadata(&file)?.len().saturating_sub(before) as f64 / jobs as f64;
    figures.push(Figure::new("the search index, per job", "bytes").of([grown]));
    Ok(figures)
}

async fn measure(rig: &Rig, admin: &SocketAddr, name: &str, path: &str) -> Result<Figure> {
    let mut figure = Figure::new(name, "ms").target(Target::AtMost(100.0));
    for _ in 0..rig.runs {
        let started = Instant::now();
        let mut stream = TcpStream::connect(admin).await?;
        let request = format!("GET {path} HTTP/1.1\r\nhost: {admin}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        figure.values.push(started.elapsed().as_secs_f64() * 1e3);
        if !answer.starts_with("HTTP/1.1 200") {
            return Err(format!("{path}: {answer}").into());
        }
    }
    Ok(figure)
}

/// A job in the middle of the store.
struct Sample {
    id: String,
    lead: i64,
    return_url: String,
}

impl Sample {
    fn fill_in(&self, text: &str) -> String {
        let parts: Vec<&str> = self.return_url.split('/').collect();
        let (host, bot) =
            (parts.get(2).copied().unwrap_or_default(), parts.get(6).copied().unwrap_or_default());
        let values = [
            ("LEAD", self.lead.to_string()),
            ("TRACE", self.id.clone()),
            ("ORIGIN", host.to_owned()),
            ("BOT", bot.to_owned()),
            ("URL", self.return_url.clone()),
            ("ID", self.id.clone()),
        ];
        values.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value))
    }
}

async fn sample(file: &Path) -> Result<Sample> {
    let mut database = SqliteConnectOptions::new().filename(file).read_only(true).connect().await?;
    let middle = "SELECT lower(hex(id)), entity_id, return_url FROM jobs WHERE id >= unhex(printf('%012x%020x', \
                  CAST((unixepoch('subsec') - 6 * 86400) * 1000 AS INTEGER), 0)) ORDER BY id LIMIT 1";
    let (id, lead, return_url) = sqlx::query_as(middle).fetch_one(&mut database).await?;
    database.close().await?;
    Ok(Sample { id, lead, return_url })
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
