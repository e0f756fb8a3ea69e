//! A logo that somebody brought: a PNG or JPEG of any size, fitted into each size that Kommo wants.
//!
//! It is never stretched or cut. What it does not cover stays transparent.

use std::fmt;
use std::io::Cursor;

use image::imageops::{FilterType, overlay, resize};
use image::{DynamicImage, ImageDecoder, ImageReader, Limits, RgbaImage};

/// The most pixels of either side.
const MAX_SIDE: u32 = 5_000;
/// The fewest pixels of the longer side: less than that is no picture any more once it is enlarged.
const MIN_SIDE: u32 = 32;
/// What it is kept as: more than the largest size needs.
const KEPT_SIDE: u32 = 1_024;
/// The most bytes of its pixels: 16 million with 4 bytes each, and half of that where a colour has 16 bits. Reading it
/// takes about three times as much.
const MAX_PIXEL_BYTES: u64 = 64 * 1024 * 1024;
/// The most memory that its decoder may take beside the pixels, in bytes.
const MAX_MEMORY: u64 = 128 * 1024 * 1024;

/// A picture that was read. Its colours are multiplied by their opacity, so that transparent pixels, which may
/// have any colour, leave no seam when it is made smaller.
#[derive(Clone, PartialEq, Eq)]
pub struct Logo {
    premultiplied: RgbaImage,
}

impl Logo {
    /// Reads the bytes of a PNG or JPEG, and turns it as its EXIF data says.
    ///
    /// # Errors
    /// They are neither, they are damaged, or the picture is too small or too large.
    pub fn read(bytes: &[u8]) -> Result<Self, LogoError> {
        let mut reader =
            ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|_| LogoError::Kind)?;
        if reader.format().is_none() {
            return Err(LogoError::Kind);
        }
        let mut limits = Limits::default();
        limits.max_alloc = Some(MAX_MEMORY);
        reader.limits(limits);
        let damaged = |error: image::ImageError| match error {
            image::ImageError::Unsupported(_) => LogoError::Kind,
            error => LogoError::Damaged(error.to_string()),
        };
        let mut decoder = reader.into_decoder().map_err(damaged)?;
        let (width, height) = decoder.dimensions();
        if width.max(height) > MAX_SIDE || width.max(height) < MIN_SIDE {
            return Err(LogoError::Size { width, height });
        }
        // Before anything is decoded: a small file can hold a huge picture.
        if decoder.total_bytes() > MAX_PIXEL_BYTES {
            return Err(LogoError::Heavy { width, height });
        }
        let orientation = decoder.orientation().map_err(damaged)?;
        let mut pixels = DynamicImage::from_decoder(decoder).map_err(damaged)?.into_rgba8();
        for pixel in pixels.pixels_mut() {
            let [red, green, blue, alpha] = pixel.0;
            pixel.0 = [times(red, alpha), times(green, alpha), times(blue, alpha), alpha];
        }
        let (width, height) = pixels.dimensions();
        if width.max(height) > KEPT_SIDE {
            let (width, height) = fitted((width, height), (KEPT_SIDE, KEPT_SIDE));
            pixels = resize(&pixels, width, height, FilterType::Triangle);
        }
        // Once it is small: turning it makes a copy.
        let mut image = DynamicImage::from(pixels);
        image.apply_orientation(orientation);
        Ok(Self { premultiplied: image.into_rgba8() })
    }

    /// The logo in the middle of a transparent picture of that size, as large as fits.
    pub(super) fn fit(&self, width: u32, height: u32) -> RgbaImage {
        let (inner_width, inner_height) = fitted(self.premultiplied.dimensions(), (width, height));
        let mut inner = resize(&self.premultiplied, inner_width, inner_height, FilterType::Lanczos3);
        for pixel in inner.pixels_mut() {
            let [red, green, blue, alpha] = pixel.0;
            pixel.0 = [divided(red, alpha), divided(green, alpha), divided(blue, alpha), alpha];
        }
        let mut whole = RgbaImage::new(width, height);
        let middle = |outer: u32, inner: u32| i64::from((outer - inner) / 2);
        overlay(&mut whole, &inner, middle(width, inner_width), middle(height, inner_height));
        whole
    }
}

