//! `widgets`: lists, shows, installs and uninstalls the widgets of an account.
//!
//! Settings can be secrets, so the output masks them, in JSON too, unless `--show-secrets` is set.

use std::io::Write;

use clap::Subcommand;
use futures_util::TryStreamExt;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::config::Config;
use kommo::{self, Client, MAX_WIDGETS, Widget, WidgetSettings};
use model::error_chain;
use store::{ActionKind, Store};

use super::actor::record_in;
use super::examples;
use super::exit::{Usage, print_to};
use super::screen::Screen;
use super::{account, settings, widgets_text as text};

/// The arguments of `widgets`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The account, by its name in the configuration, host, subdomain or number; required if there are several
    #[arg(long, global = true, value_name = "NAME")]
    account: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the widgets that are available to the account
    #[command(after_help = examples::WIDGETS_LIST)]
    List(List),
    /// Show one widget, the settings that it accepts, and their values
    #[command(after_help = examples::WIDGETS_SHOW)]
    Show(Show),
    /// Install a widget, after checking its settings
    #[command(after_help = examples::WIDGETS_INSTALL)]
    Install(Install),
    /// Uninstall a widget, without confirmation
    #[command(after_help = examples::WIDGETS_UNINSTALL)]
    Uninstall(Uninstall),
}

#[derive(Debug, clap::Args)]
struct List {
    /// List every page
    #[arg(long, conflicts_with = "page")]
    all: bool,
    /// List only installed widgets, from every page
    #[arg(long, conflicts_with = "page")]
    installed: bool,
    /// The page to list, from 1
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    page: u32,
    /// The maximum number of widgets on a page, 1 to 250 [default: 50, or 250 with --all or --installed]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_WIDGETS)))]
    limit: Option<u32>,
    /// Print settings unmasked, including passwords
    #[arg(long)]
    show_secrets: bool,
}

#[derive(Debug, clap::Args)]
struct Show {
    /// The widget's code
    code: String,
    /// Print settings unmasked, including passwords
    #[arg(long)]
    show_secrets: bool,
}

#[derive(Debug, clap::Args)]
struct Install {
    /// The widget's code
    code: String,
    #[command(flatten)]
    settings: settings::Args,
    /// Print settings unmasked, including passwords
    #[arg(long)]
    show_secrets: bool,
}

#[derive(Debug, clap::Args)]
struct Uninstall {
    /// The widget's code
    code: String,
}

/// Runs the command. Prints the result to stdout, as one JSON object if `json` is set.
///
/// # Errors
/// No account or several match, Kommo refuses or cannot be reached, or the settings do not fit the widget.
pub async fn run(args: Args, config: &Config, json: bool) -> anyhow::Result<()> {
    let session = account::AccountSession::open(config, args.account.as_deref()).await?;
    let (client, store) = (session.client.clone(), session.store.clone());
    let (screen, out) = (Screen::stdout(), anstream::stdout());
    let done = Session { client, store, json, screen, out }.run(args.command).await;
    session.close().await;
    done
}

struct Session<W> {
    client: Client,
    /// The store, whose log of actions shows the changes.
    store: Option<Store>,
    json: bool,
    screen: Screen,
    out: W,
}

impl<W: Write> Session<W> {
    async fn run(&mut self, command: Command) -> anyhow::Result<()> {
        match command {
            Command::List(list) => self.list(list).await,
            Command::Show(show) => self.show(show).await,
            Command::Install(install) => self.install(install).await,
            Command::Uninstall(uninstall) => self.uninstall(&uninstall.code).await,
        }
    }

    async fn list(&mut self, list: List) -> anyhow::Result<()> {
        let (widgets, next) = if list.all || list.installed {
            let mut all = self.all(list.limit.unwrap_or(MAX_WIDGETS)).await?;
            all.retain(|widget| !list.installed || widget.is_active_in_account);
            (all, None)
        } else {
            let read = self.client.widgets(list.page, list.limit.unwrap_or(50)).await;
            let page = read.map_err(|error| self.failed(error, "cannot list the widgets"))?;
            let next = page.next.is_some().then_some(page.page + 1);
            (page.widgets, next)
        };
        let views: Vec<Value> = widgets.iter().map(|widget| view(widget, list.show_secrets)).collect();
        let screen = self.screen;
        self.print(&json!({ "widgets": views, "next_page": next }), || text::list(&widgets, next, screen))
    }

