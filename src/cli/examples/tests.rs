//! Tests of the commands' help: summaries, examples, and the order of its parts.

use clap::{Command, CommandFactory, Parser};

use crate::cli::Cli;

/// The verbs that begin a summary, in the imperative.
const VERBS: &[&str] = &[
    "Ask",
    "Cancel",
    "Check",
    "Complete",
    "Connect",
    "Erase",
    "Explain",
    "Install",
    "List",
    "Load",
    "Print",
    "Receive",
    "Remove",
    "Restore",
    "Resume",
    "Retry",
    "Run",
    "Send",
    "Show",
    "Stop",
    "Uninstall",
    "Write",
];

/// Every command that `--help` shows, after the words that call it.
pub(in crate::cli) fn commands() -> Vec<(Vec<String>, Command)> {
    fn add(path: &[String], command: &Command, all: &mut Vec<(Vec<String>, Command)>) {
        all.push((path.to_vec(), command.clone()));
        for inner in command.get_subcommands() {
            if !inner.is_hide_set() && inner.get_name() != "help" {
                add(&[path, &[inner.get_name().to_owned()]].concat(), inner, all);
            }
        }
    }
    let mut cli = Cli::command();
    cli.build();
    let mut all = Vec::new();
    add(&["salesbot-bridge".to_owned()], &cli, &mut all);
    all
}

fn after_help(command: &Command) -> String {
    command.get_after_help().map(ToString::to_string).unwrap_or_default()
}

/// The command lines below `Examples:`, each on one line.
fn examples(help: &str) -> Vec<String> {
    let heading = ["Examples:\n", "Example:\n"].iter().find_map(|heading| help.split_once(heading));
    let lines = heading.map(|(_, lines)| lines.replace("\\\n", "")).unwrap_or_default();
    let block = lines.split("\n\n").next().unwrap_or_default();
    block.lines().map(|line| line.trim().to_owned()).collect()
}

/// Splits a command line as a shell does, up to a redirection.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut is_quoted) = (Vec::new(), String::new(), false);
    for letter in line.chars() {
        match letter {
            '\'' => is_quoted = !is_quoted,
            ' ' if !is_quoted => words.push(std::mem::take(&mut word)),
            letter => word.push(letter),
        }
    }
    words.push(word);
    words.into_iter().filter(|word| !word.is_empty()).take_while(|word| word != ">").collect()
}

#[test]
fn clap_accepts_the_definition_of_every_command() {
    Cli::command().debug_assert();
    let names: Vec<String> = commands().iter().map(|(path, _)| path.join(" ")).collect();
    for name in ["salesbot-bridge", "salesbot-bridge serve", "salesbot-bridge jobs list"] {
        assert!(names.iter().any(|known| known == name), "{name} in {names:?}");
    }
}

#[test]
fn every_summary_is_one_imperative_line_without_a_full_stop() {
    for (path, command) in commands() {
        let summary = command.get_about().map(ToString::to_string).unwrap_or_default();
        let verb = summary.split([' ', ',']).next().unwrap_or_default();
        assert!(VERBS.contains(&verb), "{path:?}: `{summary}` does not begin with a known verb");
        assert!(!summary.contains('\n') && !summary.ends_with('.'), "{path:?}: `{summary}`");
    }
}

#[test]
fn every_command_has_examples_that_parse_as_that_command() {
    for (path, command) in commands() {
        let examples = examples(&after_help(&command));
        assert!((1..=3).contains(&examples.len()), "{path:?}: {examples:?}");
        for example in examples {
            let words = words(&example);
            assert!(words.starts_with(&path), "{path:?}: `{example}` calls another command");
            if let Err(error) = Cli::try_parse_from(&words) {
                panic!("`{example}` does not parse: {error}");
            }
        }
    }
}

#[test]
fn help_lists_global_options_after_the_options_and_before_the_examples() {
    for (path, mut command) in commands() {
        let help = command.render_help().to_string();
        let at = |part: &str| help.find(part).unwrap_or_else(|| panic!("{path:?}: no {part} in\n{help}"));
        let global = at("\nGlobal options:\n");
        assert!(at("\nOptions:\n") < global && global < at("\nExample"), "{path:?}:\n{help}");
        assert!(at("--config <FILE>") > global && at("--json") > global, "{path:?}:\n{help}");
        for line in after_help(&command).lines() {
            assert!(line.chars().count() <= 100, "{path:?}: wider than the rest of the help: {line}");
        }
    }
}
