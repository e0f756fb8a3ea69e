//! The entry point of the fuzz targets in `tests/fuzz/`. Compiled only under `cfg(fuzzing)` and in tests.
//!
//! Each function takes any bytes and panics if an invariant of its room does not hold. It returns whether the input was
//! accepted, so that a test can compare the corpus with its file names: `ok-…` is accepted, `no-…` is not.

use crate::{deliver, receive};

/// Fuzzes the body of a `widget_request`. Returns whether it is valid.
pub fn body(input: &[u8]) -> bool {
    receive::fuzzing::body(input)
}

/// Fuzzes a token, or a header and claims in two lines, which are then signed. Returns whether the token is valid.
pub fn token(input: &[u8]) -> bool {
    receive::fuzzing::token(input)
}

/// Fuzzes a `return_url` and, in a second line, the `iss` of its token. Returns whether a bearer may go there.
pub fn return_url(input: &[u8]) -> bool {
    receive::fuzzing::return_url(input)
}

/// Fuzzes the state of a delivery and Kommo's response to its continue. Returns whether the continue counts as
/// delivered.
pub fn answer(input: &[u8]) -> bool {
    deliver::fuzzing::answer(input)
}

/// Fuzzes Kommo's response to a request for new tokens. Returns whether it contains tokens.
pub fn grant(input: &[u8]) -> bool {
    kommo::fuzzing::grant(input)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fuzz_targets_accept_and_refuse_their_corpus_as_named() {
        type Target = fn(&[u8]) -> bool;
        let targets: [(&str, Target); 5] = [
            ("body", body),
            ("token", token),
            ("return_url", return_url),
            ("answer", answer),
            ("grant", grant),
        ];
        for (name, target) in targets {
            let folder = format!("{}/tests/fuzz/corpus/{name}", env!("CARGO_MANIFEST_DIR"));
            let mut seen = [0, 0];
            for file in std::fs::read_dir(folder).unwrap() {
                let path = file.unwrap().path();
                let promised = path.file_name().unwrap().to_str().unwrap().starts_with("ok-");
                assert_eq!(target(&std::fs::read(&path).unwrap()), promised, "{}", path.display());
                seen[usize::from(promised)] += 1;
            }
            assert!(seen[0] >= 3 && seen[1] >= 3, "{name}: too few files of one kind: {seen:?}");
        }
    }
}
