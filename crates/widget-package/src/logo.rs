//! A logo supplied by the operator: a PNG or JPEG of any size, fitted into each size that Kommo requires.
//!
//! It is never stretched or cropped. The area that it does not cover stays transparent.

use std::fmt;

use super::picture::{Kernel, Packed, Picture, Size, Unreadable};

/// The maximum of either side, in pixels.
const MAX_SIDE: u32 = 5_000;
/// The minimum of the longer side, in pixels. A smaller picture would be unrecognizable when enlarged.
const MIN_SIDE: u32 = 32;
/// The maximum side at which a logo is kept in memory, more than the largest size needs.
const KEPT_SIDE: u32 = 1_024;
/// The maximum size of the pixels in bytes: 16 million pixels of 4 bytes, or half as many with 16 bits per colour.
/// Reading a logo takes about three times as much memory.
const MAX_PIXEL_BYTES: u64 = 64 * 1024 * 1024;
/// The memory limit of the decoder, in addition to the pixels, in bytes.
const MAX_MEMORY_BYTES: u64 = 128 * 1024 * 1024;

/// A decoded logo. Its colours are premultiplied by opacity, so that resizing does not mix in the arbitrary colours of
/// transparent pixels.
#[derive(Clone, PartialEq, Eq)]
pub struct Logo {
    premultiplied: Picture,
}

impl Logo {
    /// Reads the bytes of a PNG or JPEG, and applies its EXIF orientation.
    ///
    /// # Errors
    /// The bytes are in neither format or damaged, or the picture is too small or too large.
    pub fn read(bytes: &[u8]) -> Result<Self, LogoError> {
        let packed = Packed::open(bytes, MAX_MEMORY_BYTES)?;
        let (width, height) = packed.size();
        if width.max(height) > MAX_SIDE || width.max(height) < MIN_SIDE {
            return Err(LogoError::Size { width, height });
        }
        // Checked before decoding: a small file can contain a huge picture.
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
        // Turned after resizing, because turning makes a copy.
        Ok(Self { premultiplied: picture.turned(orientation) })
    }

    /// The logo in the middle of a transparent picture of this size, as large as possible.
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

/// The largest size with the proportions of `own` that fits into `room`; no side is 0.
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
    /// It is neither a PNG nor a JPEG.
    #[error("is neither a PNG nor a JPEG: convert it to one of these")]
    Kind,
    /// It is damaged.
    #[error("cannot be read ({0}): save the picture again")]
    Damaged(String),
    /// It is too small or too large.
    #[error("has {width}×{height} pixels: its longer side must have {MIN_SIDE} to {MAX_SIDE}")]
    Size {
        /// In pixels.
        width: u32,
        /// In pixels.
        height: u32,
    },
    /// Its pixels take too much memory.
    #[error(
        "has {width}×{height} pixels, which take more than {} MiB: make it smaller, or save it with 8 bits per colour",
        MAX_PIXEL_BYTES >> 20
    )]
    Heavy {
        /// In pixels.
        width: u32,
        /// In pixels.
        height: u32,
    },
}

#[cfg(test)]
mod tests;
