//! Checks the images: each must exist, be a PNG with exact dimensions, and not exceed Kommo's size limit.

use super::{Files, Findings};
use crate::picture::png;
use crate::pictures::{MAX_BYTES, SIZES};

/// Checks all six images.
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
            format!("has {} bytes (limit: {MAX_BYTES})", bytes.len()),
        );
        // Checks the dimensions first: decoding an image of other dimensions could take any amount of memory.
        match png::size(bytes) {
            Ok(size) if size == (width, height) => {
                if let Err(error) = png::read(bytes) {
                    findings.add(&path, format!("is not a valid PNG: {error}"));
                }
            }
            Ok((is_width, is_height)) => {
                findings.add(&path, format!("has {is_width}×{is_height} pixels: must have {width}×{height}"))
            }
            Err(error) => findings.add(&path, format!("is not a valid PNG: {error}")),
        }
    }
}
