//! `init`: writes the configuration of a new bridge, its secret files and its widget package, and says what to do next.
//!
//! Answers come from options, from a person at the terminal, or from an earlier configuration. Everything is decided before
//! the first file is written, so Ctrl-C during the questions changes nothing.

mod answers;
mod ask;
mod next;
mod output;
mod questions;
mod render;
#[cfg(feature = "tools")]
mod widget;
mod write;

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::doctor;
use super::exit::{Failure, notice, print};
use super::screen::Screen;
use answers::{Answers, Connect, Earlier, Kind, is_on_this_machine};
use ask::{Ask, Settings, Terminal};
use next::Next;
use output::Output;
use questions::{Given, NoAnswers};
use render::{CONFIG, Random, files};
use write::{Change, Status};

/// The arguments of `init`: the answers, and how to ask for the others.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The folder of the configuration; created if it is missing
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// The https address at which Kommo reaches the bridge
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// What answers the bots [default: echo]
    #[arg(long, value_name = "KIND", value_enum)]
    kind: Option<Kind>,
    /// The handler's name, which ends the URL that the widget block calls [default: echo, assistant or greet]
    #[arg(long, value_name = "NAME")]
    handler: Option<String>,
    /// The URL that gets the requests, with the kinds http and n8n
    #[arg(long, value_name = "URL")]
    handler_url: Option<String>,
    /// The id of the integration
    #[arg(long, value_name = "ID")]
    client_uuid: Option<String>,
    /// The file with the integration's secret key; `-` reads it from stdin
    #[arg(long, value_name = "FILE")]
    client_secret_file: Option<PathBuf>,
    /// How the bridge gets the token of an account [default: token]
    #[arg(long, value_name = "HOW", value_enum)]
    connect: Option<Connect>,
    /// The account's URL, with --connect token
    #[arg(long, value_name = "URL")]
    account: Option<String>,
    /// The file with the account's long-lived token; `-` reads it from stdin
    #[arg(long, value_name = "FILE")]
    access_token_file: Option<PathBuf>,
    /// Take the default of each question that has one, without asking
    #[arg(long, short)]
    yes: bool,
    /// Replace existing files that are different, without asking
    #[arg(long)]
    force: bool,
    /// Check nothing over the network
    #[arg(long)]
    offline: bool,
}

/// Runs the command. Asks nothing if `json` is set.
///
/// # Errors
/// An answer is wrong or missing, or a file exists that is different and may not be replaced (exit status 2); the person
/// stops, or a file cannot be read or written (1). Then nothing was changed, except as the error says.
pub(super) async fn run(args: Args, config: Option<&Path>, json: bool) -> Result<(), Failure> {
    if config.is_some() {
        let message = "init does not read --config: it writes bridge.toml into the folder that --dir names";
        return Err(Failure::usage(message.to_owned()));
    }
    let mut interrupts = signal(SignalKind::interrupt())
        .map_err(|error| Failure::running(format!("cannot listen for signals: {error}")))?;
    let terminal = if json { None } else { Terminal::of_process() };
    let (offline, folder) = (args.offline, args.dir.clone());
    let plan = decide(args, terminal, &mut interrupts).await?;
    let loaded = write::write(&folder, &plan.changes)?;
    let checks = if offline {
        Vec::new()
    } else {
        let public = !is_on_this_machine(&plan.answers.public_url);
        notice("Checking the account, the handler and the public address …");
        tokio::select! {
            checks = doctor::first_checks(&loaded, public) => checks,
            _ = interrupts.recv() => {
                notice("The checks were stopped; `doctor` repeats them.");
                Vec::new()
            }
        }
    };
    let there = (folder != Path::new(".")).then(|| folder.display().to_string());
    let next = Next::after(&plan.answers, plan.widget.as_deref(), there.as_deref());
    let output = Output { folder: &folder, changes: &plan.changes, checks: &checks, next: &next };
    Ok(print(&if json { output.json() } else { output.text(Screen::stdout()) })?)
}

/// The answers and what they change.
struct Plan {
    answers: Answers,
    changes: Vec<Change>,
    /// The name of the widget in the package; `None` if none is written.
    widget: Option<String>,
}

/// Decides what to write. Ends on Ctrl-C, with the terminal as it was.
async fn decide(args: Args, terminal: Option<Terminal>, interrupts: &mut Signal) -> Result<Plan, Failure> {
    let settings = Settings::read();
    // A question blocks its thread.
    let deciding = tokio::task::spawn_blocking(move || plan(&args, terminal));
    tokio::select! {
        decided = deciding => {
            decided.map_err(|error| Failure::running(format!("init stopped: {error}")))?
        }
        _ = interrupts.recv() => {
            settings.restore();
            Err(stopped())
        }
    }
}

fn stopped() -> Failure {
    Failure::running("stopped; nothing was changed".to_owned())
}

fn plan(args: &Args, mut terminal: Option<Terminal>) -> Result<Plan, Failure> {
    let given = given(args)?;
    let earlier = earlier(&args.dir);
    let ask = terminal.as_mut().map(|terminal| -> &mut dyn Ask { terminal });
    let answers = questions::answers(&given, &earlier, ask, args.yes).map_err(failure)?;
    let mut files = files(&answers, &random()?);
    let widget = widget(&answers, &args.dir, &mut files);
    let compared = files.into_iter().map(|file| Change::of(file, &args.dir));
    let changes = compared.collect::<Result<Vec<Change>, Failure>>()?;
    let ask = terminal.as_mut().map(|terminal| -> &mut dyn Ask { terminal });
    permit(&changes, args.force, ask)?;
    Ok(Plan { answers, changes, widget })
}

