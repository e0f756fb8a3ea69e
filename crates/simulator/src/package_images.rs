//! Checks the images of a widget package: format, dimensions and file size.

use std::collections::BTreeMap;

use super::package::{Mistake, mistake};

const MAX_BYTES: usize = 300 * 1024;
const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

const LOGOS: [(&str, (u32, u32)); 6] = [
    ("images/logo.png", (130, 100)),
    ("images/logo_main.png", (400, 272)),
    ("images/logo_small.png", (108, 108)),
    ("images/logo_medium.png", (240, 84)),
    ("images/logo_min.png", (84, 84)),
    ("images/logo_dp.png", (174, 109)),
];

/// Checks the six logos, and that the package has the images `more`, which the tour shows.
pub(super) fn check(files: &BTreeMap<String, Vec<u8>>, more: &[String], mistakes: &mut Vec<Mistake>) {
    for (name, wanted) in LOGOS {
        match files.get(name).map(|bytes| size(bytes)) {
            None => mistakes.push(mistake(name, "It is missing.")),
            Some(None) => mistakes.push(mistake(name, "It is not a PNG image.")),
            Some(Some(found)) if found != wanted => {
                let ((width, height), (wide, high)) = (found, wanted);
                mistakes.push(mistake(name, format!("It is {width}×{height} and must be {wide}×{high}.")));
            }
            Some(Some(_)) => {}
        }
    }
    for name in more {
        if !files.contains_key(name) {
            mistakes.push(mistake(name, "The tour shows it, but it is missing."));
        }
    }
    for (name, bytes) in files.iter().filter(|(name, _)| name.starts_with("images/")) {
        if bytes.len() > MAX_BYTES {
            mistakes.push(mistake(name, "It is larger than 300 KB."));
        }
    }
}

/// Width and height, from the first chunk.
fn size(bytes: &[u8]) -> Option<(u32, u32)> {
    let chunk = bytes.strip_prefix(SIGNATURE)?;
    let (kind, rest) = (chunk.get(4..8)?, chunk.get(8..)?);
    let number = |bytes: &[u8]| Some(u32::from_be_bytes(bytes.try_into().ok()?));
    (kind == b"IHDR").then_some((number(rest.get(..4)?)?, number(rest.get(4..8)?)?))
}
