//! Validates an operator's description of a package into a [`Spec`]. Reports every mistake, not only the first.

use std::fmt;
use std::str::FromStr;

use url::Url;

use super::bridge_url::BridgeUrl;
use super::exit::Exit;
use super::field::Field;
use super::locale::Locale;
use super::logo::Logo;
use super::script;
use super::spec::Spec;
use super::version::Version;

/// The maximum number of fields of one block.
const MAX_FIELDS: usize = 50;
/// The maximum number of [`Draft::exits`]. More would be hard to navigate in the bot designer.
const MAX_EXITS: usize = 20;
/// The maximum length of the name, in characters.
const MAX_NAME: usize = 60;
/// The maximum length of the description, in characters.
const MAX_DESCRIPTION: usize = 2_000;
/// The maximum length of the short description, in characters.
const MAX_SHORT_DESCRIPTION: usize = 200;

/// An operator's description of a package. Everything but the address has a default.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// The address of the handler: `https://bridge.example.com/widget_request/greet`.
    pub url: String,
    /// Whether to allow `http` and any host, for tests with a simulated Kommo on this machine.
    pub insecure: bool,
    /// The name that users see in Kommo. Default: the handler's name.
    pub name: Option<String>,
    /// The description on the page of the integration. Default: a translated sentence.
    pub description: Option<String>,
    /// The same, shorter. Default: a translated sentence.
    pub short_description: Option<String>,
    /// The email address for users of the widget.
    pub support_email: Option<String>,
    /// The web page where users find help. Default: the bridge's own address.
    pub support_link: Option<String>,
    /// Languages: `en`, `es`, `pt`, `tr`, `id`, `ru`. Default: the five of Kommo, without `ru`.
    pub locales: Vec<String>,
    /// The fields to send, like `message={{message_text}}`. Default: this one.
    pub fields: Vec<String>,
    /// Exits in addition to `success`, `superseded` and `fail`, or other titles for these three, like
    /// `silent=Nothing to say`.
    pub exits: Vec<String>,
    /// The version of this upload. Default: `1.0.0`.
    pub version: Option<String>,
    /// The bytes of a PNG or JPEG. Default: a drawn logo.
    pub logo: Option<Vec<u8>>,
}

impl Draft {
    /// Validates the whole description.
    ///
    /// # Errors
    /// All mistakes, each with the name of its option. Checks the size of the script only if there are no others.
    pub fn check(self) -> Result<Spec, Mistakes> {
        let mut mistakes = Vec::new();
        let mut note = |about: &'static str, message: String| mistakes.push(Mistake { about, message });

        let url =
            BridgeUrl::parse(&self.url, self.insecure).map_err(|error| note("url", error.to_string())).ok();
        let texts = [
            ("name", &self.name, MAX_NAME, false),
            ("description", &self.description, MAX_DESCRIPTION, true),
            ("short-description", &self.short_description, MAX_SHORT_DESCRIPTION, false),
        ];
        for (about, text, most, lines) in texts {
            if text.as_deref().is_some_and(|text| !is_text(text, most, lines)) {
                let one_line = if lines { "" } else { " on one line" };
                note(about, format!("must be 1 to {most} characters{one_line}, without control characters"));
            }
        }
        if self.support_email.as_deref().is_some_and(|email| !is_email(email)) {
            note("support-email", "is not an email address: write it like help@example.com".to_owned());
        }
        if self.support_link.as_deref().is_some_and(|link| !is_link(link)) {
            note("support-link", "is not a link: write it in full, like https://example.com/help".to_owned());
        }
        let locales = each("locale", &self.locales, &mut note, Locale::from_str);
        let fields = each("field", &self.fields, &mut note, named(Field::from_str));
        let exits = each("exit", &self.exits, &mut note, named(Exit::from_str));
        for (at, field) in fields.iter().enumerate() {
            if let Some((clash, other)) =
                fields[..at].iter().find_map(|other| Some((field.clash(other)?, other)))
            {
                note("field", format!("`{}` and `{}` are {clash}: remove one", other.name(), field.name()));
            }
        }
        for (about, count, most) in [("field", fields.len(), MAX_FIELDS), ("exit", exits.len(), MAX_EXITS)] {
            if count > most {
                note(about, format!("is given {count} times (limit: {most})"));
            }
        }
        for (about, twice) in [
            ("locale", twice(&locales).map(Locale::to_string)),
            ("exit", twice(&exits.iter().map(Exit::code).collect::<Vec<_>>()).map(|code| (*code).to_owned())),
        ] {
            if let Some(twice) = twice {
                note(about, format!("`{twice}` is given twice: remove one"));
            }
        }
        let version = match self.version.as_deref().map(Version::from_str) {
            None => Version::FIRST,
            Some(Ok(version)) => version,
            Some(Err(error)) => {
                note("version", error.to_string());
                Version::FIRST
            }
        };
        let logo = match self.logo.as_deref().map(Logo::read) {
            None => None,
            Some(Ok(logo)) => Some(logo),
            Some(Err(error)) => {
                note("logo", error.to_string());
                None
            }
        };

        let Some(url) = url.filter(|_| mistakes.is_empty()) else { return Err(Mistakes(mistakes)) };
        let trimmed = |text: Option<String>| text.map(|text| text.trim().to_owned());
        let spec = Spec {
            name: trimmed(self.name).unwrap_or_else(|| title(url.handler().as_str())),
            description: trimmed(self.description),
            short_description: trimmed(self.short_description),
            support_email: trimmed(self.support_email),
            support_link: trimmed(self.support_link).unwrap_or_else(|| url.origin()),
            locales: if locales.is_empty() { Locale::KOMMO.to_vec() } else { locales },
            fields: if fields.is_empty() { vec![Field::message()] } else { fields },
            exits: with_standard(exits),
            version,
            logo,
            url,
        };
        // An error here is a bug in this program: `build` reports it.
        if script::script(&spec).is_ok_and(|script| script.len() > script::MAX_BYTES) {
            let message =
                format!("values make the script larger than {} KiB: shorten them", script::MAX_BYTES / 1024);
            return Err(Mistakes(vec![Mistake { about: "field", message }]));
        }
        Ok(spec)
    }
}

