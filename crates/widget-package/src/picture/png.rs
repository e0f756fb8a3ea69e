//! Reads every kind of PNG, and writes small ones.

use std::io::Cursor;

use png::{
    BitDepth, ColorType, Compression, Decoder, Encoder, EncodingError, Filter, Limits, Transformations,
};

use super::packed::Unreadable;
use super::{Picture, Size, area};

/// The first bytes of every PNG.
pub(super) const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

/// The memory limit for reading an image of a package, in addition to its pixels, in bytes.
const MAX_MEMORY_BYTES: u64 = 512 * 1024 * 1024;

/// A PNG after reading its header.
pub(super) type Reader<'a> = png::Reader<Cursor<&'a [u8]>>;

/// Reads the header. Decoding will expand palettes and low bit depths to 8 bits per colour, and keep 16 bits.
pub(super) fn open(bytes: &[u8], memory: u64) -> Result<Reader<'_>, Unreadable> {
    let limits = Limits { bytes: usize::try_from(memory).unwrap_or(usize::MAX) };
    let mut decoder = Decoder::new_with_limits(Cursor::new(bytes), limits);
    decoder.set_transformations(Transformations::EXPAND);
    Ok(decoder.read_info()?)
}

/// The size of the decoded pixels in bytes.
pub(super) fn pixel_bytes(reader: &Reader<'_>) -> u64 {
    let (width, height) = reader.info().size();
    let (colour, depth) = reader.output_color_type();
    let bytes = if depth == BitDepth::Sixteen { 2 } else { 1 };
    let samples = u64::try_from(colour.samples()).unwrap_or(u64::MAX);
    u64::from(width).saturating_mul(u64::from(height)).saturating_mul(samples * bytes)
}

pub(super) fn unpack(mut reader: Reader<'_>) -> Result<Picture, Unreadable> {
    let size = reader.info().size();
    let (colour, depth) = reader.output_color_type();
    let length = usize::try_from(pixel_bytes(&reader)).map_err(|_| Unreadable::Memory)?;
    let mut bytes = vec![0; length];
    reader.next_frame(&mut bytes)?;
    if depth == BitDepth::Sixteen {
        bytes = bytes.as_chunks().0.iter().map(|wide| narrowed(u16::from_be_bytes(*wide))).collect();
    }
    let bytes: Vec<u8> = match colour {
        ColorType::Grayscale | ColorType::Indexed => {
            bytes.iter().flat_map(|&grey| [grey, grey, grey, u8::MAX]).collect()
        }
        ColorType::GrayscaleAlpha => {
            bytes.as_chunks().0.iter().flat_map(|&[grey, alpha]| [grey, grey, grey, alpha]).collect()
        }
        ColorType::Rgb => opaque(&bytes),
        ColorType::Rgba => bytes,
    };
    Picture::of(size, bytes).ok_or_else(Unreadable::incomplete)
}

/// Adds full opacity to pixels of three colours.
pub(super) fn opaque(bytes: &[u8]) -> Vec<u8> {
    bytes.as_chunks().0.iter().flat_map(|&[red, green, blue]| [red, green, blue, u8::MAX]).collect()
}

/// The dimensions of a PNG, without decoding it.
///
/// # Errors
/// The bytes are not a PNG, or damaged.
pub(crate) fn size(bytes: &[u8]) -> Result<Size, Unreadable> {
    Ok(open(bytes, MAX_MEMORY_BYTES)?.info().size())
}

/// Reads a PNG.
///
/// # Errors
/// The bytes are not a PNG, or damaged.
pub(crate) fn read(bytes: &[u8]) -> Result<Picture, Unreadable> {
    unpack(open(bytes, MAX_MEMORY_BYTES)?)
}

/// Scales a value from 16 to 8 bits, rounding to the nearest.
fn narrowed(wide: u16) -> u8 {
    u8::try_from((u32::from(wide) + 128) / 257).unwrap_or(u8::MAX)
}

/// Writes a PNG with slow but strong compression, without opacity if every pixel is opaque.
///
/// # Errors
/// The picture has no pixels.
pub(crate) fn write(picture: &Picture) -> Result<Vec<u8>, EncodingError> {
    let (width, height) = picture.size();
    let mut written = Vec::new();
    let mut encoder = Encoder::new(&mut written, width, height);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_compression(Compression::High);
    encoder.set_filter(Filter::Adaptive);
    let pixels = picture.pixels();
    if pixels.iter().all(|pixel| pixel[3] == u8::MAX) {
        encoder.set_color(ColorType::Rgb);
        let mut opaque = Vec::with_capacity(area((width, height)) * 3);
        opaque.extend(pixels.iter().flat_map(|&[red, green, blue, _]| [red, green, blue]));
        encoder.write_header()?.write_image_data(&opaque)?;
    } else {
        encoder.set_color(ColorType::Rgba);
        encoder.write_header()?.write_image_data(pixels.as_flattened())?;
    }
    Ok(written)
}
