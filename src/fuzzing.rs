//! The way in for the fuzz targets of `tests/fuzz/`. It is there under `cfg(fuzzing)` and in tests alone.
//!
//! Each function takes any bytes whatever and panics where something does not hold that always has to; the rooms say
//! what that is. It says whether the input was taken, so that the corpus can be held against what its names promise:
//! `ok-…` is taken, `no-…` is not.

use crate::{deliver, receive};

/// The body of a `widget_request`; says whether it is one.
pub fn body(input: &[u8]) -> bool {
    receive::fuzzing::body(input)
}

/// A token, or a header and claims in two lines to be signed; says whether it is good.
pub fn token(input: &[u8]) -> bool {
    receive::fuzzing::token(input)
}

/// A `return_url`, and in a second line the `iss` of its token; says whether a bearer may go there.
pub fn return_url(input: &[u8]) -> bool {
    receive::fuzzing::return_url(input)
}

/// What was before, and then Kommo's answer to a continue; says whether the bot is continued.
pub fn answer(input: &[u8]) -> bool {
    deliver::fuzzing::answer(input)
}

/// Kommo's answer to a request for new tokens; says whether there are any.
pub fn grant(input: &[u8]) -> bool {
    kommo::fuzzing::grant(input)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_fuzz_targets_hold_holds_for_their_corpus() {
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
            assert!(seen[0] >= 3 && seen[1] >= 3, "{name}: of both kinds, but {seen:?}");
        }
    }
}