/// Parses each text. Returns the valid ones, and notes a mistake for each of the others.
fn each<T, E: fmt::Display>(
    about: &'static str,
    texts: &[String],
    note: &mut impl FnMut(&'static str, String),
    parse: impl Fn(&str) -> Result<T, E>,
) -> Vec<T> {
    texts.iter().filter_map(|text| parse(text).map_err(|error| note(about, error.to_string())).ok()).collect()
}

/// Prefixes a mistake with the part of its text before `=`. The rest may be too long to repeat.
fn named<T, E: fmt::Display>(parse: impl Fn(&str) -> Result<T, E>) -> impl Fn(&str) -> Result<T, String> {
    move |text| {
        parse(text).map_err(|error| {
            let key: String = text.split('=').next().unwrap_or(text).chars().take(80).collect();
            format!("`{}` {error}", key.escape_debug())
        })
    }
}

/// The first repeated entry.
fn twice<T: PartialEq>(list: &[T]) -> Option<&T> {
    list.iter().enumerate().find(|(at, one)| list[..*at].contains(one)).map(|(_, one)| one)
}

/// Adds the standard exits: `success` first, `superseded` and `fail` last, the others between them in the given order.
fn with_standard(own: Vec<Exit>) -> Vec<Exit> {
    let standard = Exit::standard();
    let (titled, others): (Vec<Exit>, Vec<Exit>) =
        own.into_iter().partition(|exit| standard.iter().any(|standard| standard.code() == exit.code()));
    let [success, superseded, fail] = standard
        .map(|exit| titled.iter().find(|titled| titled.code() == exit.code()).cloned().unwrap_or(exit));
    std::iter::once(success).chain(others).chain([superseded, fail]).collect()
}

/// The default name for a handler: `greet-people` becomes `Greet people`.
fn title(handler: &str) -> String {
    let words = handler.replace(['-', '_'], " ");
    let words = words.trim();
    let mut letters = words.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => "Bridge".to_owned(),
    }
}

fn is_text(text: &str, most: usize, lines: bool) -> bool {
    let text = text.trim();
    (1..=most).contains(&text.chars().count())
        && !text.chars().any(|letter| letter.is_control() && !(lines && letter == '\n'))
}

/// Refuses only texts that cannot be an email address; does not check that the address exists.
fn is_email(text: &str) -> bool {
    let text = text.trim();
    text.len() <= 254
        && !text.chars().any(|letter| letter.is_whitespace() || letter.is_control())
        && text.split_once('@').is_some_and(|(name, host)| {
            let inner = host.trim_matches('.');
            !name.is_empty() && inner == host && host.contains('.') && !host.contains('@')
        })
}

fn is_link(text: &str) -> bool {
    text.len() <= 2_000
        && Url::parse(text.trim()).is_ok_and(|url| {
            matches!(url.scheme(), "https" | "http") && url.username().is_empty() && url.password().is_none()
        })
}

/// One mistake in a [`Draft`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The name of the command's option, like `url` or `field`.
    pub about: &'static str,
    /// What is wrong, and what is allowed instead.
    pub message: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "--{}: {}", self.about, self.message)
    }
}

/// All mistakes in a [`Draft`]; at least one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct Mistakes(pub Vec<Mistake>);
