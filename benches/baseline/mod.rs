//! What one would write in an afternoon in place of the bridge, to measure the bridge against: axum, an sqlx pool, one
//! INSERT before the 200, a worker that polls, reqwest.
//!
//! It has the shape that tutorials show, and nothing clever: no batches, no wake-ups. It makes no promise less than it must
//! to be compared: the same signed forms, FULL durability, a `jti` counts once, every request continued at least once,
//! also after a crash, with a growing pause while Kommo does not take it. What it lacks is the rest of the bridge:
//! paces, pauses, leases, deadlines, fallbacks, metrics, limits for slow callers.
//!
//! It starts as a process of its own, `serve --config FILE` like the bridge, and takes what it knows of the bridge's
//! configuration. It uses the bridge's memory allocator, which is to its advantage.

mod form;
mod receive;
mod store;
mod token;
mod worker;

use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::TcpListener;

use super::Result;

/// Its settings.
#[derive(Clone, Debug)]
struct Settings {
    /// The file of its database; made if it is not there.
    database: PathBuf,
    /// Signs the tokens of requests.
    client_secret: String,
    /// The only origin that it continues bots at.
    base_url: String,
    /// The bearer of its continues.
    access_token: String,
}

/// Serves on a free port, which it writes to stderr as the bridge does, until it is killed.
///
/// # Errors
/// The configuration, the database or the port is not to be had.
pub fn main() -> Result<()> {
    let file = std::env::args_os().next_back().ok_or("serve --config FILE")?;
    let settings =
        read(&std::fs::read_to_string(file)?.parse()?).ok_or("the configuration lacks something")?;
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(serve(settings))
}

fn read(configuration: &toml::Table) -> Option<Settings> {
    let first = |section: &str| configuration.get(section)?.as_table()?.values().next();
    let text = |value: Option<&toml::Value>| Some(value?.as_str()?.to_owned());
    let account = first("accounts")?;
    Some(Settings {
        database: text(configuration.get("store")?.get("url"))?.strip_prefix("sqlite:")?.into(),
        client_secret: text(first("integrations")?.get("client_secret"))?,
        base_url: text(account.get("base_url"))?,
        access_token: text(account.get("access_token"))?,
    })
}

async fn serve(settings: Settings) -> Result<()> {
    let pool = store::open(&settings.database).await?;
    let settings = Arc::new(settings);
    tokio::spawn(worker::run(pool.clone(), settings.clone()));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    eprintln!(r#"{{"message":"ready","server.listen":"{address}","admin.listen":"{address}"}}"#);
    axum::serve(listener, receive::router(pool, settings)).await?;
    Ok(())
}
