//! The pages of the dashboard to measure.

use url::form_urlencoded::byte_serialize;
use uuid::Uuid;

use super::pages::{Page, Sample};

/// The filters of the list of jobs: those that the pages link to, common ones, and those that read most.
const FILTERS: &[&str] = &[
    "",
    // Links and menus of the pages.
    "is:late",
    "is:unfinished",
    "since:24h -state:delivered",
    "outcome:fallback since:24h",
    // Common ones.
    "state:dead",
    "state:delivering",
    "state:queued",
    "state:delivered",
    "account:MANY",
    "handler:echo",
    "lead:LEAD",
    "bot:BOT",
    "waiting:account",
    "status:503",
    "overloaded",
    // Those that read most.
    "contact:5",
    "customer:5",
    "status:429",
    "account:FEW status:429",
    "account:MANY error:nothing",
    "state:delivering error:nothing",
    "state:delivering nothing",
    "-state:delivered -state:dead error:nothing",
    "nothing",
    "12345",
    "handler:RARE_HANDLER error:RARE_ERROR",
];

/// The other pages: names and paths.
const PAGES: &[(&str, &str)] = &[
    ("Now", "/"),
    ("jobs, a page of the middle", "/jobs?cursor=ID"),
    ("a delivered job", "/jobs/ID"),
    ("a dead job", "/jobs/DEAD"),
    ("a dead job, each attempt", "/jobs/DEAD?attempts=all"),
    ("a cancelled job", "/jobs/CANCELLED"),
    ("a job whose bot is gone", "/jobs/GONE"),
    ("a job that is delivered among 100,000", "/jobs/DELIVERING"),
    ("a queued job", "/jobs/QUEUED"),
    ("a job that awaits its callback", "/jobs/AWAITING"),
    ("the last job of a line of 1,000", "/jobs/TURN"),
    ("a job without its bodies", "/jobs/DROPPED"),
    ("errors, 10,000 groups", "/errors"),
    ("a group of 4,000,000 errors", "/errors/1"),
    ("the retry of a group", "/errors/1/retry"),
    ("accounts", "/accounts"),
    ("handlers", "/handlers"),
    ("the test of a handler", "/handlers/echo/test"),
    ("store", "/store"),
    ("settings", "/settings"),
    ("settings, all", "/settings?all"),
    ("actions", "/actions"),
    ("actions of a job", "/actions?job=DEAD"),
];

/// The page of an address that does not exist.
const UNKNOWN: (&str, &str) = ("an unknown page", "/nothing");

/// All pages.
pub fn all(sample: &Sample) -> Vec<Page> {
    let of = |name: &str, path: String, status| Page {
        name: format!("page: {name}"),
        path,
        body: None,
        is_html: true,
        status,
    };
    let lists = FILTERS.iter().map(|filter| {
        let q: String = byte_serialize(sample.fill_in(filter).as_bytes()).collect();
        of(&format!("jobs `{filter}`"), format!("/jobs?q={q}"), 200)
    });
    let pages = PAGES.iter().map(|(name, path)| of(name, with_hyphens(sample.fill_in(path)), 200));
    let (name, path) = UNKNOWN;
    pages.chain(lists).chain([of(name, path.to_owned(), 404)]).collect()
}

/// The path with the id of a job in the form to which other forms lead.
fn with_hyphens(path: String) -> String {
    let id = path.strip_prefix("/jobs/").and_then(|rest| rest.get(..32));
    match id.and_then(|id| Some((id, Uuid::try_parse(id).ok()?))) {
        Some((digits, id)) => path.replacen(digits, &id.to_string(), 1),
        None => path,
    }
}
