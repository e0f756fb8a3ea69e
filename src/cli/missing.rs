//! The commands of the feature `tools`, in a program that was built without it: they say so, and where they are.

use std::ffi::OsString;

use clap::Subcommand;

use super::exit::Failure;

/// Hidden, because no one can use them here.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    #[command(hide = true, disable_help_flag = true)]
    Demo(Anything),
    #[command(hide = true, disable_help_flag = true)]
    Simulate(Anything),
    #[command(hide = true, disable_help_flag = true)]
    Bench(Anything),
    #[command(hide = true, disable_help_flag = true)]
    WidgetPackage(Anything),
}

/// Whatever the command takes where it exists.
#[derive(Debug, clap::Args)]
pub(super) struct Anything {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    _arguments: Vec<OsString>,
}

impl Command {
    /// Why it cannot run, and how to get it.
    pub(super) fn refused(&self) -> Failure {
        let name = match self {
            Self::Demo(_) => "demo",
            Self::Simulate(_) => "simulate",
            Self::Bench(_) => "bench",
            Self::WidgetPackage(_) => "widget-package",
        };
        Failure::usage(format!(
            "this build has no command `{name}`: it was built without the feature `tools`, as container images are; \
             `cargo build --release --locked` in the source builds a program that has it"
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
    fn missing_command_says_so_and_exits_with_2_whatever_its_arguments() {
        for (line, name) in [
            (&["demo"][..], "demo"),
            (&["simulate", "--help"], "simulate"),
            (&["bench", "--rate", "10", "-v", "--target", "http://127.0.0.1:8080"], "bench"),
            (&["widget-package", "https://bots.example.com", "-o", "widget.zip"], "widget-package"),
        ] {
            let program = Program::try_parse_from([&["salesbot-bridge"], line].concat()).unwrap();
            let expected = format!(
                "this build has no command `{name}`: it was built without the feature `tools`, as container images are; \
                 `cargo build --release --locked` in the source builds a program that has it"
            );
            assert_eq!(program.command.refused(), Failure::usage(expected));
        }
    }
}
