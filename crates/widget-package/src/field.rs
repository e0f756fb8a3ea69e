//! A field that a bot sends: its path in `data`, and its default value, which the author of the bot can
//! change.

use std::fmt;
use std::str::FromStr;

/// The maximum number of levels of a path, like `a.b.c.d.e`.
const MAX_LEVELS: usize = 5;
/// The maximum length of the name of one level, in bytes.
const MAX_NAME: usize = 40;
/// The maximum length of the default value, in bytes.
const MAX_VALUE: usize = 4_000;

/// A field, written like `message={{message_text}}`, `lead.id={{lead.id}}` or `lead[price]:numeric={{lead.price}}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    path: Vec<String>,
    kind: FieldKind,
    value: String,
}

/// Which of the account's fields the bot designer offers for a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FieldKind {
    /// Text fields.
    #[default]
    Text,
    /// Text and number fields.
    Numeric,
    /// Text and link fields.
    Url,
}

impl FieldKind {
    /// The name of the kind in a manifest.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Numeric => "numeric",
            Self::Url => "url",
        }
    }
}

impl Field {
    /// The default field of a block: the customer's message.
    pub(super) fn message() -> Self {
        Self { path: vec!["message".to_owned()], kind: FieldKind::Text, value: "{{message_text}}".to_owned() }
    }

    /// The path of the value in `data`, outermost name first: `["lead", "id"]`.
    pub fn path(&self) -> &[String] {
        &self.path
    }

    /// The path as an operator writes it: `lead.id`.
    pub fn name(&self) -> String {
        self.path.join(".")
    }

    /// The name in the manifest and the bot designer: `lead_id`.
    pub fn key(&self) -> String {
        self.path.join("_")
    }

    /// The kind of value.
    pub const fn kind(&self) -> FieldKind {
        self.kind
    }

    /// The default value: text with `{{…}}` placeholders, which Kommo fills when the bot reaches the block.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Why both fields cannot be sent together; `None` if they can.
    pub(super) fn clash(&self, other: &Self) -> Option<&'static str> {
        let common = self.path.iter().zip(&other.path).take_while(|(a, b)| a == b).count();
        if common == self.path.len() && common == other.path.len() {
            Some("the same field")
        } else if common == self.path.len() || common == other.path.len() {
            Some("a value and an object of the same name")
        } else if self.key() == other.key() {
            Some("two fields that the bot designer cannot tell apart")
        } else {
            None
        }
    }
}

impl FromStr for Field {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (left, value) = text.split_once('=').ok_or(FieldError::NoValue)?;
        let (path, kind) = match left.split_once(':') {
            None => (left, FieldKind::Text),
            Some((path, kind)) => {
                let kinds = [FieldKind::Text, FieldKind::Numeric, FieldKind::Url];
                (path, kinds.into_iter().find(|known| known.as_str() == kind).ok_or(FieldError::Kind)?)
            }
        };
        let path = levels(path).ok_or(FieldError::Key)?;
        if value.len() > MAX_VALUE {
            return Err(FieldError::Long);
        }
        Ok(Self { path, kind, value: value.to_owned() })
    }
}

/// The names in `lead.id` or `lead[id]`; `None` for malformed mixtures like `lead[id].x]`.
fn levels(text: &str) -> Option<Vec<String>> {
    let dotted = match text.split_once('[') {
        None => text.to_owned(),
        Some((first, rest)) => format!("{first}.{}", rest.strip_suffix(']')?.replace("][", ".")),
    };
    let path: Vec<String> = dotted.split('.').map(str::to_owned).collect();
    let is_key = path.len() <= MAX_LEVELS && path.iter().all(|name| is_name(name));
    is_key.then_some(path)
}

/// Letters, digits, `_` and `-`: characters that have no special meaning in a form, a script or a translation file.
fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    name.len() <= MAX_NAME
        && bytes.next().is_some_and(|first| first.is_ascii_alphabetic())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}", self.name(), self.value)
    }
}

