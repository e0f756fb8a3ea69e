//! The pages to measure.

use std::net::SocketAddr;
use std::path::Path;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use url::form_urlencoded::byte_serialize;

use super::salt::{RARE_ERROR, RARE_HANDLER, RARE_LEAD};
use crate::Result;

/// The filters to measure. Names in capital letters are values of [`Sample`].
const FILTERS: &[&str] = &[
    "",
    // Each key.
    "state:delivered",
    "state:dead",
    "state:delivering",
    "state:queued",
    "state:gone,cancelled",
    "handler:echo",
    "handler:nothing",
    "account:MANY",
    "account:HOST",
    "account:31000009",
    "lead:LEAD",
    "contact:5",
    "customer:5",
    "bot:BOT",
    "bot:5",
    "conversation:MANY:lead:LEAD",
    "id:ID",
    "trace:ID",
    "return_url:URL",
    "since:1h",
    "since:13d",
    "until:1h",
    "until:6d",
    "until:12d",
    "error:overloaded",
    "error:nothing",
    "status:503",
    "status:429",
    "attempts:>2",
    "attempts:>9",
    "outcome:fallback",
    "outcome:handler",
    "waiting:account",
    "waiting:retry",
    "waiting:worker",
    "is:late",
    "is:unfinished",
    "is:finished",
    "is:superseded",
    "is:joined",
    // The only match is old.
    "RARE_ERROR",
    "error:RARE_ERROR",
    "handler:RARE_HANDLER",
    "lead:RARE_LEAD",
    "handler:RARE_HANDLER error:RARE_ERROR",
    // Negated.
    "-state:delivered",
    "-state:delivered,dead",
    "-state:delivered -state:dead error:nothing",
    "-handler:echo",
    "-account:MANY",
    "-outcome:handler",
    "-is:finished",
    "-bot:BOT",
    "-error:overloaded",
    // With alternatives.
    "state:dead,delivering,queued",
    "account:MANY,FEW",
    "account:FEW,31000009",
    "lead:LEAD,RARE_LEAD,5",
    "handler:nothing,echo",
    "error:nothing,nowhere",
    "state:dead,delivered error:nothing",
    // Two keys that leave many jobs.
    "lead:LEAD account:MANY state:delivered",
    "account:MANY handler:echo",
    "account:MANY error:nothing",
    "account:FEW status:429",
    "handler:echo attempts:>9",
    "account:FEW since:7d until:6d",
    "state:delivered attempts:>9",
    "state:delivering error:nothing",
    "state:delivering account:FEW",
    "state:delivering handler:nothing",
    "state:dead error:nothing",
    "outcome:fallback error:nothing",
    "outcome:fallback account:FEW",
    "outcome:fallback state:delivered error:nothing",
    "is:unfinished lead:RARE_LEAD",
    "since:7d until:6d",
    "since:12d error:nothing",
    // Text that occurs in no job, and in each.
    "nothing",
    "blue",
    "account:MANY nothing",
    "state:dead nothing",
    "state:delivering nothing",
    "12345",
];

