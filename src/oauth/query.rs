//! The query of a call. Pure: text in, values or the first mistake out.
//!
//! Keys that nobody here knows are left alone, because Kommo may add some. A key that comes twice is refused: it
//! could mean one thing here and another to whoever looked at the call before.

use url::form_urlencoded;

/// A key that is read.
#[derive(Clone, Copy)]
pub(super) struct Key {
    /// Its name.
    pub(super) name: &'static str,
    /// The most bytes of its value.
    pub(super) max_bytes: usize,
}

/// What is wrong with a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum QueryError {
    /// It has to be there.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// It may come once.
    #[error("`{0}` comes more than once")]
    Twice(&'static str),
    /// Nothing that Kommo sends is as long.
    #[error("`{name}` is longer than {max_bytes} bytes")]
    TooLong {
        /// The key.
        name: &'static str,
        /// What is allowed.
        max_bytes: usize,
    },
}

/// The values of `keys`, in their order. One without a value counts as absent.
///
/// # Errors
/// One of them comes twice or is too long.
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

/// A value that must be there.
///
/// # Errors
/// It is not.
pub(super) fn needed(value: Option<String>, name: &'static str) -> Result<String, QueryError> {
    value.ok_or(QueryError::Missing(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [Key; 2] = [Key { name: "code", max_bytes: 4 }, Key { name: "state", max_bytes: 2 }];

    #[test]
    fn known_keys_are_read_once_and_others_are_left_alone() {
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
    fn a_value_that_is_needed_is_asked_for_by_its_name() {
        assert_eq!(needed(Some("a".into()), "code"), Ok("a".into()));
        assert_eq!(needed(None, "code").unwrap_err().to_string(), "`code` is missing");
    }
}