impl fmt::Debug for Logo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (width, height) = self.premultiplied.dimensions();
        write!(f, "Logo({width}×{height})")
    }
}

/// The largest size with the proportions of `own` inside of `room`; no side is 0.
fn fitted(own: (u32, u32), room: (u32, u32)) -> (u32, u32) {
    let scaled = |side: u32, to: u32, of: u32| {
        let rounded = (u64::from(side) * u64::from(to) + u64::from(of) / 2) / u64::from(of).max(1);
        u32::try_from(rounded).unwrap_or(u32::MAX).max(1)
    };
    if u64::from(own.0) * u64::from(room.1) > u64::from(own.1) * u64::from(room.0) {
        (room.0, scaled(own.1, room.0, own.0).min(room.1))
    } else {
        (scaled(own.0, room.1, own.1).min(room.0), room.1)
    }
}

fn times(colour: u8, alpha: u8) -> u8 {
    let product = (u16::from(colour) * u16::from(alpha) + 127) / 255;
    u8::try_from(product).unwrap_or(u8::MAX)
}

fn divided(colour: u8, alpha: u8) -> u8 {
    let (colour, alpha) = (u16::from(colour), u16::from(alpha));
    let quotient = (colour * 255 + alpha / 2).checked_div(alpha).unwrap_or(0);
    u8::try_from(quotient).unwrap_or(u8::MAX)
}

/// Why a logo cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogoError {
    /// Neither PNG nor JPEG.
    #[error("is no PNG or JPEG: convert it to one of these")]
    Kind,
    /// It cannot be read to its end.
    #[error("cannot be read ({0}): save the picture again")]
    Damaged(String),
    /// Too many or too few pixels.
    #[error("has {width}×{height} pixels: its longer side must have {MIN_SIDE} to {MAX_SIDE}")]
    Size {
        /// Pixels.
        width: u32,
        /// Pixels.
        height: u32,
    },
    /// Its pixels take too much memory.
    #[error(
        "has {width}×{height} pixels, which take more than {} MB: make it smaller, or save it with 8 bits a colour",
        MAX_PIXEL_BYTES >> 20
    )]
    Heavy {
        /// Pixels.
        width: u32,
        /// Pixels.
        height: u32,
    },
}

#[cfg(test)]
mod tests {
    use image::{ImageFormat, Rgba};

    use super::*;

