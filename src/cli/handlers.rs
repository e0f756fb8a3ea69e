//! `handlers`: lists the handlers, and tests those at a URL.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use clap::Subcommand;
use serde_json::{Value, json};

use crate::admin::HandlerView;
use crate::bridge::live::{handler_settings, trial_view};
use crate::config::{Config, HttpHandlerConfig};
use crate::handlers::{HttpHandler, HttpSecrets, Meaning, Trial};
use model::clock::Clock;
use model::{HandlerName, HandlerPolicy, whole_millis};
use store::Store;

use super::examples;
use super::exit::{Failure, print};
use super::health;
use super::screen::Screen;
use super::table::{Column, Table};
use super::text::clean;

/// The subcommands of `handlers`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List all handlers
    #[command(after_help = examples::HANDLERS_LIST)]
    List,
    /// Send a signed test request to a handler at a URL, and explain its response
    #[command(after_help = examples::HANDLERS_TEST)]
    Test {
        /// The handler's name
        name: HandlerName,
        /// What the widget would send, as JSON
        #[arg(long, value_name = "JSON", default_value = r#"{"message": "ping"}"#, value_parser = data)]
        data: Value,
    },
}

fn data(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("not valid JSON: {error}"))
}

/// Runs the command. `registered` are the names of all handlers of this program.
///
/// # Errors
/// The store cannot be read; there is no such handler at a URL; or its response would not answer a bot.
pub async fn run(
    command: Command,
    config: &Config,
    registered: HashSet<String>,
    json: bool,
) -> Result<(), Failure> {
    match command {
        Command::List => Ok(print(&list(config, registered, json).await?)?),
        Command::Test { name, data } => test(config, &registered, &name, data, json).await,
    }
}

async fn list(config: &Config, registered: HashSet<String>, json: bool) -> Result<String, Failure> {
    let listed = match health::served_api(config, "/api/v1/handlers").await {
        Some(asked) if asked["handlers"].is_array() => asked,
        _ => of_store(config, registered).await?,
    };
    if json { Ok(listed.to_string()) } else { Ok(as_table(&listed).render(Screen::stdout())) }
}

/// The handlers, as far as they are known without a running bridge.
async fn of_store(config: &Config, registered: HashSet<String>) -> Result<Value, Failure> {
    let names: BTreeSet<HandlerName> = registered
        .iter()
        .filter_map(|name| name.parse().ok())
        .chain(config.handlers.keys().cloned())
        .collect();
    let awaiting = awaiting(config, &names).await?;
    let fallback = HandlerPolicy::default();
    let policy = |name| config.handlers.get(name).map_or(&fallback, |known| &known.policy);
    let settings = handler_settings(config, names.iter().map(|name| (name, policy(name))));
    let handlers = settings.into_iter().map(|settings| {
        let http = config.handlers.get(&settings.name).and_then(|known| known.http.as_ref());
        let max_awaiting = http.and_then(|http| u64::try_from(http.max_awaiting).ok());
        let awaiting = awaiting.get(&settings.name).copied();
        HandlerView::of_store(settings, awaiting, max_awaiting)
    });
    Ok(json!({ "handlers": handlers.collect::<Vec<_>>() }))
}

fn as_table(listed: &Value) -> Table<7> {
    let mut table = Table::new([
        Column::new("NAME"),
        Column::new("KIND"),
        Column::new("RUNNING").right(),
        Column::new("AWAITING").right(),
        Column::new("ANSWER WITHIN").right(),
        Column::new("ORDER"),
        Column::new("URL"),
    ]);
    for one in listed["handlers"].as_array().into_iter().flatten() {
        let text = |name: &str| clean(one[name].as_str().unwrap_or_default());
        let number = |name: &str| one[name].as_u64();
        table.row([
            text("name").into(),
            text("kind").into(),
            running(one).into(),
            number("awaiting_callback").map(|jobs| jobs.to_string()).unwrap_or_default().into(),
            format!("{:?}", Duration::from_millis(number("answer_within_ms").unwrap_or_default())).into(),
            order(&text("ordering"), number("coalesce_ms").unwrap_or_default()).into(),
            text("url").into(),
        ]);
    }
    table
}

/// How many permits are in use, or that the handler cannot be reached; empty if no bridge runs.
fn running(one: &Value) -> String {
    if one["breaker"]["open"] == true {
        return "unreachable".to_owned();
    }
    let permits = &one["concurrency"];
    let (in_use, limit) = (permits["in_use"].as_u64(), permits["limit"].as_u64());
    let shared = if permits["shared"] == true { " (shared)" } else { "" };
    in_use.zip(limit).map(|(in_use, limit)| format!("{in_use} of {limit}{shared}")).unwrap_or_default()
}

