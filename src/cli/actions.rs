//! `actions list`: what operators did, by page, API or command.

use clap::Subcommand;
use serde_json::json;

use crate::admin::{ActionsView, DEFAULT_LIMIT, parse_kind, parse_limit, parse_source};
use crate::config::Config;
use model::clock::Clock;
use model::{JobId, Timestamp};
use store::{Action, ActionFilter, ActionKind, ActionPage, ActionSource, Role, Store};

use super::examples;
use super::exit::{notice, print};
use super::screen::Screen;
use super::table::{Column, Table};
use super::text::{clean, when};

/// The commands of `actions`.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List what operators did, newest first
    #[command(after_help = examples::ACTIONS_LIST)]
    List {
        /// The maximum number of actions to list, 1 to 500
        #[arg(long, value_name = "N", default_value_t = DEFAULT_LIMIT, value_parser = parse_limit)]
        limit: u32,
        /// Continue after the action with this number: the `next_cursor` of the previous list
        #[arg(long, value_name = "NUMBER")]
        cursor: Option<u64>,
        /// Only actions on this job
        #[arg(long, value_name = "ID")]
        job: Option<JobId>,
        /// Only actions of this kind, like "jobs retry"
        #[arg(long, value_name = "KIND", value_parser = parse_kind)]
        what: Option<ActionKind>,
        /// Only actions from here: api, page or cli
        #[arg(long, value_name = "SOURCE", value_parser = parse_source)]
        source: Option<ActionSource>,
        /// Only actions of the actor with exactly this name
        #[arg(long, value_name = "NAME")]
        who: Option<String>,
    },
}

/// Runs the command. Prints the result to stdout, as one JSON object if `json` is set.
///
/// # Errors
/// The store cannot be opened or read.
pub(super) async fn run(command: Command, config: &Config, json: bool) -> anyhow::Result<()> {
    let Command::List { limit, cursor, job, what, source, who } = command;
    let filter = ActionFilter { job_id: job, kind: what, source, who };
    let clock = Clock::system();
    let store = Store::open(&config.store.url, Role::Observer, clock.clone()).await?;
    let page = store.actions(&filter, cursor, limit).await;
    store.close().await;
    let page = page?;
    let next = page.next;
    if json {
        return print(&json!(ActionsView::from(page)).to_string());
    }
    let is_filtered = filter != ActionFilter::default();
    print(table(&page, is_filtered, clock.now(), Screen::stdout()).trim_end())?;
    if let Some(next) = next {
        notice(&format!("There are more actions. To continue, run the same command with --cursor {next}"));
    }
    Ok(())
}

fn table(page: &ActionPage, is_filtered: bool, now: Timestamp, screen: Screen) -> String {
    if page.actions.is_empty() {
        if is_filtered {
            return "No action matches.\n".to_owned();
        }
        return "No operator has changed anything yet.\n".to_owned();
    }
    let mut table = Table::new([
        Column::new("ACTION").right(),
        Column::new("WHEN"),
        Column::new("WHO").cut(8),
        Column::new("WHAT"),
        Column::new("ON").cut(16),
        Column::new("JOBS").right().spare(1),
        Column::new("RESULT"),
    ]);
    for action in &page.actions {
        let Action { id, at, by, what, job_id, target, jobs, result } = action;
        let on = job_id.map(|id| id.to_string()).or_else(|| target.clone()).unwrap_or_default();
        table.row([
            id.to_string().into(),
            when(*at, now).into(),
            clean(&format!("{} ({})", by.name(), by.source().as_str())).into(),
            clean(what).into(),
            clean(&on).into(),
            jobs.to_string().into(),
            result.as_str().into(),
        ]);
    }
    format!("{}\n", table.render(screen))
}

#[cfg(test)]
mod tests;