    /// Reads every page, and shows a count on a terminal.
    async fn all(&self, limit: u32) -> anyhow::Result<Vec<Widget>> {
        let progress = progress();
        let (mut pages, mut all) = (self.client.widget_pages(limit), Vec::new());
        let read = loop {
            match pages.try_next().await {
                Ok(Some(page)) => {
                    progress.inc(u64::try_from(page.widgets.len()).unwrap_or(u64::MAX));
                    all.extend(page.widgets);
                }
                Ok(None) => break Ok(all),
                Err(error) => break Err(self.failed(error, "cannot list the widgets")),
            }
        };
        progress.finish_and_clear();
        read
    }

    async fn show(&mut self, Show { code, show_secrets }: Show) -> anyhow::Result<()> {
        let widget = self.client.widget(&code).await.map_err(|error| self.failed(error, &about(&code)))?;
        let screen = self.screen;
        self.print(&view(&widget, show_secrets), || text::widget(&widget, show_secrets, screen))
    }

    async fn install(&mut self, install: Install) -> anyhow::Result<()> {
        let Install { code, settings, show_secrets } = install;
        let settings: WidgetSettings = settings.read()?;
        let installed = self.client.install_widget(&code, &settings).await;
        let widget = installed.map_err(|error| self.failed(error, &about(&code)))?;
        self.record(ActionKind::WidgetsInstall, &code).await;
        let screen = self.screen;
        self.print(&view(&widget, show_secrets), || {
            format!("{} is installed.\n\n{}", widget.code, text::widget(&widget, show_secrets, screen))
        })
    }

    async fn uninstall(&mut self, code: &str) -> anyhow::Result<()> {
        let done = self.client.uninstall_widget(code).await;
        done.map_err(|error| self.failed(error, &about(code)))?;
        self.record(ActionKind::WidgetsUninstall, code).await;
        self.print(&json!({ "code": code, "uninstalled": true }), || {
            format!("{} is uninstalled.\n", super::text::clean(code))
        })
    }

    async fn record(&self, kind: ActionKind, code: &str) {
        if let Some(store) = &self.store {
            record_in(store, kind, format!("{code} of {}", self.client.account_url())).await;
        }
    }

    /// The error for the operator. A call that the client refused before sending it is wrong usage.
    fn failed(&self, error: kommo::Error, what: &str) -> anyhow::Error {
        match error {
            kommo::Error::Settings { .. } | kommo::Error::Refused(_) => Usage(error_chain(&error)).into(),
            error => anyhow::Error::new(error).context(format!("{}: {what}", self.client.account_url())),
        }
    }

    fn print(&mut self, json: &Value, text: impl FnOnce() -> String) -> anyhow::Result<()> {
        let text = if self.json { format!("{json}\n") } else { text() };
        print_to(&mut self.out, &text)
    }
}

fn about(code: &str) -> String {
    format!("the widget `{code}`")
}

/// The widget as Kommo returns it. Masks its settings unless `show_secrets` is set.
fn view(widget: &Widget, show_secrets: bool) -> Value {
    let mut view = json!(widget);
    if let Some(settings) = widget.settings.as_ref().filter(|_| !show_secrets) {
        view["settings"] = settings.masked(&widget.settings_template);
    }
    view
}

fn progress() -> ProgressBar {
    let progress = ProgressBar::new_spinner();
    // The template is a constant. If it were wrong, the default spinner would do.
    if let Ok(style) = ProgressStyle::with_template("{spinner} {pos} widgets read  {elapsed}") {
        progress.set_style(style);
    }
    progress.enable_steady_tick(std::time::Duration::from_millis(100));
    progress
}
