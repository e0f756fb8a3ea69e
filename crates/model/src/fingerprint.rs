//! The fingerprint of an error: its text without what differs from job to job. Errors with the same fingerprint form a
//! group.
//!
//! A fingerprint is also safe to keep longer than a job: it contains no number, no id, no quoted value, no address of a
//! person and no path of a URL. Words that an error does not quote stay.

/// The maximum length of a fingerprint, in characters.
const MAX_CHARS: usize = 200;
/// A run of letters and digits that is at least this long is a secret or an id, not a word.
const MIN_ID_CHARS: usize = 24;
/// A number with at most this many letters after it is a quantity, such as `30s` or `64KiB`.
const MAX_UNIT_CHARS: usize = 3;
/// A three-digit number after one of these words is an HTTP status.
const BEFORE_STATUS: [&str; 8] =
    ["answered", "responded", "returned", "status", "http", "code", "response", "error"];
/// Marks a number until the end, because words may contain the letter that replaces it.
const NUMBER: char = '\u{1}';
/// The quotes: where a quoted value begins and ends.
const QUOTES: [(char, char); 6] = [('"', '"'), ('\'', '\''), ('`', '`'), ('“', '”'), ('«', '»'), ('‘', '’')];

/// Returns the fingerprint of the error `text`.
pub fn fingerprint(text: &str) -> String {
    let unquoted = without_quoted(text);
    let mut words: Vec<String> = Vec::new();
    for word in unquoted.split_whitespace() {
        let is_status = words.last().is_none_or(|before| is_before_status(before));
        let word = normalized(word, is_status);
        // A list of numbers counts as one, however long it is.
        if !(word == "N" && words.last().is_some_and(|before| before == "N")) {
            words.push(word);
        }
    }
    let joined = words.join(" ");
    match joined.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", &joined[..end]),
        None => joined,
    }
}

/// Replaces each quoted value with an ellipsis. An apostrophe inside a word is not a quote.
fn without_quoted(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let after = &rest[first.len_utf8()..];
        let is_inside_word = kept.chars().last().is_some_and(char::is_alphanumeric);
        let closing = QUOTES.iter().find(|(open, _)| *open == first && !is_inside_word);
        let end = closing.and_then(|(_, close)| end_of_quote(after, *close));
        kept.push(first);
        rest = match (closing, end) {
            (Some((_, close)), Some(end)) => {
                kept.push('…');
                kept.push(*close);
                &after[end..]
            }
            _ => after,
        };
    }
    kept
}

/// Where the text after the closing quote begins; `None` if the quote is never closed.
fn end_of_quote(after: &str, close: char) -> Option<usize> {
    let mut is_escaped = false;
    for (at, c) in after.char_indices() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            _ if c == close => {
                let end = at + c.len_utf8();
                let is_word = c == '\'' && after[end..].chars().next().is_some_and(char::is_alphanumeric);
                if !is_word {
                    return Some(end);
                }
            }
            _ => {}
        }
    }
    None
}

fn is_before_status(word: &str) -> bool {
    let bare = word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
    BEFORE_STATUS.contains(&bare.as_str())
}

fn normalized(word: &str, is_status: bool) -> String {
    if let Some((scheme, rest)) = word.split_once("://") {
        let end = rest.find(['/', '?', '#', ',', ';', ')', '>', '"']).unwrap_or(rest.len());
        let (host, tail) = rest.split_at(end);
        let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
        let tail = if tail.starts_with(['/', '?', '#']) { "/…" } else { "" };
        return format!("{}://{}{tail}", runs(scheme, false), runs(host, false));
    }
    if word.contains('@') {
        return "…@…".to_owned();
    }
    runs(word, is_status)
}

/// Replaces the numbers and ids in a word.
fn runs(word: &str, is_status: bool) -> String {
    // An id with hyphens, such as a UUID, is one id.
    let bare = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    let is_hex = |c: char| c.is_ascii_hexdigit() || c == '-';
    if bare.len() >= 16 && bare.chars().all(is_hex) && bare.contains(|c: char| c.is_ascii_digit()) {
        return word.replace(bare, "ID");
    }
    let mut text = String::with_capacity(word.len());
    let mut rest = word;
    while let Some(first) = rest.chars().next() {
        let is_run = first.is_alphanumeric();
        let end = rest.find(|c: char| c.is_alphanumeric() != is_run).unwrap_or(rest.len());
        let (run, after) = rest.split_at(end);
        rest = after;
        if is_run { text.push_str(&of_run(run, is_status)) } else { text.push_str(run) }
    }
    collapsed(&text)
}

