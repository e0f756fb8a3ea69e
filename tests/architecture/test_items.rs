//! Removes items that exist only for tests, which may name any room.

use crate::tokens::{Kind, Token};

/// `tokens` without the items under `#[cfg(test)]` (or `all(test, …)`).
pub(crate) fn without_tests(tokens: &[Token]) -> Vec<Token> {
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if is_test_attribute(&tokens[at..]) {
            at = end_of_item(tokens, at);
        } else {
            kept.push(tokens[at].clone());
            at += 1;
        }
    }
    kept
}

fn is_test_attribute(tokens: &[Token]) -> bool {
    let starts = |pattern: &[&str]| {
        pattern.len() <= tokens.len()
            && pattern.iter().zip(tokens).all(|(want, token)| match &token.kind {
                Kind::Word(word) => word == want,
                Kind::Mark(mark) => want.chars().eq([*mark]),
                Kind::Text(_) | Kind::Step => false,
            })
    };
    starts(&["#", "[", "cfg", "(", "test", ")"]) || starts(&["#", "[", "cfg", "(", "all", "(", "test"])
}

/// The index after the item whose first attribute is at `at`: after its `;` or its braces.
fn end_of_item(tokens: &[Token], mut at: usize) -> usize {
    while at < tokens.len() && tokens[at].is_mark('#') {
        at = after_group(tokens, at + 1);
    }
    let ends_in_semicolon =
        ["use", "const", "static", "type"].iter().any(|word| tokens.get(at).is_some_and(|t| t.is_word(word)));
    while at < tokens.len() {
        match tokens[at].kind {
            Kind::Mark(';') => return at + 1,
            Kind::Mark('{') if !ends_in_semicolon => return after_group(tokens, at),
            Kind::Mark('{' | '(' | '[') => at = after_group(tokens, at),
            _ => at += 1,
        }
    }
    at
}

/// The index after the bracket that closes the one at `at`.
fn after_group(tokens: &[Token], mut at: usize) -> usize {
    let mut depth = 0_usize;
    while at < tokens.len() {
        match tokens[at].kind {
            Kind::Mark('{' | '(' | '[') => depth += 1,
            Kind::Mark('}' | ')' | ']') => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
        if depth == 0 {
            break;
        }
    }
    at
}

#[test]
fn only_items_under_cfg_test_are_removed() {
    let source = "
        mod a { x }
        #[cfg(test)] #[allow(y)] mod tests { use b::{c}; fn d() { e[0] } }
        #[cfg(test)] mod more_tests;
        #[cfg(all(test, unix))] use f::{g, h};
        #[cfg(test)] const I: [u8; 2] = [0; 2];
        #[cfg(unix)] fn j() {}";
    let words: Vec<String> = without_tests(&crate::tokens::tokens(source))
        .into_iter()
        .filter_map(|token| match token.kind {
            Kind::Word(word) => Some(word),
            _ => None,
        })
        .collect();
    assert_eq!(words, ["mod", "a", "x", "cfg", "unix", "fn", "j"]);
}
