//! `man`: prints the manual page of this program, or writes a page for each command into a folder.

use std::fs;
use std::io;
use std::path::PathBuf;

use anyhow::Context;
use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};
use serde_json::json;

use super::exit::{Failure, print};

/// The arguments of `man`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Write a page for each command into this folder, which is created if needed
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// A manual page.
struct Page {
    /// The name of its file: `salesbot-bridge-jobs-list.1`.
    file: String,
    /// Its text, for `man`.
    roff: String,
}

/// Prints the page of the program that `definition` describes, or writes all pages.
///
/// # Errors
/// A file or stdout cannot be written, or the program's name cannot be the name of a file.
pub(super) fn run(args: Args, definition: Command, json: bool) -> Result<(), Failure> {
    let pages = pages(definition).context("cannot write the manual pages")?;
    let Some(dir) = args.dir else {
        let first = pages.first().map(|page| page.roff.trim_end()).unwrap_or_default();
        return Ok(print(first)?);
    };
    if let Some(page) = pages.iter().find(|page| page.file.contains('/')) {
        return Err(Failure::running(format!(
            "`{}` cannot be the name of a file: rename the program to a name without `/`",
            page.file
        )));
    }
    fs::create_dir_all(&dir).with_context(|| format!("cannot create the folder {}", dir.display()))?;
    for page in &pages {
        let file = dir.join(&page.file);
        fs::write(&file, &page.roff).with_context(|| format!("cannot write {}", file.display()))?;
    }
    let written: Vec<&str> = pages.iter().map(|page| page.file.as_str()).collect();
    Ok(print(&if json {
        format!("{:#}", json!({ "folder": dir, "pages": written }))
    } else {
        format!("wrote {} pages into {}", written.len(), dir.display())
    })?)
}

/// The page of the program, then those of its visible commands.
fn pages(definition: Command) -> io::Result<Vec<Page>> {
    fn add(command: &Command, program: &str, pages: &mut Vec<Page>) -> io::Result<()> {
        pages.push(page(command, program)?);
        for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set()) {
            add(inner, program, pages)?;
        }
        Ok(())
    }
    // The last line of a page has no room for the version of the bridge in a program of its own.
    let program = definition.render_version();
    let program = program.split(" (").next().unwrap_or_default();
    let mut definition = definition.disable_help_subcommand(true);
    definition.build();
    let mut pages = Vec::new();
    add(&definition, program.trim_end(), &mut pages)?;
    Ok(pages)
}

/// The page of one command. Its last line names the `program` with its version.
fn page(command: &Command, program: &str) -> io::Result<Page> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    let mut written = Vec::new();
    let man = Man::new(command.clone()).source(program).manual("User Commands");
    man.render_title(&mut written)?;
    man.render_name_section(&mut written)?;
    man.render_synopsis_section(&mut written)?;
    man.render_description_section(&mut written)?;
    man.render_options_section(&mut written)?;
    if command.get_subcommands().any(|inner| !inner.is_hide_set()) {
        man.render_subcommands_section(&mut written)?;
    }
    if let Some(text) = command.get_after_help() {
        as_laid_out(&text.to_string()).to_writer(&mut written)?;
    }
    let roff = String::from_utf8(written).map_err(io::Error::other)?;
    Ok(Page { file: format!("{name}.1"), roff })
}

/// The part of the help below the options: a section for each paragraph, line by line.
fn as_laid_out(text: &str) -> Roff {
    let mut roff = Roff::new();
    for paragraph in text.split("\n\n") {
        let (heading, lines) = match paragraph.split_once(":\n") {
            Some((heading, lines)) if !heading.contains('\n') => (heading, lines),
            _ => ("Notes", paragraph),
        };
        roff.control("SH", [heading.to_uppercase().as_str()]);
        roff.control("nf", []);
        for line in lines.lines() {
            roff.text([roman(line)]);
        }
        roff.control("fi", []);
    }
    roff
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command as Process, Stdio};

    use clap::CommandFactory;

    use crate::cli::Cli;

    use super::*;

    /// What `man` would show, and its warnings; `None` without groff.
    fn rendered(roff: &str) -> Option<(String, String)> {
        let mut groff = Process::new("groff");
        groff.args(["-man", "-Tutf8", "-ww", "-K", "utf8", "-P", "-cbou"]);
        let (stdin, stdout) = (Stdio::piped(), Stdio::piped());
        let mut child = groff.stdin(stdin).stdout(stdout).stderr(Stdio::piped()).spawn().ok()?;
        child.stdin.take().unwrap().write_all(roff.as_bytes()).unwrap();
        let ended = child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Some((text(ended.stdout), text(ended.stderr)))
    }

    fn greeter() -> Command {
        Cli::command().name("greeter").bin_name("greeter").version("1.2.0 (salesbot-bridge 0.1.0)")
    }

    #[test]
    fn every_visible_command_has_a_page_of_its_own() {
        fn names(command: &Command, name: &str, all: &mut Vec<String>) {
            all.push(format!("{name}.1"));
            for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set()) {
                names(inner, &format!("{name}-{}", inner.get_name()), all);
            }
        }
        let mut expected = Vec::new();
        names(&greeter(), "greeter", &mut expected);
        let files: Vec<String> = pages(greeter()).unwrap().into_iter().map(|page| page.file).collect();
        assert_eq!(files, expected);
        for file in ["greeter.1", "greeter-jobs-list.1", "greeter-man.1"] {
            assert!(files.iter().any(|known| known == file), "{file} in {files:?}");
        }
        assert!(!files.iter().any(|file| file.contains("health") || file.contains("help")), "{files:?}");
    }

    #[test]
    fn pages_render_without_warnings_and_keep_the_lines_of_examples() {
        for page in pages(greeter()).unwrap() {
            let Some((text, warnings)) = rendered(&page.roff) else {
                assert!(std::env::var_os("TESTS_MUST_RUN").is_none(), "groff is not installed");
                return eprintln!("SKIPPED: groff is not installed, so no manual page was rendered");
            };
            assert_eq!(warnings, "", "{}", page.file);
            let (name, _) = page.file.rsplit_once('.').unwrap();
            // The renderer widens spaces to fill lines.
            let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(words.contains(&format!("NAME {name} - ")), "{}:\n{text}", page.file);
            assert!(
                words.ends_with(&format!("User Commands greeter 1.2.0 {name}(1)")),
                "{}:\n{text}",
                page.file
            );
            if name == "greeter-jobs-list" {
                assert!(text.contains("\nEXAMPLES\n") && text.contains("\nCOLUMNS\n"), "{text}");
                let example = "greeter jobs list state:dead since:2h --limit 10";
                let example = example.replace("greeter", "salesbot-bridge");
                assert!(text.lines().any(|line| line.trim() == example), "{text}");
            }
        }
    }

    #[test]
    fn lines_that_begin_like_a_request_of_roff_are_text() {
        let roff = as_laid_out("Examples:\n.SH a\n'b \\fI").to_roff();
        let Some((text, warnings)) = rendered(&format!(".TH X 1\n{roff}")) else { return };
        assert!(text.contains(".SH a") && text.contains("\\fI") && warnings.is_empty(), "{text}{warnings}");
    }
}
