//! Parses the query of a call.
//!
//! Unknown parameters are ignored, because Kommo may add some. A repeated parameter is refused, because another
//! program that has seen the call, such as a proxy, could interpret it differently.

use url::form_urlencoded;

/// A parameter that is read.
#[derive(Clone, Copy)]
pub(super) struct Key {
    /// Its name.
    pub(super) name: &'static str,
    /// The maximum length of its value in bytes.
    pub(super) max_bytes: usize,
}

/// What is wrong with a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum QueryError {
    /// A required parameter is missing.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// A parameter occurs more than once.
    #[error("`{0}` occurs more than once")]
    Twice(&'static str),
    /// A value is longer than anything that Kommo sends.
    #[error("`{name}` is longer than {max_bytes} bytes")]
    TooLong {
        /// The parameter.
        name: &'static str,
        /// Its maximum length in bytes.
        max_bytes: usize,
    },
}

/// Returns the values of `keys`, in order. An empty value counts as absent.
///
/// # Errors
/// A parameter is repeated or too long.
pub(super) fn read<const N: usize>(query: &str, keys: [Key; N]) -> Result<[Option<String>; N], QueryError> {
    let mut values = [const { None }; N];
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let Some(index) = keys.iter().position(|key| key.name == name) else { continue };
        let Key { name, max_bytes } = keys[index];
        if value.len() > max_bytes {
            return Err(QueryError::TooLong { name, max_bytes });
        }
        if values[index].replace(value.into_owned()).is_some() {
            return Err(QueryError::Twice(name));
        }
    }
    Ok(values.map(|value| value.filter(|value| !value.is_empty())))
}

/// Returns a required value.
///
/// # Errors
/// The value is missing.
pub(super) fn needed(value: Option<String>, name: &'static str) -> Result<String, QueryError> {
    value.ok_or(QueryError::Missing(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [Key; 2] = [Key { name: "code", max_bytes: 4 }, Key { name: "state", max_bytes: 2 }];

    #[test]
    fn known_parameters_are_read_once_and_others_are_ignored() {
        let some = |code: &str, state: &str| {
            let value = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
            Ok([value(code), value(state)])
        };
        for (query, expected) in [
            ("", some("", "")),
            ("code=abcd&x=1&x=2&state=%C3%A4", some("abcd", "ä")),
            ("state=a+&code=", some("", "a ")),
            ("Code=abcdefgh", some("", "")),
            ("code=a&state=b&code=a", Err(QueryError::Twice("code"))),
            ("code=&code=a", Err(QueryError::Twice("code"))),
            ("code=abcde", Err(QueryError::TooLong { name: "code", max_bytes: 4 })),
            ("state=%C3%A4a", Err(QueryError::TooLong { name: "state", max_bytes: 2 })),
        ] {
            assert_eq!(read(query, KEYS), expected, "{query}");
        }
    }

    #[test]
    fn a_missing_value_is_named() {
        assert_eq!(needed(Some("a".into()), "code"), Ok("a".into()));
        assert_eq!(needed(None, "code").unwrap_err().to_string(), "`code` is missing");
    }
}
