//! The commands of the feature `tools` in a program that was built without it. Each reports that it is missing and how to
//! get it.

use std::ffi::OsString;

use clap::Subcommand;

use super::exit::Failure;

/// The missing commands. `--help` hides them, because they cannot run here.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    #[command(hide = true, disable_help_flag = true)]
    Demo(Anything),
    #[command(hide = true, disable_help_flag = true)]
    Dev(Anything),
    #[command(hide = true, disable_help_flag = true)]
    Simulate(Anything),
    #[command(hide = true, disable_help_flag = true)]
    Bench(Anything),
    #[command(hide = true, disable_help_flag = true)]
    WidgetPackage(Anything),
}

/// All arguments, so that none is refused before the command reports that it is missing.
#[derive(Debug, clap::Args)]
pub(super) struct Anything {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    _arguments: Vec<OsString>,
}

impl Command {
    /// The error: why the command cannot run, and how to get it.
    pub(super) fn refused(&self) -> Failure {
        let name = match self {
            Self::Demo(_) => "demo",
            Self::Dev(_) => "dev",
            Self::Simulate(_) => "simulate",
            Self::Bench(_) => "bench",
            Self::WidgetPackage(_) => "widget-package",
        };
        Failure::usage(format!(
            "this build has no command `{name}`: it was built without the feature `tools`, like the container image; \
             build a program that has it with `cargo build --release --locked`"
        ))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(subcommand)]
        command: Command,
    }

    #[test]
    fn a_missing_command_reports_that_and_exits_with_2_for_any_arguments() {
        for (line, name) in [
            (&["demo"][..], "demo"),
            (&["dev", "--forward", "localhost:8000"], "dev"),
            (&["simulate", "--help"], "simulate"),
            (&["bench", "--rate", "10", "-v", "--target", "http://127.0.0.1:8080"], "bench"),
            (&["widget-package", "https://bots.example.com", "-o", "widget.zip"], "widget-package"),
        ] {
            let program = Program::try_parse_from([&["salesbot-bridge"], line].concat()).unwrap();
            let expected = format!(
                "this build has no command `{name}`: it was built without the feature `tools`, like the container image; \
                 build a program that has it with `cargo build --release --locked`"
            );
            assert_eq!(program.command.refused(), Failure::usage(expected));
        }
    }
}
