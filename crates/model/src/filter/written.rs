//! The words of a filter as they were written, so that a page can show each of them and remove one.

use super::words;

/// One word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenWord<'t> {
    /// The whole word.
    pub text: &'t str,
    /// Whether it begins with `-`.
    pub negated: bool,
    /// The name before the colon, known or not; `None` for a text.
    pub key: Option<String>,
    /// The values, without quotation marks.
    pub values: Vec<String>,
    /// Whether the first value is in quotation marks.
    pub is_quoted: bool,
}

/// Splits a filter into its words; none if a quotation mark is not closed, or something follows a closing one.
pub fn written(text: &str) -> Vec<WrittenWord<'_>> {
    let words = words::split(text).unwrap_or_default();
    let starts = words.iter().map(|word| byte_of(text, word.position));
    let ends = starts.clone().skip(1).chain([text.len()]);
    let spans: Vec<(usize, usize)> = starts.zip(ends).collect();
    let written = words.into_iter().zip(spans).map(|(word, (start, end))| WrittenWord {
        text: text.get(start..end).unwrap_or_default().trim_end(),
        negated: word.negated,
        key: word.key,
        is_quoted: word.values.first().is_some_and(|value| value.is_quoted),
        values: word.values.into_iter().map(|value| value.text).collect(),
    });
    written.collect()
}

/// The byte at which a character begins, counted from 1.
fn byte_of(text: &str, position: usize) -> usize {
    text.char_indices().nth(position - 1).map_or(text.len(), |(byte, _)| byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_keep_the_form_in_which_they_were_written() {
        let text = r#"  state:dead,gone  -error:"no é" \u https://a.kommo.com/leads/detail/7 nokey: "x y" "#;
        let shown: Vec<String> = written(text)
            .into_iter()
            .map(|word| format!("{}|{}|{:?}|{}", word.text, word.negated, word.key, word.values.join("+")))
            .collect();
        assert_eq!(
            shown,
            [
                "state:dead,gone|false|Some(\"state\")|dead+gone",
                "-error:\"no é\"|true|Some(\"error\")|no é",
                "\\u|false|None|\\u",
                "https://a.kommo.com/leads/detail/7|false|None|https://a.kommo.com/leads/detail/7",
                "nokey:|false|Some(\"nokey\")|",
                "\"x y\"|false|None|x y",
            ]
        );
        assert_eq!(written("a \"b"), []);
        assert_eq!(written(""), []);
    }
}