/// The answers of the options, with the secrets read from their files.
fn given(args: &Args) -> Result<Given, Failure> {
    let stdin = Path::new("-");
    let files = [&args.client_secret_file, &args.access_token_file];
    if files.iter().all(|file| file.as_deref() == Some(stdin)) {
        let message =
            "--client-secret-file and --access-token-file cannot both be stdin: put one into a file";
        return Err(Failure::usage(message.to_owned()));
    }
    let read = |option: &str, file: &Option<PathBuf>| -> Result<Option<SecretString>, Failure> {
        let Some(file) = file else { return Ok(None) };
        let read = if file == stdin {
            let mut text = String::new();
            io::stdin().read_to_string(&mut text).map(|_| text)
        } else {
            fs::read_to_string(file)
        };
        let why =
            |error: io::Error| Failure::usage(format!("{option}: {}", paths::cannot(file, "read", &error)));
        read.map(|text| Some(SecretString::from(text))).map_err(why)
    };
    Ok(Given {
        public_url: args.public_url.clone(),
        kind: args.kind,
        handler: args.handler.clone(),
        handler_url: args.handler_url.clone(),
        client_uuid: args.client_uuid.clone(),
        client_secret: read("--client-secret-file", &args.client_secret_file)?,
        connect: args.connect,
        account: args.account.clone(),
        access_token: read("--access-token-file", &args.access_token_file)?,
    })
}

/// The answers of the configuration that is there, if any.
fn earlier(folder: &Path) -> Earlier {
    let file = folder.join(CONFIG);
    if !file.exists() {
        return Earlier::default();
    }
    match write::load(&file) {
        Ok(loaded) => Earlier::of(&loaded.config),
        Err(why) => {
            notice(&format!("The existing {CONFIG} gives no defaults, because it cannot be read: {why}"));
            Earlier::default()
        }
    }
}

fn failure(no_answers: NoAnswers) -> Failure {
    match no_answers {
        NoAnswers::Wrong(mistakes) => {
            let lines: String = mistakes.iter().map(|mistake| format!("\n  {mistake}")).collect();
            Failure::usage(format!("nothing was written:{lines}"))
        }
        NoAnswers::Missing(questions) => {
            let lines: String = questions
                .iter()
                .map(|question| format!("\n  {:26}  {}", question.option, question.prompt))
                .collect();
            Failure::usage(format!(
                "nothing was written, because answers are missing, and without a terminal, or with --json, init cannot ask; \
                 add these options:{lines}"
            ))
        }
        NoAnswers::Terminal(error) if error.kind() == io::ErrorKind::Interrupted => stopped(),
        NoAnswers::Terminal(error) => {
            Failure::running(format!("cannot ask at the terminal: {error}; nothing was changed"))
        }
    }
}

fn random() -> Result<Random, Failure> {
    let mut random = Random { encryption_key: [0; 32], handler: [0; 32] };
    let filled =
        getrandom::fill(&mut random.encryption_key).and_then(|()| getrandom::fill(&mut random.handler));
    filled.map_err(|error| Failure::running(format!("cannot get random bytes for secrets: {error}")))?;
    Ok(random)
}

/// Adds the widget package, and returns the widget's name.
#[cfg(feature = "tools")]
fn widget(answers: &Answers, folder: &Path, files: &mut Vec<render::NewFile>) -> Option<String> {
    match widget::package(answers, folder) {
        Ok((file, name)) => {
            // The configuration is the last file.
            files.insert(files.len().saturating_sub(1), file);
            Some(name)
        }
        Err(why) => {
            notice(&format!("No {} is written, because the public URL {why}", widget::WIDGET));
            None
        }
    }
}

/// Reports that this build writes no widget package.
#[cfg(not(feature = "tools"))]
fn widget(_: &Answers, _: &Path, _: &mut Vec<render::NewFile>) -> Option<String> {
    notice("No widget.zip is written, because this build lacks the feature `tools`.");
    None
}

/// Asks before existing files are replaced.
fn permit(changes: &[Change], force: bool, ask: Option<&mut dyn Ask>) -> Result<(), Failure> {
    let replaced: Vec<&Change> = changes.iter().filter(|change| change.status == Status::Replaced).collect();
    if replaced.is_empty() || force {
        return Ok(());
    }
    let mut lines = String::new();
    for change in &replaced {
        lines.push_str(&format!("\n  {}", change.file.name));
        for difference in change.differences() {
            lines.push_str(&format!("\n    {difference}"));
        }
    }
    let Some(ask) = ask else {
        return Err(Failure::usage(format!(
            "nothing was changed, because these files exist and are different; replace them with --force:{lines}"
        )));
    };
    notice(&format!("\nThese files exist and are different:{lines}"));
    let count = if replaced.len() == 1 { "it" } else { "them" };
    match ask.confirm(&format!("Replace {count}?")) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Failure::running("nothing was changed".to_owned())),
        Err(error) => Err(failure(NoAnswers::Terminal(error))),
    }
}
