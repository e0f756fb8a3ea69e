//! Tests of the log of actions: its table, and which commands are in it.

use super::*;
use crate::cli::examples::tests::commands;
use store::{ActionKind, ActionResult, ActionSource, Actor};

#[test]
fn an_action_is_one_line() {
    let now = Timestamp::from_millis(1_700_000_000_000);
    let action = |id, what: &str, target: &str| Action {
        id,
        at: Timestamp::from_millis(1_699_999_820_000),
        by: Actor::new(ActionSource::Cli, "ann"),
        what: what.to_owned(),
        job_id: None,
        target: Some(target.to_owned()),
        jobs: id,
        result: ActionResult::Done,
    };
    let actions = vec![action(12, "jobs erase", "lead:7"), action(3, "accounts remove", "a.kommo.com")];
    let text = table(&ActionPage { actions, next: None }, false, now, Screen::FILE);
    assert_eq!(
        text,
        "ACTION  WHEN       WHO        WHAT             ON           JOBS  RESULT\n    \
         12  3 min ago  ann (cli)  jobs erase       lead:7         12  done\n     \
         3  3 min ago  ann (cli)  accounts remove  a.kommo.com     3  done\n"
    );
    for (is_filtered, expected) in
        [(false, "No operator has changed anything yet.\n"), (true, "No action matches.\n")]
    {
        let none = table(&ActionPage { actions: Vec::new(), next: None }, is_filtered, now, Screen::FILE);
        assert_eq!(none, expected);
    }
}

/// Whether a command is in the log of actions.
enum Logged {
    As(ActionKind),
    /// It is not, for this reason.
    No(&'static str),
}

const READS: Logged = Logged::No("it changes nothing");
const RUNS: Logged = Logged::No("what the bridge does is in its own log");
const WRITES_FILES: Logged = Logged::No("it writes files for the operator, outside the store");
const APART: Logged = Logged::No("it works in a temporary folder, without the store");

const COMMANDS: &[(&str, Logged)] = &[
    ("accounts authorize", Logged::As(ActionKind::AccountsAuthorize)),
    ("accounts confirm", Logged::As(ActionKind::AccountsConfirm)),
    ("accounts list", READS),
    ("accounts remove", Logged::As(ActionKind::AccountsRemove)),
    ("accounts resume", Logged::As(ActionKind::AccountsResume)),
    ("actions list", READS),
    ("backup", Logged::As(ActionKind::Backup)),
    ("bench", Logged::No("it sends requests as a bot does, by default to its own bridge")),
    ("completions", READS),
    ("config check", READS),
    ("config schema", READS),
    ("config show", READS),
    ("demo", APART),
    ("dev", APART),
    ("doctor", Logged::No("its requests test the bridge and change no job")),
    ("handlers list", READS),
    ("handlers test", Logged::No("its request is a ping, which is not a job")),
    ("init", WRITES_FILES),
    ("jobs cancel", Logged::As(ActionKind::JobsCancel)),
    ("jobs complete", Logged::As(ActionKind::JobsComplete)),
    ("jobs erase", Logged::As(ActionKind::JobsErase)),
    ("jobs errors", READS),
    ("jobs explain", READS),
    ("jobs list", READS),
    ("jobs retry", Logged::As(ActionKind::JobsRetry)),
    ("jobs show", READS),
    ("jobs stop", Logged::As(ActionKind::JobsStop)),
    ("man", WRITES_FILES),
    ("restore", Logged::As(ActionKind::Restore)),
    ("serve", RUNS),
    ("simulate", APART),
    ("store check", READS),
    ("store stats", READS),
    ("store vacuum", Logged::As(ActionKind::StoreVacuum)),
    ("widget-package", WRITES_FILES),
    ("widgets install", Logged::As(ActionKind::WidgetsInstall)),
    ("widgets list", READS),
    ("widgets show", READS),
    ("widgets uninstall", Logged::As(ActionKind::WidgetsUninstall)),
];

/// The commands without subcommands that `--help` shows, without the name of the program.
fn leaves() -> Vec<String> {
    let all: Vec<String> = commands().iter().map(|(path, _)| path[1..].join(" ")).collect();
    let is_leaf = |name: &&String| !all.iter().any(|other| other.starts_with(&format!("{name} ")));
    all.iter().filter(|name| !name.is_empty()).filter(is_leaf).cloned().collect()
}

#[test]
fn each_command_is_in_the_log_of_actions_or_has_a_reason_not_to_be() {
    let leaves = leaves();
    let known = |name: &str| COMMANDS.iter().any(|(known, _)| *known == name);
    let missing: Vec<&String> = leaves.iter().filter(|name| !known(name)).collect();
    assert!(missing.is_empty(), "add these commands to COMMANDS: {missing:?}");
    for (name, logged) in COMMANDS {
        let exists = leaves.iter().any(|leaf| leaf == name);
        assert!(exists || cfg!(not(feature = "tools")), "unknown command `{name}`");
        match logged {
            Logged::As(kind) => assert_eq!(kind.as_str(), *name),
            Logged::No(reason) => assert!(!reason.is_empty(), "{name}"),
        }
    }
}

#[test]
fn each_kind_of_action_is_a_command_and_is_documented() {
    let page = include_str!("../../../docs/operations.md");
    let section = page.split("\n## ").find(|section| section.starts_with("Who did what\n")).unwrap();
    let first_cells = section.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    let documented: Vec<&str> = first_cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    let documented: Vec<&str> = documented.into_iter().filter(|name| *name != "WHAT").collect();
    assert_eq!(documented, ActionKind::ALL.map(ActionKind::as_str));
    for kind in ActionKind::ALL.into_iter().filter(|kind| *kind != ActionKind::JobsReveal) {
        let is_kind = |logged: &Logged| matches!(logged, Logged::As(known) if *known == kind);
        assert!(COMMANDS.iter().any(|(_, logged)| is_kind(logged)), "{kind:?} has no command");
    }
}
