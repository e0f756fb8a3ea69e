//! The questions of `init`. An option answers its question in advance; an earlier `bridge.toml` gives the defaults.

use std::io;

use clap::ValueEnum;
use model::HandlerName;
use secrecy::{ExposeSecret, SecretString};

use super::answers::{self, Access, Account, Answers, Connect, Earlier, HandlerKind, Kind};
use super::ask::{Ask, Question};

const PUBLIC_URL: Question = Question {
    option: "--public-url URL",
    prompt: "Public URL",
    help: "The https address at which Kommo will reach this bridge, like https://bots.example.com.\n\
           For a Kommo that `simulate` plays on this machine: http://127.0.0.1:8080",
};
const KIND: Question = Question {
    option: "--kind KIND",
    prompt: "What answers the bots?",
    help: "You can change this later, and add more handlers.",
};
const HANDLER: Question = Question {
    option: "--handler NAME",
    prompt: "Name of the handler",
    help: "It ends the URL that the widget block calls: …/widget_request/NAME",
};
const HANDLER_URL: Question = Question {
    option: "--handler-url URL",
    prompt: "URL of the handler",
    help: "The bridge posts each request there: your program, like http://127.0.0.1:8000/, or the Production URL\n\
           of an n8n webhook.",
};
const CLIENT_UUID: Question = Question {
    option: "--client-uuid ID",
    prompt: "Integration's id",
    help: "In Kommo, as an administrator: Settings → Integrations → Create integration → private integration.\n\
           Its page shows the id and the secret key (Keys and scopes).",
};
const CLIENT_SECRET: Question = Question {
    option: "--client-secret-file FILE",
    prompt: "Integration's secret key",
    help: "Beside the id. What you type or paste is not shown.",
};
const CONNECT: Question = Question {
    option: "--connect HOW",
    prompt: "How does the bridge get the account's token?",
    help: "A long-lived token is the simplest way for one account.",
};
const ACCOUNT: Question = Question {
    option: "--account URL",
    prompt: "Account's URL",
    help: "The beginning of the address in your browser when you use Kommo, like https://example.kommo.com",
};
const ACCESS_TOKEN: Question = Question {
    option: "--access-token-file FILE",
    prompt: "Long-lived token",
    help: "An administrator generates it on the integration's page (Keys and scopes). It is not shown.",
};

/// The answers that options gave, as they were written.
#[derive(Default)]
pub(super) struct Given {
    pub(super) public_url: Option<String>,
    pub(super) kind: Option<Kind>,
    pub(super) handler: Option<String>,
    pub(super) handler_url: Option<String>,
    pub(super) client_uuid: Option<String>,
    pub(super) client_secret: Option<SecretString>,
    pub(super) connect: Option<Connect>,
    pub(super) account: Option<String>,
    pub(super) access_token: Option<SecretString>,
}

/// Why there are no answers.
#[derive(Debug)]
pub(super) enum NoAnswers {
    /// Options are wrong, each with the reason.
    Wrong(Vec<String>),
    /// Questions have neither an option nor a default.
    Missing(Vec<Question>),
    /// The terminal failed, or Ctrl-C was typed.
    Terminal(io::Error),
}

/// Takes each answer from its option, else from `ask`, else from the defaults. If `only_needed` is set, asks only the
/// questions without a default.
///
/// # Errors
/// An option is wrong, an answer is missing, or the terminal fails. Asks nothing if an option is wrong.
pub(super) fn answers(
    given: &Given,
    earlier: &Earlier,
    ask: Option<&mut dyn Ask>,
    only_needed: bool,
) -> Result<Answers, NoAnswers> {
    let without_asking = Collector::new(None, true).all(given, earlier);
    match (without_asking, ask) {
        (Err(NoAnswers::Missing(_)) | Ok(_), Some(ask)) => {
            Collector::new(Some(ask), only_needed).all(given, earlier)
        }
        (result, _) => result,
    }
}

struct Collector<'a> {
    ask: Option<&'a mut dyn Ask>,
    takes_defaults: bool,
    wrong: Vec<String>,
    missing: Vec<Question>,
}

impl<'a> Collector<'a> {
    fn new(ask: Option<&'a mut dyn Ask>, takes_defaults: bool) -> Self {
        Self { ask, takes_defaults, wrong: Vec::new(), missing: Vec::new() }
    }

    fn all(mut self, given: &Given, earlier: &Earlier) -> Result<Answers, NoAnswers> {
        match self.each(given, earlier) {
            Err(error) => Err(NoAnswers::Terminal(error)),
            Ok(_) if !self.wrong.is_empty() => Err(NoAnswers::Wrong(self.wrong)),
            Ok(None) => Err(NoAnswers::Missing(self.missing)),
            Ok(Some(answers)) => Ok(answers),
        }
    }

    /// Goes on after a missing or wrong answer, so that one run reports all of them.
    fn each(&mut self, given: &Given, earlier: &Earlier) -> io::Result<Option<Answers>> {
        let public_url =
            self.text(PUBLIC_URL, &given.public_url, earlier.public_url.clone(), answers::public_url)?;
        let implied = given.handler_url.as_ref().filter(|_| given.kind.is_none()).map(|_| Kind::Http);
        let default = earlier.kind.filter(|kind| implied.is_none() || at_a_url(*kind));
        let kind = self.choice(KIND, given.kind, default.or(implied).unwrap_or(Kind::Echo))?;
        let handler = self.handler(kind, given, earlier)?;
        let kind = self.kind(kind, given, earlier)?;
        let client_uuid =
            self.text(CLIENT_UUID, &given.client_uuid, earlier.client_uuid.clone(), answers::client_uuid)?;
        let client_secret = self.secret(
            CLIENT_SECRET,
            given.client_secret.as_ref(),
            earlier.client_secret.as_ref(),
            answers::client_secret,
        )?;
        let access = self.access(given, earlier)?;
        Ok((|| {
            Some(Answers {
                public_url: public_url?,
                handler: handler?,
                kind: kind?,
                client_uuid: client_uuid?,
                client_secret: client_secret?,
                access: access?,
            })
        })())
    }

