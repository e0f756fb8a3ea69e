//! The pictures: each is there, a PNG of exactly its size, and not too large for Kommo.

use super::{Files, Findings};
use crate::picture::png;
use crate::pictures::{MAX_BYTES, SIZES};

/// Checks all six.
pub(super) fn check(files: &Files, findings: &mut Findings) {
    for (name, width, height) in SIZES {
        let path = format!("images/{name}");
        let Some(bytes) = files.get(&path) else {
            findings.add(&path, "is missing");
            continue;
        };
        findings.unless(
            bytes.len() <= MAX_BYTES,
            &path,
            format!("has {} bytes; {MAX_BYTES} at most", bytes.len()),
        );
        // Its size first: a picture of another one is never unpacked, which could take any memory.
        match png::size(bytes) {
            Ok(size) if size == (width, height) => {
                if let Err(error) = png::read(bytes) {
                    findings.add(&path, format!("is no PNG: {error}"));
                }
            }
            Ok((is_width, is_height)) => findings
                .add(&path, format!("has {is_width}×{is_height} pixels; it must have {width}×{height}")),
            Err(error) => findings.add(&path, format!("is no PNG: {error}")),
        }
    }
}
