//! `completions`: prints the script with which a shell completes the commands and options of this program.

use clap::Command;
use clap_complete::Shell;

use super::exit::{Failure, print};

/// The arguments of `completions`.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct Args {
    /// The shell that reads the script
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// Prints the script for the program that `definition` describes.
///
/// # Errors
/// The program's name would not be one word of the shell, or stdout cannot be written.
pub(super) fn run(args: Args, definition: &Command) -> Result<(), Failure> {
    Ok(print(script(args.shell, definition)?.trim_end())?)
}

fn script(shell: Shell, definition: &Command) -> Result<String, Failure> {
    let name = definition.get_name().to_owned();
    if !is_word(&name) {
        return Err(Failure::running(format!(
            "cannot write completions for a program named `{name}`: a shell would not read the name as one word; \
             rename the program to letters, digits, `.`, `_` and `-`"
        )));
    }
    let mut written = Vec::new();
    clap_complete::generate(shell, &mut visible(definition), name, &mut written);
    String::from_utf8(written).map_err(|error| Failure::running(format!("the script is not text: {error}")))
}

/// Whether every shell reads `name` as one word without quotes.
fn is_word(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.chars().all(|letter| letter.is_ascii_alphanumeric() || ".-_".contains(letter))
}

/// A copy of the command without hidden commands and without `help`: clap's generators would complete them.
fn visible(command: &Command) -> Command {
    let mut copy = Command::new(command.get_name().to_owned())
        .disable_help_subcommand(true)
        .args(command.get_arguments().cloned())
        .groups(command.get_groups().cloned())
        .subcommands(command.get_subcommands().filter(|inner| !inner.is_hide_set()).map(visible));
    if let Some(about) = command.get_about() {
        copy = copy.about(about.clone());
    }
    if let Some(version) = command.get_version() {
        copy = copy.version(version.to_owned());
    }
    copy
}

#[cfg(test)]
mod tests {
    use std::process::Command as Process;

    use clap::{CommandFactory, ValueEnum};

    use crate::cli::Cli;

    use super::*;

    fn named(name: &'static str) -> Command {
        Cli::command().name(name).bin_name(name)
    }

    /// The words that bash offers after the words of `line`, of which the last one is incomplete.
    fn offered(script: &str, line: &str) -> Vec<String> {
        let words: Vec<&str> = line.split(' ').collect();
        let (at, name) = (words.len() - 1, words[0]);
        let ask = format!(
            "eval \"$1\"; COMP_WORDS=({line}); COMP_CWORD={at}; _{name} {name} \"{}\" \"{}\"; \
             printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            words[at],
            words[at - 1]
        );
        let ended = Process::new("bash").args(["-c", &ask, "bash", script]).output().unwrap();
        assert!(ended.status.success() && ended.stderr.is_empty(), "{ended:?}");
        String::from_utf8(ended.stdout).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn bash_accepts_the_script_and_completes_commands_and_options() {
        let script = script(Shell::Bash, &named("greeter")).unwrap();
        let checked = Process::new("bash").args(["-n", "-c", &script]).output().unwrap();
        assert!(checked.status.success() && checked.stderr.is_empty(), "{checked:?}");
        for (line, expected) in [
            ("greeter do", &["doctor"][..]),
            ("greeter jobs li", &["list"]),
            ("greeter jobs list --sta", &["--state"]),
            ("greeter completions f", &["fish"]),
            ("greeter hea", &[]),
        ] {
            let offered: Vec<String> =
                offered(&script, line).into_iter().filter(|word| !word.is_empty()).collect();
            assert_eq!(offered, expected, "{line}");
        }
    }

    #[test]
    fn every_shell_gets_a_script_with_this_name_and_without_hidden_commands() {
        for shell in Shell::value_variants() {
            let script = script(*shell, &named("greeter")).unwrap();
            assert!(script.contains("greeter") && script.contains("doctor"), "{shell}");
            assert!(!script.contains("salesbot-bridge"), "{shell}");
            for hidden in Cli::command().get_subcommands().filter(|inner| inner.is_hide_set()) {
                let (quoted, word) = (format!("'{}'", hidden.get_name()), format!(" {} ", hidden.get_name()));
                assert!(!script.contains(&quoted) && !script.contains(&word), "{shell}: {quoted}");
            }
        }
    }

    #[test]
    fn a_name_that_is_not_one_word_of_a_shell_is_refused() {
        for name in ["100 %", "$(reboot)", "a;b", "-a", "grüße", ""] {
            let refused = script(Shell::Bash, &Cli::command().name(name)).unwrap_err();
            let expected = format!(
                "cannot write completions for a program named `{name}`: a shell would not read the name as one word; \
                 rename the program to letters, digits, `.`, `_` and `-`"
            );
            assert_eq!(refused, Failure::running(expected));
        }
        assert!(script(Shell::Bash, &named("greeter-2.0_x")).is_ok());
    }
}