    fn handler(&mut self, kind: Kind, given: &Given, earlier: &Earlier) -> io::Result<Option<HandlerName>> {
        let usual = match kind {
            Kind::Echo => "echo",
            Kind::Http | Kind::N8n => "assistant",
            Kind::Rust => "greet",
        };
        // An earlier name fits if the kind is the same.
        let before = earlier.handler.clone().filter(|_| earlier.kind == Some(kind));
        self.text(HANDLER, &given.handler, Some(before.unwrap_or_else(|| usual.to_owned())), answers::handler)
    }

    fn kind(&mut self, kind: Kind, given: &Given, earlier: &Earlier) -> io::Result<Option<HandlerKind>> {
        if !at_a_url(kind) {
            if given.handler_url.is_some() {
                self.wrong.push("--handler-url: is only for --kind http and --kind n8n".to_owned());
            }
            return Ok(Some(if kind == Kind::Rust { HandlerKind::Rust } else { HandlerKind::Echo }));
        }
        let url =
            self.text(HANDLER_URL, &given.handler_url, earlier.handler_url.clone(), answers::handler_url)?;
        Ok(url.map(if kind == Kind::N8n { HandlerKind::N8n } else { HandlerKind::Http }))
    }

    fn access(&mut self, given: &Given, earlier: &Earlier) -> io::Result<Option<Access>> {
        let connect = self.choice(CONNECT, given.connect, earlier.connect.unwrap_or(Connect::Token))?;
        if connect == Connect::Oauth {
            for (option, is_given) in [
                ("--account", given.account.is_some()),
                ("--access-token-file", given.access_token.is_some()),
            ] {
                if is_given {
                    let why = format!(
                        "{option}: is only for --connect token; `accounts authorize` connects accounts by OAuth"
                    );
                    self.wrong.push(why);
                }
            }
            return Ok(Some(Access::Oauth));
        }
        let account = self.text(ACCOUNT, &given.account, earlier.account.clone(), answers::account_url)?;
        let token = self.secret(
            ACCESS_TOKEN,
            given.access_token.as_ref(),
            earlier.access_token.as_ref(),
            answers::access_token,
        )?;
        Ok(account.zip(token).map(|(account, token)| Access::Token(Account::new(account, token))))
    }

    fn text<T>(
        &mut self,
        question: Question,
        given: &Option<String>,
        default: Option<String>,
        read: fn(&str) -> Result<T, String>,
    ) -> io::Result<Option<T>> {
        let default = default.filter(|default| read(default).is_ok());
        let text = match (given, &mut self.ask, default) {
            (Some(given), ..) => given.clone(),
            (None, None, Some(default)) => default,
            (None, Some(_), Some(default)) if self.takes_defaults => default,
            (None, Some(ask), default) => {
                ask.text(question, default.as_deref(), &|text| read(text).map(drop))?
            }
            (None, None, None) => {
                self.missing.push(question);
                return Ok(None);
            }
        };
        Ok(self.accept(question, read(&text)))
    }

    fn secret(
        &mut self,
        question: Question,
        given: Option<&SecretString>,
        default: Option<&SecretString>,
        read: fn(&str) -> Result<SecretString, String>,
    ) -> io::Result<Option<SecretString>> {
        let text = match (given.or(default.filter(|_| self.takes_defaults)), &mut self.ask) {
            (Some(known), _) => known.clone(),
            (None, Some(ask)) => {
                let typed = ask.secret(question, default.is_some(), &|text| read(text).map(drop))?;
                typed.or_else(|| default.cloned()).unwrap_or_default()
            }
            (None, None) => {
                self.missing.push(question);
                return Ok(None);
            }
        };
        Ok(self.accept(question, read(text.expose_secret())))
    }

    fn choice<T: ValueEnum + PartialEq>(
        &mut self,
        question: Question,
        given: Option<T>,
        default: T,
    ) -> io::Result<T> {
        let (None, Some(ask), false) = (given.clone(), &mut self.ask, self.takes_defaults) else {
            return Ok(given.unwrap_or(default));
        };
        let values = T::value_variants();
        let labels: Vec<String> = values.iter().map(label).collect();
        let at = values.iter().position(|value| *value == default).unwrap_or_default();
        let chosen = ask.choice(question, &labels, at)?;
        Ok(values.get(chosen).cloned().unwrap_or(default))
    }

    fn accept<T>(&mut self, question: Question, read: Result<T, String>) -> Option<T> {
        read.map_err(|why| self.wrong.push(format!("{}: {why}", question.name()))).ok()
    }
}

const fn at_a_url(kind: Kind) -> bool {
    matches!(kind, Kind::Http | Kind::N8n)
}

/// The value of an option and its help.
fn label<T: ValueEnum>(value: &T) -> String {
    value.to_possible_value().map_or_else(String::new, |value| {
        let help = value.get_help().map(ToString::to_string).unwrap_or_default();
        format!("{:5}  {help}", value.get_name())
    })
}

#[cfg(test)]
mod tests;
