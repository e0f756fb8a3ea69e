//! The name and version of the program, as `--version`, `--help`, errors and the log show them.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::{Command, CommandFactory, FromArgMatches};

use crate::bridge::{Bridge, ProgramVersion};
use crate::terminal::{Keep, harmless};

use super::{Cli, exit};

/// The name of this package, and of the program that has only the built-in handlers.
const BRIDGE: &str = env!("CARGO_PKG_NAME");

/// A program that adds handlers to the bridge and has all of the bridge's commands.
///
/// ```no_run
/// # use salesbot_bridge::prelude::*;
/// # struct Greeter;
/// # impl Handler for Greeter {
/// #     type Input = Value;
/// #     async fn handle(&self, _: Request<Value>, _: Context) -> Result<Completion, HandlerError> {
/// #         Ok(Completion::success())
/// #     }
/// # }
/// use std::process::ExitCode;
///
/// use salesbot_bridge::cli::Program;
///
/// fn main() -> ExitCode {
///     let program = Program::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
///     program.main(|bridge| bridge.handler("greet", Greeter))
/// }
/// ```
///
/// In a package `greeter` of version 1.2.0, `--version` prints `greeter 1.2.0 (salesbot-bridge 0.1.0)`, the examples of
/// `--help` call `greeter`, errors begin with `greeter: `, and the first line of the log of `serve` names both versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Program {
    name: &'static str,
    version: Option<&'static str>,
}

impl Program {
    /// Creates a program with this name and version. `env!("CARGO_PKG_NAME")` and `env!("CARGO_PKG_VERSION")` are those
    /// of the package that contains this call.
    ///
    /// # Panics
    /// If one of them is empty, or contains a control character.
    pub const fn new(name: &'static str, version: &'static str) -> Self {
        assert!(is_printable(name), "the program's name is empty, or contains a control character");
        assert!(is_printable(version), "the program's version is empty, or contains a control character");
        Self { name, version: Some(version) }
    }

    /// Creates a program with the name of its executable and an unknown version.
    pub(super) fn of_executable() -> Self {
        let path = std::env::args_os().next().unwrap_or_default();
        Self::named(Path::new(&path).file_name().and_then(|name| name.to_str()).unwrap_or(BRIDGE))
    }

    fn named(name: &str) -> Self {
        if name == BRIDGE {
            return Self::new(BRIDGE, env!("CARGO_PKG_VERSION"));
        }
        // Clap needs a `'static` name. The leak is small: a process has only one name.
        Self { name: harmless(name, Keep::Nothing).into_owned().leak(), version: None }
    }

    /// Runs the command that the arguments name. `register` adds the program's handlers to the bridge.
    ///
    /// The exit status is 0 on success, 1 on a failure while running, and 2 on wrong usage or configuration. Wrong usage,
    /// `--help` and `--version` end the process without returning.
    pub fn main(self, register: impl FnOnce(Bridge) -> Bridge) -> ExitCode {
        exit::name_program(self.name);
        let arguments: Vec<OsString> = std::env::args_os().collect();
        let cli = parse(self.command(), &arguments)
            .unwrap_or_else(|error| visible_error(error, self.command(), &arguments).exit());
        super::execute(cli, || self.command(), |bridge| register(bridge).program(self.version_of()))
    }

    /// The name and version for the first line of the log.
    fn version_of(self) -> ProgramVersion {
        ProgramVersion { name: self.name, version: self.version }
    }

    fn command(self) -> Command {
        let version: &'static str = self.version_text().leak();
        // Otherwise the usage would call the executable, and the examples the program.
        let mut command = Cli::command().name(self.name).bin_name(self.name).version(version);
        name_in_examples(&mut command, self.name);
        command
    }

    /// The text that `--version` prints after the name.
    fn version_text(self) -> String {
        let bridge = env!("CARGO_PKG_VERSION");
        match self.version {
            Some(version) if (self.name, version) == (BRIDGE, bridge) => version.to_owned(),
            Some(version) => format!("{version} ({BRIDGE} {bridge})"),
            None => format!("({BRIDGE} {bridge})"),
        }
    }
}