/// Why a text is not a [`Field`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// There is no `=`.
    #[error("has no value: write it as KEY=VALUE, like message={{{{message_text}}}}")]
    NoValue,
    /// The key is invalid.
    #[error(
        "has an invalid key: use at most {MAX_LEVELS} names, like lead.id or lead[id], each a letter and then up to {} \
         ASCII letters, digits, `_` or `-`",
        MAX_NAME - 1
    )]
    Key,
    /// The kind after `:` is unknown.
    #[error("has an unknown kind after `:` (expected one of: text, numeric, url)")]
    Kind,
    /// The value is too long.
    #[error("has a value of more than {MAX_VALUE} bytes: shorten it")]
    Long,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(text: &str) -> Field {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn dots_and_brackets_nest_and_the_value_begins_after_the_first_equals_sign() {
        for (text, path, kind, value) in [
            ("message={{message_text}}", &["message"][..], FieldKind::Text, "{{message_text}}"),
            ("lead.id={{lead.id}}", &["lead", "id"], FieldKind::Text, "{{lead.id}}"),
            ("lead[id]={{lead.id}}", &["lead", "id"], FieldKind::Text, "{{lead.id}}"),
            ("a[b][c-1]=x", &["a", "b", "c-1"], FieldKind::Text, "x"),
            ("price:numeric={{lead.price}}", &["price"], FieldKind::Numeric, "{{lead.price}}"),
            ("site:url=https://x.example/?a=b", &["site"], FieldKind::Url, "https://x.example/?a=b"),
            ("empty=", &["empty"], FieldKind::Text, ""),
        ] {
            let parsed = field(text);
            let found: Vec<&str> = parsed.path().iter().map(String::as_str).collect();
            assert_eq!((found.as_slice(), parsed.kind(), parsed.value()), (path, kind, value), "{text}");
        }
        assert_eq!(
            (field("lead[id]=x").name(), field("lead[id]=x").key()),
            ("lead.id".into(), "lead_id".into())
        );
    }

    #[test]
    fn invalid_fields_are_refused_with_the_reason() {
        let long = "x".repeat(MAX_NAME + 1);
        for (text, error) in [
            ("message", FieldError::NoValue),
            ("", FieldError::NoValue),
            ("=x", FieldError::Key),
            ("a b=x", FieldError::Key),
            ("1a=x", FieldError::Key),
            ("__proto__=x", FieldError::Key),
            ("a..b=x", FieldError::Key),
            (".a=x", FieldError::Key),
            ("a[b=x", FieldError::Key),
            ("a[]=x", FieldError::Key),
            ("a]b[=x", FieldError::Key),
            ("[a]=x", FieldError::Key),
            ("a[b].c=x", FieldError::Key),
            ("ä=x", FieldError::Key),
            ("a.b.c.d.e.f=x", FieldError::Key),
            (&format!("{long}=x"), FieldError::Key),
            ("a:date=x", FieldError::Kind),
            ("a:=x", FieldError::Kind),
            (&format!("a={}", "x".repeat(MAX_VALUE + 1)), FieldError::Long),
        ] {
            assert_eq!(text.parse::<Field>(), Err(error), "{text}");
        }
    }

    #[test]
    fn clash_explains_why_two_fields_cannot_be_sent_together() {
        for (one, other, clash) in [
            ("a=1", "a=2", Some("the same field")),
            ("lead[id]=1", "lead.id=2", Some("the same field")),
            ("lead=1", "lead.id=2", Some("a value and an object of the same name")),
            ("lead.id.x=1", "lead.id=2", Some("a value and an object of the same name")),
            ("lead.id=1", "lead_id=2", Some("two fields that the bot designer cannot tell apart")),
            ("lead.id=1", "lead.name=2", None),
            ("lead=1", "leads.id=2", None),
        ] {
            assert_eq!(field(one).clash(&field(other)), clash, "{one} {other}");
            assert_eq!(field(other).clash(&field(one)), clash, "{other} {one}");
        }
    }
}
