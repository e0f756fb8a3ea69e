//! Asks a person at the terminal.

use std::io::{self, IsTerminal};

use dialoguer::console::Term;
use dialoguer::theme::ColorfulTheme;
use dialoguer::{Confirm, Input, Password, Select};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use secrecy::SecretString;

/// A question, and the option that answers it in advance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Question {
    /// The option and its value, like `--public-url URL`.
    pub(super) option: &'static str,
    /// The question itself.
    pub(super) prompt: &'static str,
    /// What to answer, in sentences.
    pub(super) help: &'static str,
}

impl Question {
    /// The option without its value.
    pub(super) fn name(&self) -> &'static str {
        self.option.split(' ').next().unwrap_or(self.option)
    }
}

/// Whether an answer is accepted; if not, why.
pub(super) type Accepts<'a> = &'a dyn Fn(&str) -> Result<(), String>;

/// Someone who answers questions.
pub(super) trait Ask {
    /// Asks for a text that `accepts` accepts.
    fn text(&mut self, question: Question, default: Option<&str>, accepts: Accepts<'_>)
    -> io::Result<String>;

    /// Asks for a secret without showing it. `None`: keep the one that is there, if `has_default`.
    fn secret(
        &mut self,
        question: Question,
        has_default: bool,
        accepts: Accepts<'_>,
    ) -> io::Result<Option<SecretString>>;

    /// Asks for one of these, and returns its index.
    fn choice(&mut self, question: Question, labels: &[String], default: usize) -> io::Result<usize>;

    /// Asks a yes-or-no question; Enter means no.
    fn confirm(&mut self, question: &str) -> io::Result<bool>;
}

/// A person at the terminal of stdin and stderr.
pub(super) struct Terminal {
    term: Term,
    theme: ColorfulTheme,
}

impl Terminal {
    /// The terminal of this process; `None` if stdin or stderr is something else.
    pub(super) fn of_process() -> Option<Self> {
        let is_terminal = io::stdin().is_terminal() && io::stderr().is_terminal();
        is_terminal.then(|| Self { term: Term::stderr(), theme: ColorfulTheme::default() })
    }

    fn explain(&self, question: Question) -> io::Result<()> {
        self.term.write_line(&format!("\n{}", question.help))
    }
}

fn io_error(dialoguer::Error::IO(error): dialoguer::Error) -> io::Error {
    error
}

impl Ask for Terminal {
    fn text(
        &mut self,
        question: Question,
        default: Option<&str>,
        accepts: Accepts<'_>,
    ) -> io::Result<String> {
        self.explain(question)?;
        let mut input = Input::<String>::with_theme(&self.theme).with_prompt(question.prompt);
        if let Some(default) = default {
            input = input.default(default.to_owned());
        }
        input.validate_with(|text: &String| accepts(text)).interact_text_on(&self.term).map_err(io_error)
    }

    fn secret(
        &mut self,
        question: Question,
        has_default: bool,
        accepts: Accepts<'_>,
    ) -> io::Result<Option<SecretString>> {
        self.explain(question)?;
        let keep = if has_default { " (Enter keeps the current one)" } else { "" };
        let is_kept = |text: &str| has_default && text.is_empty();
        let typed = Password::with_theme(&self.theme)
            .with_prompt(format!("{}{keep}", question.prompt))
            .allow_empty_password(has_default)
            .validate_with(|text: &String| if is_kept(text) { Ok(()) } else { accepts(text) })
            .interact_on(&self.term)
            .map_err(io_error)?;
        Ok(if is_kept(&typed) { None } else { Some(SecretString::from(typed)) })
    }

    fn choice(&mut self, question: Question, labels: &[String], default: usize) -> io::Result<usize> {
        self.explain(question)?;
        Select::with_theme(&self.theme)
            .with_prompt(question.prompt)
            .items(labels)
            .default(default)
            .interact_on(&self.term)
            .map_err(io_error)
    }

    fn confirm(&mut self, question: &str) -> io::Result<bool> {
        Confirm::with_theme(&self.theme)
            .with_prompt(question)
            .default(false)
            .interact_on(&self.term)
            .map_err(io_error)
    }
}

/// The settings of the terminal before the questions. A question changes them while it waits, and cannot set them back if
/// the process ends before the answer.
pub(super) struct Settings(Option<Termios>);

impl Settings {
    /// Reads the current settings.
    pub(super) fn read() -> Self {
        Self(tcgetattr(io::stdin()).ok())
    }

    /// Restores them, and shows the cursor.
    pub(super) fn restore(&self) {
        if let Some(settings) = &self.0 {
            // The process is about to end, and has no other way to restore them.
            let _failed = tcsetattr(io::stdin(), OptionalActions::Now, settings);
            let _failed = Term::stderr().show_cursor();
        }
    }
}
