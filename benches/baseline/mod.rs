//! A baseline for comparison: the bridge that one would write in an afternoon, with axum, an sqlx pool, one INSERT
//! before the 200, a polling worker, and reqwest.
//!
//! It has the structure of a tutorial, without batches or wake-ups. It keeps the guarantees that a fair comparison
//! needs: the same signed forms, FULL durability, each `jti` once, every request continued at least once even after a
//! crash, and backoff while Kommo does not accept it. It lacks the rest of the bridge: rate limits, circuit breakers,
//! leases, deadlines, fallbacks, metrics, limits for slow callers.
//!
//! It runs in its own process, as `serve --config FILE` like the bridge, and reads the keys that it needs from the
//! bridge's configuration. It uses the bridge's memory allocator, which works in its favour.

mod form;
mod receive;
mod store;
mod token;
mod worker;

use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::TcpListener;

use super::Result;

/// The settings of the baseline.
#[derive(Clone, Debug)]
struct Settings {
    /// The file of the database, created if it does not exist.
    database: PathBuf,
    /// The secret that signs the tokens of requests.
    client_secret: String,
    /// The only origin to which it sends continues.
    base_url: String,
    /// The bearer of the continues.
    access_token: String,
}

/// Serves on a free port until the process is killed. Writes the port to stderr, as the bridge does.
///
/// # Errors
/// The configuration cannot be read, the database cannot be opened, or there is no free port.
pub fn main() -> Result<()> {
    let file = std::env::args_os().next_back().ok_or("usage: serve --config FILE")?;
    let settings = read(&std::fs::read_to_string(file)?.parse()?).ok_or(
        "the configuration must have store.url, an integration with client_secret, \
         and an account with base_url and access_token",
    )?;
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
