//! Reads JPEG.

use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::packed::Unreadable;
use super::{Orientation, Picture, Size, png};

/// The first bytes of every JPEG.
pub(super) const SIGNATURE: &[u8] = b"\xff\xd8\xff";

/// A JPEG after reading its header.
pub(super) struct File<'a> {
    bytes: &'a [u8],
    is_grey: bool,
}

/// The decoder's options. They do not limit the size, which the caller checks.
fn options() -> DecoderOptions {
    DecoderOptions::default().set_strict_mode(false).set_max_width(usize::MAX).set_max_height(usize::MAX)
}

/// Reads the header.
pub(super) fn open(bytes: &[u8]) -> Result<(File<'_>, Size, Orientation), Unreadable> {
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options());
    decoder.decode_headers()?;
    let (Some(info), Some(colours)) = (decoder.info(), decoder.input_colorspace()) else {
        return Err(Unreadable::incomplete());
    };
    let orientation = decoder.exif().map_or(Orientation::UPRIGHT, |exif| Orientation::of_exif(exif));
    let file = File { bytes, is_grey: colours == ColorSpace::Luma };
    Ok((file, (info.width.into(), info.height.into()), orientation))
}

impl File<'_> {
    /// The size of the decoded pixels in bytes.
    pub(super) fn pixel_bytes(&self, (width, height): Size) -> u64 {
        u64::from(width) * u64::from(height) * if self.is_grey { 1 } else { 3 }
    }

    pub(super) fn unpack(&self, size: Size) -> Result<Picture, Unreadable> {
        let colours = if self.is_grey { ColorSpace::Luma } else { ColorSpace::RGB };
        let options = options().jpeg_set_out_colorspace(colours);
        let bytes = JpegDecoder::new_with_options(ZCursor::new(self.bytes), options).decode()?;
        let bytes = if self.is_grey {
            bytes.iter().flat_map(|&grey| [grey, grey, grey, u8::MAX]).collect()
        } else {
            png::opaque(&bytes)
        };
        Picture::of(size, bytes).ok_or_else(Unreadable::incomplete)
    }
}
