//! Splits a filter into words: `-key:value,"a value",…`, or a text.

use super::{FilterError, FilterProblem};

/// A word of a filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    /// Its first character, counted from 1.
    pub(super) position: usize,
    pub(super) negated: bool,
    /// The name before the colon; `None` for a text, which has one value.
    pub(super) key: Option<String>,
    pub(super) values: Vec<Value>,
}

/// A value of a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Value {
    /// Its first character, counted from 1.
    pub(super) position: usize,
    pub(super) text: String,
    pub(super) is_quoted: bool,
}

/// Splits `text` into its words.
pub(super) fn split(text: &str) -> Result<Vec<Word>, FilterError> {
    let mut scanner = Scanner { rest: text, position: 1 };
    let mut words = Vec::new();
    loop {
        scanner.skip(char::is_whitespace);
        if scanner.rest.is_empty() {
            return Ok(words);
        }
        words.push(scanner.word()?);
    }
}

struct Scanner<'t> {
    rest: &'t str,
    position: usize,
}

impl<'t> Scanner<'t> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    /// Moves behind the next character.
    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let next = chars.next()?;
        self.rest = chars.as_str();
        self.position += 1;
        Some(next)
    }

    /// Moves behind all characters that `is_skipped`, and returns them.
    fn skip(&mut self, is_skipped: impl Fn(char) -> bool) -> &'t str {
        let end = self.rest.find(|c| !is_skipped(c)).unwrap_or(self.rest.len());
        let (skipped, rest) = self.rest.split_at(end);
        self.rest = rest;
        self.position += skipped.chars().count();
        skipped
    }

    fn word(&mut self) -> Result<Word, FilterError> {
        let position = self.position;
        // A lone hyphen is a text.
        let negated =
            self.rest.strip_prefix('-').is_some_and(|rest| rest.starts_with(|c: char| !c.is_whitespace()));
        if negated {
            self.next();
        }
        let key = self.key();
        let mut values = vec![self.value(key.is_some())?];
        while key.is_some() && self.peek() == Some(',') {
            self.next();
            values.push(self.value(true)?);
        }
        Ok(Word { position, negated, key, values })
    }

    /// Reads a name and its colon. A colon before two slashes belongs to a URL.
    fn key(&mut self) -> Option<String> {
        let end = self.rest.find(|c: char| !c.is_ascii_alphabetic() && c != '_').unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        if name.is_empty() || !rest.starts_with(':') || rest.starts_with("://") {
            return None;
        }
        self.rest = rest.strip_prefix(':').unwrap_or(rest);
        self.position += name.len() + 1;
        Some(name.to_owned())
    }

    fn value(&mut self, ends_at_comma: bool) -> Result<Value, FilterError> {
        let position = self.position;
        let ends = move |c: char| c.is_whitespace() || (ends_at_comma && c == ',');
        if self.peek() != Some('"') {
            return Ok(Value { position, text: self.skip(|c| !ends(c)).to_owned(), is_quoted: false });
        }
        self.next();
        let mut text = String::new();
        loop {
            match self.next() {
                Some('"') => break,
                Some('\\') => text.extend(self.next()),
                Some(other) => text.push(other),
                None => return Err(FilterError { position, problem: FilterProblem::Unclosed }),
            }
        }
        if self.peek().is_some_and(|next| !ends(next)) {
            return Err(FilterError { position: self.position, problem: FilterProblem::AfterQuotes });
        }
        Ok(Value { position, text, is_quoted: true })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words, as `position negated key [position text quoted, …]`.
    fn shown(text: &str) -> Vec<String> {
        let word = |word: Word| {
            let values = word.values.iter().map(|value| {
                let quote = if value.is_quoted { "\"" } else { "" };
                format!("{}={quote}{}{quote}", value.position, value.text)
            });
            let minus = if word.negated { "-" } else { "" };
            let key = word.key.map(|key| format!("{key}:")).unwrap_or_default();
            format!("{} {minus}{key}{}", word.position, values.collect::<Vec<_>>().join(" "))
        };
        split(text).unwrap().into_iter().map(word).collect()
    }

    #[test]
    fn words_have_keys_values_and_positions() {
        for (text, expected) in [
            ("", vec![]),
            ("  ", vec![]),
            ("Ann", vec!["1 1=Ann"]),
            ("a,b  c", vec!["1 1=a,b", "6 6=c"]),
            ("state:dead,gone -is:late", vec!["1 state:7=dead 12=gone", "17 -is:21=late"]),
            (r#"error:"a b","c\"d\\" é:x"#, vec![r#"1 error:7="a b" 13="c"d\""#, "22 22=é:x"]),
            ("https://a.b/c:d,e", vec!["1 1=https://a.b/c:d,e"]),
            ("12:30 a.b:c", vec!["1 1=12:30", "7 7=a.b:c"]),
            ("return_url:https://a", vec!["1 return_url:12=https://a"]),
            ("state: x", vec!["1 state:7=", "8 8=x"]),
            ("- --x -\"y\"", vec!["1 1=-", "3 -4=-x", "7 -8=\"y\""]),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn quotation_marks_are_closed_and_followed_by_a_space() {
        for (text, position, problem) in [
            ("a \"b", 3, FilterProblem::Unclosed),
            ("error:\"b\\\"", 7, FilterProblem::Unclosed),
            ("\"a\"b", 4, FilterProblem::AfterQuotes),
            ("\"a\",b", 4, FilterProblem::AfterQuotes),
        ] {
            assert_eq!(split(text), Err(FilterError { position, problem }), "{text}");
        }
    }
}