/// Other pages to measure: names and paths.
const PAGES: &[(&str, &str)] = &[
    ("list, 500 jobs", "/api/v1/jobs?limit=500"),
    ("list, a page of the middle", "/api/v1/jobs?cursor=ID"),
    ("list `account:MANY`, a page of the middle", "/api/v1/jobs?cursor=ID&q=account%3AMANY"),
    ("list `state:delivering`, a page of the middle", "/api/v1/jobs?cursor=ID&q=state%3Adelivering"),
    ("list `state:dead`, a page of the middle", "/api/v1/jobs?cursor=ID&q=state%3Adead"),
    ("list `nothing`, a page of the middle", "/api/v1/jobs?cursor=ID&q=nothing"),
    ("a delivered job", "/api/v1/jobs/ID"),
    ("a dead job with attempts", "/api/v1/jobs/DEAD"),
    ("a job that waits for its turn", "/api/v1/jobs/TURN"),
    ("explain, delivered", "/api/v1/jobs/ID/explain"),
    ("explain, dead", "/api/v1/jobs/DEAD/explain"),
    ("explain, cancelled", "/api/v1/jobs/CANCELLED/explain"),
    ("explain, gone", "/api/v1/jobs/GONE/explain"),
    ("explain, delivering among 100,000", "/api/v1/jobs/DELIVERING/explain"),
    ("explain, queued", "/api/v1/jobs/QUEUED/explain"),
    ("explain, the last of a line of 1,000", "/api/v1/jobs/TURN/explain"),
    ("explain, awaiting its callback", "/api/v1/jobs/AWAITING/explain"),
    ("explain, without its bodies", "/api/v1/jobs/DROPPED/explain"),
    ("10,000 groups of errors", "/api/v1/errors"),
    ("10,000 groups of errors, 500 a page", "/api/v1/errors?limit=500"),
    ("10,000 groups of errors, the last page", "/api/v1/errors?cursor=LAST-10000"),
    ("a group of 4,000,000 errors", "/api/v1/errors/1"),
    ("statistics", "/api/v1/stats"),
    ("accounts", "/api/v1/accounts"),
    ("handlers", "/api/v1/handlers"),
    ("store", "/api/v1/store"),
    ("actions", "/api/v1/actions"),
    ("actions, 500 from the middle", "/api/v1/actions?limit=500&cursor=5000"),
    ("history, an hour", "/api/v1/history"),
    ("history, 14 days", "/api/v1/history?window=14d"),
    ("metrics", "/metrics"),
    ("readiness", "/health/ready"),
];

/// Dry runs of bulk changes: actions and filters.
const DRY_RUNS: &[(&str, &str)] =
    &[("retry", "state:dead"), ("retry", "handler:echo state:dead"), ("cancel", "state:queued")];

/// A request to measure.
pub struct Page {
    pub name: String,
    pub path: String,
    /// The body of a POST; `None` for a GET.
    pub body: Option<String>,
    /// Whether it is a page of the dashboard.
    pub is_html: bool,
    /// The status of the response.
    pub status: u16,
}

impl Page {
    /// A page of the API.
    fn of_api(name: String, path: String, body: Option<String>) -> Self {
        Self { name, path, body, is_html: false, status: 200 }
    }