fn of_run(run: &str, is_status: bool) -> String {
    let digits = run.chars().take_while(char::is_ascii_digit).count();
    let has_digit = run.chars().any(|c| c.is_numeric());
    let is_http = is_status && digits == 3 && run.len() == 3 && matches!(run.as_bytes()[0], b'1'..=b'5');
    match (digits, run.chars().count()) {
        _ if is_http => run.to_owned(),
        (_, chars) if chars >= MIN_ID_CHARS => "ID".to_owned(),
        _ if !has_digit => run.to_owned(),
        (digits, chars) if digits == chars => NUMBER.to_string(),
        (digits, chars)
            if digits > 0
                && chars - digits <= MAX_UNIT_CHARS
                && run[digits..].chars().all(char::is_alphabetic) =>
        {
            format!("{NUMBER}{}", &run[digits..])
        }
        _ => "ID".to_owned(),
    }
}

/// Numbers that only punctuation separates are one number: a decimal, a date, a telephone number, an address.
fn collapsed(text: &str) -> String {
    let parts: Vec<&str> = text.split(NUMBER).collect();
    let mut kept = String::with_capacity(text.len());
    for (at, part) in parts.iter().enumerate() {
        let is_between = at > 0 && at + 1 < parts.len();
        let joins = is_between && part.chars().all(|c| "+-().:/_".contains(c));
        if at > 0 && !kept.ends_with(NUMBER) {
            kept.push(NUMBER);
        }
        if !joins {
            kept.push_str(part);
        }
    }
    kept.replace(NUMBER, "N")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_differs_from_job_to_job_is_left_out() {
        for (text, expected) in [
            ("", ""),
            ("no such lead", "no such lead"),
            ("lead 31764961 not found", "lead N not found"),
            ("took 1.52 s (attempt 2 of 10)", "took N s (attempt N of N)"),
            ("no response within 30s, limit 64KiB", "no response within Ns, limit NKiB"),
            ("500 Internal Server Error", "500 Internal Server Error"),
            ("the handler answered 503: try later", "the handler answered 503: try later"),
            ("Kommo answered 401; HTTP status 429", "Kommo answered 401; HTTP status 429"),
            ("450 of 9000 rows", "450 of N rows"),
            ("row 450 failed", "row N failed"),
            (
                "invalid type: string \"Anna Karenina\", expected unit",
                "invalid type: string \"…\", expected unit",
            ),
            ("unknown variant `maybe`, expected `yes` or `no`", "unknown variant `…`, expected `…` or `…`"),
            ("the handler's answer was 'it\\'s bad'", "the handler's answer was '…'"),
            ("she said «привет» and “hi”", "she said «…» and “…”"),
            ("an \"open quote", "an \"open quote"),
            ("job 018bcfe5-687b-7000-8000-000000000001 later", "job ID later"),
            ("key d41d8cd98f00b204e9800998ecf8427e.", "key ID."),
            ("token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "token ID.ID.ID"),
            ("secret abcdefghijklmnopqrstuvwxyz", "secret ID"),
            ("POST http://tool:5678/webhook/a1b2?x=1 failed", "POST http://tool:N/… failed"),
            ("at https://user:pw@a.example.com, port", "at https://a.example.com port"),
            ("mail anna@example.com bounced", "mail …@… bounced"),
            ("call +7 (999) 123-45-67 now", "call +N (N) N now"),
            ("on 2026-11-30 at 18:00:00.123", "on N at N"),
            ("ANNA: NaN, N, INN-7 and 1-2", "ANNA: NaN, N, INN-N and N"),
            ("connect to 10.0.0.7:8080: refused", "connect to N: refused"),
            ("numbers 1 2 3 4", "numbers N"),
            ("TooLong at execute_handlers.0.params", "TooLong at execute_handlers.N.params"),
            ("  spaces \n and\tlines ", "spaces and lines"),
        ] {
            assert_eq!(fingerprint(text), expected, "{text}");
        }
    }

    #[test]
    fn a_fingerprint_has_a_limit() {
        assert_eq!(fingerprint(&"word ".repeat(100)).chars().count(), MAX_CHARS + 1);
    }

    proptest! {
        #[test]
        fn no_long_number_survives(text in "\\PC{0,80}", number in 1_000_u64..) {
            let found = fingerprint(&format!("{text} {number} {text}"));
            prop_assert!(!found.contains(&number.to_string()), "{}", found);
        }

        #[test]
        fn any_text_has_a_fingerprint(text in "\\PC{0,400}") {
            prop_assert!(fingerprint(&text).chars().count() <= MAX_CHARS + 1);
        }
    }
}
