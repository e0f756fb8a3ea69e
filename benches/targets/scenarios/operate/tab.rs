//! What an open tab of the dashboard costs the bridge, while jobs run through it.
//!
//! The tab does what `app.js` does: it follows the events, and loads its page again when something has changed, but not
//! more often than every five seconds.

use std::time::Duration;

use ::load::{BridgeProcess, Sink};
use reqwest::header::ACCEPT;
use tokio::time::{Instant, sleep_until};

use crate::Result;
use crate::figure::{Figure, Target};
use crate::load::Shape;
use crate::rig::Rig;

/// `EVERY` of `app.js`.
const RELOAD_INTERVAL: Duration = Duration::from_secs(5);
/// The shortest delay between an event and the next page, as in `app.js`.
const RELOAD_DELAY: Duration = Duration::from_millis(250);
/// Jobs per second.
const RATE: f64 = 10.0;
/// How much of a core an open tab may take, in percent.
const LIMIT: f64 = 0.5;
/// The number of comparisons.
const RUNS: usize = 3;
/// The pages that stay open.
const TABS: [(&str, &str); 2] = [("Now", "/"), ("jobs", "/jobs")];

/// Measures the CPU of the bridge with and without a tab, in turns. The jobs belong to the account of `sink`.
pub async fn measure(rig: &Rig, bridge: &BridgeProcess, sink: &Sink) -> Result<Vec<Figure>> {
    let mut without = Figure::new("CPU at 10 jobs/s, without a tab", "% of a core");
    let mut tabs = TABS.map(|(name, path)| {
        let figure = Figure::new(format!("an open tab: {name}, CPU"), "% of a core");
        (path, figure.target(Target::AtMost(LIMIT)))
    });
    for _ in 0..RUNS.min(rig.runs) {
        let alone = load(rig, bridge, sink).await?;
        without.values.push(alone);
        for (path, figure) in &mut tabs {
            let tab = Tab::open(bridge, path).await?;
            let with = tokio::select! {
                with = load(rig, bridge, sink) => with?,
                ended = tab.stay() => return Err(format!("the tab has ended: {ended:?}").into()),
            };
            figure.values.push(with - alone);
        }
    }
    Ok([without].into_iter().chain(tabs.map(|(_, figure)| figure)).collect())
}

/// Sends jobs at a constant rate. Returns the CPU of the bridge, in percent of a core.
async fn load(rig: &Rig, bridge: &BridgeProcess, sink: &Sink) -> Result<f64> {
    let requests = rig.size(300, 30);
    let shape = Shape { requests, connections: 4, rate: Some(RATE) };
    let measured = shape.run(rig, bridge, &[sink]).await?;
    let seconds = requests as f64 / RATE;
    Ok(measured.cpu * requests as f64 / 1e6 / seconds * 100.0)
}

/// A page that is open in a browser.
struct Tab {
    client: reqwest::Client,
    page: String,
    events: reqwest::Response,
    loaded: Instant,
}

impl Tab {
    /// Loads the page, and follows the events.
    async fn open(bridge: &BridgeProcess, path: &str) -> Result<Self> {
        let client = reqwest::Client::builder().no_proxy().build()?;
        let address = format!("http://{}", bridge.admin());
        let page = format!("{address}{path}");
        load_page(&client, &page).await?;
        let loaded = Instant::now();
        let events = client.get(format!("{address}/api/v1/events")).send().await?.error_for_status()?;
        Ok(Self { client, page, events, loaded })
    }

    /// Loads the page again and again. Returns only if the events end or a page cannot be loaded.
    async fn stay(mut self) -> Result<()> {
        let mut reload_at: Option<Instant> = None;
        loop {
            tokio::select! {
                received = self.events.chunk() => match received? {
                    None => return Ok(()),
                    // A comment only shows that the connection works.
                    Some(event) if event.starts_with(b":") => {}
                    Some(_event) => {
                        let next = (self.loaded + RELOAD_INTERVAL).max(Instant::now() + RELOAD_DELAY);
                        reload_at.get_or_insert(next);
                    }
                },
                () = sleep_until(reload_at.unwrap_or_else(Instant::now)), if reload_at.is_some() => {
                    reload_at = None;
                    self.loaded = Instant::now();
                    load_page(&self.client, &self.page).await?;
                }
            }
        }
    }
}

async fn load_page(client: &reqwest::Client, page: &str) -> Result<()> {
    client.get(page).header(ACCEPT, "text/html").send().await?.error_for_status()?.bytes().await?;
    Ok(())
}
