//! Just enough of Rust's grammar to find paths in a file: words, marks and string literals, each with its line.
//! Comments, lifetimes and character literals are dropped, so that a comment about a room does not count as a use of it.

/// The kind of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An identifier, a keyword or a number.
    Word(String),
    /// The content of a string literal of any kind, with its escapes as written.
    Text(String),
    /// `::`
    Step,
    /// Any other character.
    Mark(char),
}

/// A token and the line it starts on, from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) line: usize,
}

impl Token {
    pub(crate) fn is_word(&self, word: &str) -> bool {
        matches!(&self.kind, Kind::Word(own) if own == word)
    }

    pub(crate) fn is_mark(&self, mark: char) -> bool {
        self.kind == Kind::Mark(mark)
    }
}

/// Reads a whole file. If the file is not valid Rust, the tokens are meaningless, but it does not panic.
pub(crate) fn tokens(source: &str) -> Vec<Token> {
    let mut reader = Reader { chars: source.chars().collect(), at: 0, line: 1 };
    let mut found = Vec::new();
    while let Some(first) = reader.peek(0) {
        let line = reader.line;
        let kind = match (first, reader.peek(1)) {
            ('/', Some('/')) => reader.line_comment(),
            ('/', Some('*')) => reader.block_comment(),
            (':', Some(':')) => {
                reader.skip(2);
                Some(Kind::Step)
            }
            ('"', _) => {
                reader.skip(1);
                Some(Kind::Text(reader.text()))
            }
            ('\'', _) => reader.quote(),
            (c, _) if c.is_alphanumeric() || c == '_' => Some(reader.word()),
            (c, _) => {
                reader.skip(1);
                (!c.is_whitespace()).then_some(Kind::Mark(c))
            }
        };
        found.extend(kind.map(|kind| Token { kind, line }));
    }
    found
}

struct Reader {
    chars: Vec<char>,
    at: usize,
    line: usize,
}

impl Reader {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    /// Every step goes through this function, so that every newline is counted.
    fn skip(&mut self, count: usize) {
        for _ in 0..count {
            if self.peek(0) == Some('\n') {
                self.line += 1;
            }
            self.at += 1;
        }
    }

    fn line_comment(&mut self) -> Option<Kind> {
        while self.peek(0).is_some_and(|c| c != '\n') {
            self.skip(1);
        }
        None
    }

    fn block_comment(&mut self) -> Option<Kind> {
        let mut depth = 0_usize;
        while let Some(c) = self.peek(0) {
            match (c, self.peek(1)) {
                ('/', Some('*')) => depth += 1,
                ('*', Some('/')) => depth -= 1,
                _ => {
                    self.skip(1);
                    continue;
                }
            }
            self.skip(2);
            if depth == 0 {
                break;
            }
        }
        None
    }

    fn text(&mut self) -> String {
        let start = self.at;
        while let Some(c) = self.peek(0) {
            match c {
                '"' => break,
                '\\' => self.skip(2),
                _ => self.skip(1),
            }
        }
        let text = self.since(start);
        self.skip(1);
        text
    }

    fn raw_text(&mut self, hashes: usize) -> String {
        self.skip(hashes + 1);
        let start = self.at;
        while self.peek(0).is_some() && !self.closes(hashes) {
            self.skip(1);
        }
        let text = self.since(start);
        self.skip(hashes + 1);
        text
    }

    fn closes(&self, hashes: usize) -> bool {
        self.peek(0) == Some('"') && (1..=hashes).all(|n| self.peek(n) == Some('#'))
    }

    /// Skips a character literal or a lifetime. Only a literal has a closing quote in the expected place.
    fn quote(&mut self) -> Option<Kind> {
        if self.peek(1) == Some('\\') {
            self.skip(3);
            while self.peek(0).is_some_and(|c| c != '\'') {
                self.skip(1);
            }
            self.skip(1);
        } else if self.peek(2) == Some('\'') {
            self.skip(3);
        } else {
            self.skip(1);
        }
        None
    }

    fn word(&mut self) -> Kind {
        let start = self.at;
        while self.peek(0).is_some_and(|c| c.is_alphanumeric() || c == '_') {
            self.skip(1);
        }
        let word = self.since(start);
        let hashes = (0..).take_while(|n| self.peek(*n) == Some('#')).count();
        match (word.as_str(), self.peek(hashes)) {
            ("r" | "br" | "cr", Some('"')) => Kind::Text(self.raw_text(hashes)),
            ("b" | "c", Some('"')) if hashes == 0 => {
                self.skip(1);
                Kind::Text(self.text())
            }
            _ => Kind::Word(word),
        }
    }

    fn since(&self, start: usize) -> String {
        self.chars[start..self.at.min(self.chars.len())].iter().collect()
    }
}

#[test]
fn comments_lifetimes_and_characters_are_not_words() {
    let source = "a // b\n/* c /* d */ e */ '\"' '\\'' '\\u{41}' &'static f";
    let words: Vec<Token> =
        tokens(source).into_iter().filter(|token| matches!(token.kind, Kind::Word(_))).collect();
    let word = |word: &str, line| Token { kind: Kind::Word(word.to_owned()), line };
    assert_eq!(words, [word("a", 1), word("static", 2), word("f", 2)]);
}

#[test]
fn a_string_of_any_kind_is_one_text() {
    for source in [r#""x::\"y""#, r##"r#"x::\"y"#"##, r#"b"x::\"y""#, r##"br#"x::\"y"#"##] {
        let want = Token { kind: Kind::Text(r#"x::\"y"#.to_owned()), line: 1 };
        assert_eq!(tokens(source), [want], "{source}");
    }
}

#[test]
fn lines_are_counted_inside_strings_and_comments() {
    let all = tokens("\"one\ntwo\" /* three\nfour */ here");
    assert_eq!(all.last().map(|token| token.line), Some(3));
}