fn parse(mut command: Command, arguments: &[OsString]) -> Result<Cli, clap::Error> {
    let matches = command.try_get_matches_from_mut(arguments)?;
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

/// Returns `error` with the control characters of the arguments that it quotes made visible. For the error, arguments whose
/// control characters are escaped are wrong in the same way. Otherwise only its text is escaped, without its colours.
fn visible_error(error: clap::Error, command: Command, arguments: &[OsString]) -> clap::Error {
    let escaped: Vec<OsString> = arguments
        .iter()
        .map(|argument| harmless(&argument.to_string_lossy(), Keep::Nothing).into_owned().into())
        .collect();
    if escaped == arguments {
        return error;
    }
    match parse(command, &escaped) {
        Err(same) if same.kind() == error.kind() => same,
        _ => {
            let text = error.to_string();
            let text = text.strip_prefix("error: ").unwrap_or(&text);
            clap::Error::raw(error.kind(), harmless(text, Keep::Lines))
        }
    }
}

/// Whether the text can be printed. A control character would steer a terminal.
const fn is_printable(text: &str) -> bool {
    let mut rest = text.as_bytes();
    while let [first, others @ ..] = rest {
        if first.is_ascii_control() {
            return false;
        }
        rest = others;
    }
    !text.is_empty()
}

/// Puts the program's name into the examples of every command.
fn name_in_examples(command: &mut Command, name: &str) {
    let called = |examples: String| examples.replace(&format!("  {BRIDGE} "), &format!("  {name} "));
    if let Some(examples) = command.get_after_help().map(ToString::to_string) {
        *command = std::mem::take(command).after_help(called(examples));
    }
    for inner in command.get_subcommands_mut() {
        name_in_examples(inner, name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(program: Program) -> String {
        program.command().render_version()
    }

    #[test]
    fn version_names_the_program_and_the_bridge() {
        let bridge = env!("CARGO_PKG_VERSION");
        for (program, expected) in [
            (Program::new("greeter", "1.2.0"), format!("greeter 1.2.0 (salesbot-bridge {bridge})\n")),
            (Program::named("greeter"), format!("greeter (salesbot-bridge {bridge})\n")),
            (Program::named("salesbot-bridge"), format!("salesbot-bridge {bridge}\n")),
            (Program::new("salesbot-bridge", bridge), format!("salesbot-bridge {bridge}\n")),
            (
                Program::new("salesbot-bridge", "9.9.9"),
                format!("salesbot-bridge 9.9.9 (salesbot-bridge {bridge})\n"),
            ),
            (Program::new("100 %", "{}"), format!("100 % {{}} (salesbot-bridge {bridge})\n")),
            (Program::named("a\u{1b}[31m"), format!("a\\u001b[31m (salesbot-bridge {bridge})\n")),
        ] {
            assert_eq!(version(program), expected);
        }
    }

    #[test]
    fn name_and_version_can_be_printed() {
        for (name, version) in [("", "1"), ("a", ""), ("a\nb", "1"), ("a", "\u{1b}[31m1"), ("\u{7f}", "1")] {
            assert!(
                std::panic::catch_unwind(|| Program::new(name, version)).is_err(),
                "{name:?} {version:?}"
            );
        }
    }

    #[test]
    fn usage_calls_the_program_by_its_name_whatever_the_executable_is_called() {
        let mut command = Program::new("greeter", "1.2.0").command();
        let error = command.try_get_matches_from_mut(["/bin/renamed", "jobs", "--unknown"]).unwrap_err();
        assert!(error.to_string().contains("Usage: greeter jobs"), "{error}");
    }

    #[test]
    fn examples_in_help_call_the_program_by_its_name() {
        let help = |path: &[&str]| {
            let mut command = Program::new("greeter", "1.2.0").command();
            command.build();
            let command =
                path.iter().fold(&mut command, |command, name| command.find_subcommand_mut(name).unwrap());
            command.render_long_help().to_string()
        };
        assert!(help(&[]).contains("Usage: greeter "), "{}", help(&[]));
        let install = help(&["widgets", "install"]);
        assert!(install.contains("  greeter widgets install amo_asterisk"), "{install}");
        assert!(!install.contains("salesbot-bridge"), "{install}");
    }
}