    fn bytes(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    fn plain(width: u32, height: u32, colour: [u8; 4]) -> DynamicImage {
        RgbaImage::from_pixel(width, height, Rgba(colour)).into()
    }

    #[test]
    fn proportions_stay_and_the_rest_is_transparent() {
        for (own, room, fits) in [
            ((100, 100), (400, 272), (272, 272)),
            ((200, 100), (400, 272), (400, 200)),
            ((100, 300), (84, 84), (28, 84)),
            ((1000, 1), (84, 84), (84, 1)),
            ((400, 272), (400, 272), (400, 272)),
        ] {
            assert_eq!(fitted(own, room), fits, "{own:?} in {room:?}");
        }
        let logo = Logo::read(&bytes(&plain(200, 50, [10, 200, 30, 255]), ImageFormat::Png)).unwrap();
        let fitted = logo.fit(100, 100);
        assert_eq!(fitted.dimensions(), (100, 100));
        for (x, y, colour) in
            [(0, 0, [0; 4]), (50, 36, [0; 4]), (0, 50, [10, 200, 30, 255]), (99, 40, [10, 200, 30, 255])]
        {
            assert_eq!(fitted.get_pixel(x, y).0, colour, "{x},{y}");
        }
    }

    #[test]
    fn the_colour_of_what_is_transparent_does_not_bleed() {
        let mut image = RgbaImage::from_pixel(64, 64, Rgba([255, 0, 0, 0]));
        for (x, _, pixel) in image.enumerate_pixels_mut() {
            if x < 31 {
                *pixel = Rgba([0, 0, 255, 255]);
            }
        }
        let logo = Logo::read(&bytes(&image.into(), ImageFormat::Png)).unwrap().fit(20, 20);
        for pixel in logo.pixels().filter(|pixel| pixel.0[3] > 8) {
            assert!(pixel.0[0] < 16, "red shines through: {pixel:?}");
        }
    }

    #[test]
    fn a_jpeg_is_read_and_a_large_picture_is_kept_small() {
        let jpeg = bytes(
            &DynamicImage::from(plain(3_000, 1_500, [200, 10, 10, 255]).into_rgb8()),
            ImageFormat::Jpeg,
        );
        let logo = Logo::read(&jpeg).unwrap();
        assert_eq!(format!("{logo:?}"), "Logo(1024×512)");
        let [red, green, _, alpha] = logo.fit(84, 84).get_pixel(42, 42).0;
        assert!(red > 190 && green < 30 && alpha == 255, "{red} {green} {alpha}");
    }

    #[test]
    fn a_picture_of_a_telephone_is_turned_as_it_says() {
        let upright = DynamicImage::from(plain(100, 50, [1, 2, 3, 255]).into_rgb8());
        let mut jpeg = bytes(&upright, ImageFormat::Jpeg);
        assert_eq!(format!("{:?}", Logo::read(&jpeg).unwrap()), "Logo(100×50)");
        // One entry in an EXIF block: orientation (0x0112) is 6, a quarter to the right.
        let exif =
            b"\xff\xe1\0\x22Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
        jpeg.splice(2..2, exif.iter().copied());
        assert_eq!(format!("{:?}", Logo::read(&jpeg).unwrap()), "Logo(50×100)");
    }

    /// The CRC-32 of PNG.
    fn crc(bytes: &[u8]) -> u32 {
        let bit = |crc: u32| if crc & 1 == 1 { 0xedb8_8320 ^ (crc >> 1) } else { crc >> 1 };
        !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| bit(crc)))
    }

    #[test]
    fn a_picture_that_unpacks_to_too_much_is_refused_before_it_is_unpacked() {
        let small = plain(64, 64, [1, 2, 3, 255]);
        for (image, width, height, is_heavy) in [
            (DynamicImage::from(small.to_rgba16()), 5_000_u32, 5_000_u32, true),
            (DynamicImage::from(small.to_rgba16()), 2_900, 2_900, true),
            (DynamicImage::from(small.to_rgba8()), 5_000, 5_000, true),
            (DynamicImage::from(small.to_rgba8()), 4_100, 4_100, true),
            // Small enough, so it is read; and then its pixels are missing.
            (DynamicImage::from(small.to_rgba16()), 500, 500, false),
        ] {
            let mut png = bytes(&image, ImageFormat::Png);
            // The first chunk, behind the signature, its length and its name, is width and height.
            png[16..20].copy_from_slice(&width.to_be_bytes());
            png[20..24].copy_from_slice(&height.to_be_bytes());
            let sum = crc(&png[12..29]);
            png[29..33].copy_from_slice(&sum.to_be_bytes());
            let read = Logo::read(&png);
            if is_heavy {
                assert_eq!(read, Err(LogoError::Heavy { width, height }));
            } else {
                assert!(matches!(read, Err(LogoError::Damaged(_))), "{read:?}");
            }
        }
    }

    #[test]
    fn what_is_no_usable_picture_is_refused_with_its_reason() {
        let png = bytes(&plain(64, 64, [1, 2, 3, 255]), ImageFormat::Png);
        for no_picture in [&b""[..], b"<svg/>", b"GIF89a................", b"hello"] {
            assert_eq!(Logo::read(no_picture), Err(LogoError::Kind), "{no_picture:?}");
        }
        assert!(matches!(Logo::read(&png[..png.len() / 2]), Err(LogoError::Damaged(_))));
        let small = bytes(&plain(31, 8, [1, 2, 3, 255]), ImageFormat::Png);
        assert_eq!(Logo::read(&small), Err(LogoError::Size { width: 31, height: 8 }));
        let wide = bytes(&plain(5_001, 1, [1, 2, 3, 255]), ImageFormat::Png);
        assert_eq!(Logo::read(&wide), Err(LogoError::Size { width: 5_001, height: 1 }));
    }
}
