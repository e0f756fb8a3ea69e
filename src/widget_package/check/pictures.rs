//! The pictures: each is there, a PNG of exactly its size, and not too large for Kommo.

use image::{GenericImageView, ImageFormat};

use super::{Files, Findings};
use crate::widget_package::pictures::{MAX_BYTES, SIZES};

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
        match image::load_from_memory_with_format(bytes, ImageFormat::Png) {
            Ok(picture) => {
                let (is_width, is_height) = picture.dimensions();
                findings.unless(
                    (is_width, is_height) == (width, height),
                    &path,
                    format!("has {is_width}×{is_height} pixels; it must have {width}×{height}"),
                );
            }
            Err(error) => findings.add(&path, format!("is no PNG: {error}")),
        }
    }
}
