//! Finds the paths of its crate that a file names, in `use` or in an expression, in every notation: `crate::a`,
//! `crate::{a, b::c}`, `super::super::a`, also inside an inline module.

use crate::tokens::{Kind, Token};

/// A path from the crate's root (empty for the root itself), and the line that names it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) path: Vec<String>,
    pub(crate) line: usize,
}

/// The module of a file below `src/`: `a/b.rs` and `a/b/mod.rs` are both `a::b`.
pub(crate) fn module_of(below_src: &str) -> Vec<String> {
    let stem = below_src.strip_suffix(".rs").unwrap_or(below_src);
    let stem = stem.strip_suffix("/mod").unwrap_or(stem);
    stem.split('/').map(str::to_owned).collect()
}

/// All paths that start with `crate`, `self` or `super`, resolved from `module`.
pub(crate) fn named(tokens: &[Token], module: &[String]) -> Vec<Named> {
    let mut found = Vec::new();
    let mut module = module.to_vec();
    let mut depth = 0_usize;
    let mut inline_modules = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at].kind {
            Kind::Mark('{') => {
                depth += 1;
                if let Some(name) = inline_module(tokens, at) {
                    module.push(name);
                    inline_modules.push(depth);
                }
            }
            Kind::Mark('}') => {
                if inline_modules.last() == Some(&depth) {
                    inline_modules.pop();
                    module.pop();
                }
                depth = depth.saturating_sub(1);
            }
            Kind::Word(word) if starts_here(tokens, at) && ["crate", "self", "super"].contains(&&**word) => {
                let mut leaves = Vec::new();
                at = leaves_of(tokens, at, &[], &mut leaves);
                found.extend(
                    leaves
                        .into_iter()
                        .map(|(segments, line)| Named { path: from_root(&segments, &module), line }),
                );
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// The name in `mod NAME {`, if the brace is at `at`.
fn inline_module(tokens: &[Token], at: usize) -> Option<String> {
    let keyword = tokens.get(at.checked_sub(2)?)?;
    match &tokens[at - 1].kind {
        Kind::Word(name) if keyword.is_word("mod") => Some(name.clone()),
        _ => None,
    }
}

fn starts_here(tokens: &[Token], at: usize) -> bool {
    let continues = at > 0 && tokens[at - 1].kind == Kind::Step;
    !continues && tokens.get(at + 1).is_some_and(|next| next.kind == Kind::Step)
}

/// Walks the tree of a `use` (a plain path is a tree with one leaf), and returns the index after it.
fn leaves_of(
    tokens: &[Token],
    mut at: usize,
    prefix: &[String],
    leaves: &mut Vec<(Vec<String>, usize)>,
) -> usize {
    let mut path = prefix.to_vec();
    let mut line = 0;
    while let Some(token) = tokens.get(at) {
        match &token.kind {
            Kind::Word(word) => path.push(word.clone()),
            Kind::Mark('*') => path.push("*".to_owned()),
            Kind::Mark('{') => return group(tokens, at + 1, &path, leaves),
            _ => break,
        }
        line = token.line;
        at += 1;
        if tokens.get(at).is_none_or(|next| next.kind != Kind::Step) {
            break;
        }
        at += 1;
    }
    leaves.push((path, line));
    at
}

fn group(
    tokens: &[Token],
    mut at: usize,
    prefix: &[String],
    leaves: &mut Vec<(Vec<String>, usize)>,
) -> usize {
    while let Some(token) = tokens.get(at) {
        match &token.kind {
            Kind::Mark('}') => return at + 1,
            // `as name` renames the previous segment and is not part of a path.
            Kind::Word(word) if word == "as" => at += 2,
            Kind::Word(_) | Kind::Mark('{' | '*') => at = leaves_of(tokens, at, prefix, leaves),
            _ => at += 1,
        }
    }
    at
}

fn from_root(segments: &[String], module: &[String]) -> Vec<String> {
    let mut path = module.to_vec();
    for segment in segments {
        match segment.as_str() {
            "crate" => path.clear(),
            "self" => {}
            "super" => {
                path.pop();
            }
            name => path.push(name.to_owned()),
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::tokens;

    #[test]
    fn a_path_is_found_in_every_notation() {
        let table: &[(&str, &[(&str, usize)])] = &[
            ("use crate::store::Store;", &[("store::Store", 1)]),
            ("use crate::store as s;", &[("store", 1)]),
            (
                "use crate::{\n  model,\n  store::{Jobs, self as st},\n};",
                &[("model", 2), ("store::Jobs", 3), ("store", 3)],
            ),
            ("use {crate::a, super::b};", &[("a", 1), ("work::b", 1)]),
            ("use crate::store::*;", &[("store::*", 1)]),
            ("let x = super::super::store::open::<T>();", &[("store::open", 1)]),
            ("use super::decide;", &[("work::decide", 1)]),
            ("use self::inner::X;", &[("work::pool::inner::X", 1)]),
            ("mod inner { use super::super::super::kommo; } use super::y;", &[("kommo", 1), ("work::y", 1)]),
            ("pub(crate) fn f() {} pub(super) fn g() {} pub(in crate::work) fn h() {}", &[("work", 1)]),
            ("// crate::store\nlet s = \"crate::store\";", &[]),
            ("use other::crate_name::store;", &[]),
        ];
        for (source, want) in table {
            let found: Vec<(String, usize)> = named(&tokens(source), &module_of("work/pool.rs"))
                .into_iter()
                .map(|named| (named.path.join("::"), named.line))
                .collect();
            let want: Vec<(String, usize)> =
                want.iter().map(|(path, line)| ((*path).to_owned(), *line)).collect();
            assert_eq!(found, want, "{source}");
        }
    }

    #[test]
    fn the_module_of_a_file_follows_from_its_path() {
        for (file, module) in [
            ("store.rs", "store"),
            ("store/mod.rs", "store"),
            ("store/jobs.rs", "store::jobs"),
            ("a/b/mod.rs", "a::b"),
        ] {
            assert_eq!(module_of(file).join("::"), module, "{file}");
        }
    }
}
