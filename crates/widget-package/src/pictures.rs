//! The six images of a package: their names, exact sizes, and bytes.

use png::EncodingError;

use super::mark;
use super::picture::{Picture, png as encoder};
use super::spec::Spec;

/// The images below `images/`: name, width and height in pixels.
pub(super) const SIZES: [(&str, u32, u32); 6] = [
    ("logo.png", 130, 100),
    ("logo_main.png", 400, 272),
    ("logo_small.png", 108, 108),
    ("logo_medium.png", 240, 84),
    ("logo_min.png", 84, 84),
    ("logo_dp.png", 174, 109),
];

/// Kommo's limit for one image, in bytes.
pub(super) const MAX_BYTES: usize = 300 * 1024;

/// The numbers of bits per colour to try, in order, until the file is small enough.
const DEPTHS: [u32; 6] = [8, 6, 5, 4, 3, 2];

/// The name and PNG of each image.
///
/// # Errors
/// An image cannot be encoded.
pub(super) fn pictures(spec: &Spec) -> Result<Vec<(&'static str, Vec<u8>)>, EncodingError> {
    let png = |(name, width, height)| {
        let picture = match &spec.logo {
            Some(logo) => logo.fit((width, height)),
            None => mark::draw(&spec.name, width, height).unwrap_or_else(|| Picture::new((width, height))),
        };
        Ok((name, small_png(picture)?))
    };
    SIZES.into_iter().map(png).collect()
}

/// Writes a PNG of at most [`MAX_BYTES`]. Reduces the colours of a noisy photograph, which Kommo would otherwise refuse.
fn small_png(mut picture: Picture) -> Result<Vec<u8>, EncodingError> {
    let mut bytes = Vec::new();
    for depth in DEPTHS {
        for channel in picture.bytes_mut() {
            *channel = rounded(*channel, depth);
        }
        bytes = encoder::write(&picture)?;
        if bytes.len() <= MAX_BYTES {
            break;
        }
    }
    Ok(bytes)
}

/// Rounds to the nearest of 2^`bits` evenly spaced values from 0 to 255.
fn rounded(channel: u8, bits: u32) -> u8 {
    let steps = 2_u32.pow(bits) - 1;
    let step = (u32::from(channel) * steps + 127) / 255;
    u8::try_from((step * 255 + steps / 2) / steps).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::Packed;

    #[test]
    fn noisiest_picture_becomes_small_enough() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut noise = Picture::new((400, 272));
        noise.bytes_mut().iter_mut().for_each(|channel| *channel = random.u8(..));
        assert!(encoder::write(&noise).unwrap().len() > MAX_BYTES, "otherwise this test proves nothing");
        let small = small_png(noise).unwrap();
        assert!(small.len() <= MAX_BYTES, "{} bytes", small.len());
        let read = Packed::open(&small, u64::MAX).unwrap().unpack().unwrap();
        assert_eq!(read.size(), (400, 272));
    }

    #[test]
    fn rounding_keeps_black_white_and_full_depth() {
        for bits in DEPTHS {
            assert_eq!((rounded(0, bits), rounded(255, bits)), (0, 255), "{bits}");
        }
        assert!((0..=255).all(|channel| rounded(channel, 8) == channel));
        assert_eq!((rounded(84, 2), rounded(100, 2), rounded(43, 2)), (85, 85, 85));
    }
}
