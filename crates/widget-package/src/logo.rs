//! A logo that an operator brought: a PNG or JPEG of any size, fitted into each size that Kommo wants.
//!
//! It is never stretched or cut. What it does not cover stays transparent.

use std::fmt;

use super::picture::{Kernel, Packed, Picture, Size, Unreadable};

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
const MAX_MEMORY_BYTES: u64 = 128 * 1024 * 1024;

/// A picture that was read. Its colours are multiplied by their opacity, so that transparent pixels, which may
/// have any colour, leave no seam when it is made smaller.
#[derive(Clone, PartialEq, Eq)]
pub struct Logo {
    premultiplied: Picture,
}

impl Logo {
    /// Reads the bytes of a PNG or JPEG, and turns it as its EXIF data says.
    ///
    /// # Errors
    /// They are neither, they are damaged, or the picture is too small or too large.
    pub fn read(bytes: &[u8]) -> Result<Self, LogoError> {
        let packed = Packed::open(bytes, MAX_MEMORY_BYTES)?;
        let (width, height) = packed.size();
        if width.max(height) > MAX_SIDE || width.max(height) < MIN_SIDE {
            return Err(LogoError::Size { width, height });
        }
        // Before anything is decoded: a small file can hold a huge picture.
        if packed.pixel_bytes() > MAX_PIXEL_BYTES {
            return Err(LogoError::Heavy { width, height });
        }
        let orientation = packed.orientation();
        let mut picture = packed.unpack()?;
        for pixel in picture.pixels_mut() {
            let [red, green, blue, alpha] = *pixel;
            *pixel = [times(red, alpha), times(green, alpha), times(blue, alpha), alpha];
        }
        if width.max(height) > KEPT_SIDE {
            let kept = fitted((width, height), (KEPT_SIDE, KEPT_SIDE));
            picture = picture.resized(kept, Kernel::Triangle);
        }
        // Once it is small: turning it makes a copy.
        Ok(Self { premultiplied: picture.turned(orientation) })
    }

    /// The logo in the middle of a transparent picture of that size, as large as fits.
    pub(super) fn fit(&self, size: Size) -> Picture {
        let inner_size = fitted(self.premultiplied.size(), size);
        let mut inner = self.premultiplied.resized(inner_size, Kernel::Lanczos3);
        for pixel in inner.pixels_mut() {
            let [red, green, blue, alpha] = *pixel;
            *pixel = [divided(red, alpha), divided(green, alpha), divided(blue, alpha), alpha];
        }
        let mut whole = Picture::new(size);
        whole.put_into_middle(&inner);
        whole
    }
}

impl fmt::Debug for Logo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (width, height) = self.premultiplied.size();
        write!(f, "Logo({width}×{height})")
    }
}

/// The largest size with the proportions of `own` inside of `room`; no side is 0.
fn fitted(own: Size, room: Size) -> Size {
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

impl From<Unreadable> for LogoError {
    fn from(error: Unreadable) -> Self {
        match error {
            Unreadable::Unsupported => Self::Kind,
            error => Self::Damaged(error.to_string()),
        }
    }
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
mod tests;