    /// The request, head and body.
    pub fn request(&self, admin: &SocketAddr) -> String {
        let Self { path, body, is_html, .. } = self;
        let accept = if *is_html { "accept: text/html\r\n" } else { "" };
        let end = format!("host: {admin}\r\nconnection: close\r\n{accept}");
        match body {
            None => format!("GET {path} HTTP/1.1\r\n{end}\r\n"),
            Some(body) => format!(
                "POST {path} HTTP/1.1\r\n{end}content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            ),
        }
    }
}

/// All pages of the API.
pub fn all(sample: &Sample) -> Vec<Page> {
    let lists = FILTERS.iter().map(|filter| {
        let q: String = byte_serialize(sample.fill_in(filter).as_bytes()).collect();
        Page::of_api(format!("list `{filter}`"), format!("/api/v1/jobs?q={q}"), None)
    });
    let pages = PAGES.iter().map(|(name, path)| Page::of_api((*name).to_owned(), sample.fill_in(path), None));
    let dry_runs = DRY_RUNS.iter().map(|(action, filter)| {
        let body = format!(r#"{{"action":"{action}","filter":"{filter}","dry_run":true}}"#);
        Page::of_api(format!("dry run, {action} `{filter}`"), "/api/v1/jobs/bulk".to_owned(), Some(body))
    });
    lists.chain(pages).chain(dry_runs).collect()
}

/// Values for filters and paths.
pub struct Sample(Vec<(&'static str, String)>);

/// A delivered job in the middle of the store.
const MIDDLE: &str = "SELECT lower(hex(id)) FROM jobs WHERE state = 'delivered' AND entity_id IS NOT NULL \
     AND data IS NOT NULL AND id >= unhex(printf('%012x%020x', \
     CAST((unixepoch('subsec') - 6 * 86400) * 1000 AS INTEGER), 0)) ORDER BY id LIMIT 1";

/// Names with the SELECT of their values. `?` is the job of [`MIDDLE`].
const VALUES: &[(&str, &str)] = &[
    ("LEAD", "SELECT entity_id FROM jobs WHERE id = unhex(?)"),
    ("URL", "SELECT return_url FROM jobs WHERE id = unhex(?)"),
    (
        "HOST",
        "SELECT replace(origin, 'http://', '') FROM jobs WHERE account_id = 31000001 ORDER BY id DESC LIMIT 1",
    ),
    ("DEAD", "SELECT lower(hex(id)) FROM jobs WHERE state = 'dead' LIMIT 1"),
    ("CANCELLED", "SELECT lower(hex(id)) FROM jobs WHERE state = 'cancelled' LIMIT 1"),
    ("GONE", "SELECT lower(hex(id)) FROM jobs WHERE state = 'gone' LIMIT 1"),
    ("DELIVERING", "SELECT lower(hex(id)) FROM jobs WHERE state = 'delivering' LIMIT 1"),
    ("QUEUED", "SELECT lower(hex(id)) FROM jobs WHERE state = 'queued' AND due_at > 0 LIMIT 1"),
    ("AWAITING", "SELECT lower(hex(id)) FROM jobs WHERE state = 'awaiting_callback' LIMIT 1"),
    ("TURN", "SELECT lower(hex(id)) FROM jobs WHERE turn IS NOT NULL ORDER BY turn DESC LIMIT 1"),
    ("DROPPED", "SELECT lower(hex(id)) FROM jobs WHERE data IS NULL LIMIT 1"),
    ("LAST", "SELECT min(last_at) + 20 FROM error_groups"),
];

impl Sample {
    /// Reads the values from the store at `file`.
    ///
    /// # Errors
    /// The store cannot be read, or a value is missing.
    pub async fn of(file: &Path) -> Result<Self> {
        let mut database = SqliteConnectOptions::new().filename(file).read_only(true).connect().await?;
        let id = value(&mut database, MIDDLE, "").await?;
        let mut values = Vec::new();
        for (name, sql) in VALUES {
            let value = value(&mut database, sql, &id).await.map_err(|error| format!("{name}: {error}"))?;
            values.push((*name, value));
        }
        database.close().await?;
        let url = values.iter().find(|(name, _)| *name == "URL").map(|(_, url)| url.clone());
        let bot = url.unwrap_or_default().rsplit('/').nth(2).unwrap_or_default().to_owned();
        values.extend([("BOT", bot), ("MANY", "31000001".to_owned()), ("FEW", "31000002".to_owned())]);
        values
            .extend([("RARE_ERROR", format!("\"{RARE_ERROR}\"")), ("RARE_HANDLER", RARE_HANDLER.to_owned())]);
        values.extend([("RARE_LEAD", RARE_LEAD.to_string()), ("ID", id)]);
        // `RARE_LEAD` contains `LEAD`.
        values.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        Ok(Self(values))
    }

    /// The text with the values in place of their names.
    pub fn fill_in(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value))
    }
}

/// A value as text.
async fn value(database: &mut SqliteConnection, sql: &'static str, id: &str) -> Result<String> {
    let sql = format!("SELECT CAST(({sql}) AS TEXT)");
    let has_id = sql.contains("unhex(?)");
    let query = sqlx::query_scalar(sqlx::AssertSqlSafe(sql));
    let found: Option<String> = if has_id { query.bind(id) } else { query }.fetch_one(database).await?;
    found.ok_or_else(|| "the store has no such job".into())
}