/// The handler's order, for the table; empty if jobs run side by side.
fn order(ordering: &str, coalesce_ms: u64) -> String {
    match (ordering, coalesce_ms) {
        ("conversation", 0) => "conversation".to_owned(),
        ("conversation", ms) => format!("conversation, joins {:?}", Duration::from_millis(ms)),
        _ => String::new(),
    }
}

/// How many jobs of each handler await a callback; empty if there is no store yet.
async fn awaiting(
    config: &Config,
    names: &BTreeSet<HandlerName>,
) -> Result<BTreeMap<HandlerName, u64>, Failure> {
    let opened = Store::observe(&config.store.url, Clock::system()).await;
    let Some(store) = opened.map_err(|error| Failure::running(error.to_string()))? else {
        return Ok(BTreeMap::new());
    };
    let counted = store.callbacks().awaiting_by_handler().await;
    store.close().await;
    let counted = counted.map_err(|error| Failure::running(error.to_string()))?;
    let count = |name: &HandlerName| (name.clone(), counted.get(name.as_str()).copied().unwrap_or(0));
    Ok(names.iter().map(count).collect())
}

async fn test(
    config: &Config,
    registered: &HashSet<String>,
    name: &HandlerName,
    data: Value,
    json: bool,
) -> Result<(), Failure> {
    let known = config.handlers.get(name);
    let Some((known, http)) = known.and_then(|known| Some((known, known.http.as_ref()?))) else {
        return Err(Failure::usage(not_at_a_url(config, registered, name)));
    };
    let secrets = HttpSecrets::new(http);
    let built = HttpHandler::new(name.clone(), http, secrets, &known.policy, Clock::system(), None, None);
    let handler = built.map_err(|error| Failure::running(error.to_string()))?;
    let has_callback = config.server.callback_url.is_some();
    let trial = handler.test(data, has_callback, known.policy.attempt_timeout).await;
    let trial = trial.map_err(|error| Failure::running(format!("nothing was sent: {error}")))?;
    if json {
        print(&json!(trial_view(&trial)).to_string())?;
    } else {
        print(&as_text(http, &trial))?;
    }
    match trial.meaning {
        Meaning::Answer(_) | Meaning::Later(_) => Ok(()),
        Meaning::Retry(_) | Meaning::Fail(_) => {
            Err(Failure::running(format!("handler `{name}` would not answer a bot like this")))
        }
    }
}

/// Why a handler cannot be tested.
fn not_at_a_url(config: &Config, registered: &HashSet<String>, name: &HandlerName) -> String {
    let at_a_url = config.handlers.iter().filter(|(_, known)| known.http.is_some());
    let names: Vec<String> = at_a_url.map(|(name, _)| name.to_string()).collect();
    let testable = if names.is_empty() {
        "no handler has kind = \"http\"".to_owned()
    } else {
        format!("handlers with kind = \"http\": {}", names.join(", "))
    };
    if registered.contains(name.as_str()) {
        format!("handler `{name}` runs in this program, so it gets no request; {testable}")
    } else {
        format!("unknown handler `{name}`; {testable}")
    }
}

fn as_text(http: &HttpHandlerConfig, trial: &Trial) -> String {
    let signed = if http.secret.is_some() { "signed" } else { "with auth, not signed" };
    let ms = whole_millis(trial.took);
    let mut lines = vec![
        format!("request   POST {} ({signed}, {} bytes)", clean(http.url.as_str()), trial.request_bytes),
        match trial.status {
            Some(status) => format!("response  {status} after {ms} ms"),
            None => format!("response  none after {ms} ms"),
        },
    ];
    lines.extend(trial.response.as_deref().map(|body| format!("body      {}", clean(body))));
    lines.push(match &trial.meaning {
        Meaning::Answer(body) => format!("meaning   the bot gets {}", clean(body)),
        Meaning::Later(advice) => {
            let advice = advice.as_deref().map(|advice| format!("; to answer directly: {advice}"));
            format!(
                "meaning   the job waits for a callback, until answer_within{}",
                advice.unwrap_or_default()
            )
        }
        Meaning::Retry(why) => format!("meaning   the bridge retries: {}", clean(why)),
        Meaning::Fail(why) => format!("meaning   the bot gets the fallback: {}", clean(why)),
    });
    lines.join("\n")
}

#[cfg(test)]
mod tests;
