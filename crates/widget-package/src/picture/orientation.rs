//! The orientation of a camera, read from EXIF data, and turning a picture accordingly.

use super::{Picture, length};

/// The EXIF tag of the orientation, and the EXIF type of a 16-bit number.
const ORIENTATION: u16 = 0x0112;
const SHORT: u16 = 3;

/// The orientation, as EXIF numbers it: 1 to 8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Orientation(u8);

impl Orientation {
    /// The orientation of a picture that needs no turning.
    pub(crate) const UPRIGHT: Self = Self(1);

    /// Reads the orientation from EXIF data; upright if there is none.
    pub(crate) fn of_exif(exif: &[u8]) -> Self {
        read(exif).and_then(|number| u8::try_from(number).ok()).map_or(Self::UPRIGHT, |number| {
            if (1..=8).contains(&number) { Self(number) } else { Self::UPRIGHT }
        })
    }
}

/// The value of the first orientation entry in the first directory.
fn read(exif: &[u8]) -> Option<u16> {
    let order = exif.first_chunk()?;
    let is_little_endian = match order {
        b"II\x2a\0" => true,
        b"MM\0\x2a" => false,
        _ => return None,
    };
    let short = |at: usize| {
        let bytes = *exif.get(at..)?.first_chunk()?;
        Some(if is_little_endian { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) })
    };
    let long = |at: usize| {
        let bytes = *exif.get(at..)?.first_chunk()?;
        Some(if is_little_endian { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
    };
    let directory = length(long(4)?);
    for entry in 0..usize::from(short(directory)?) {
        let at = directory.checked_add(2 + 12 * entry)?;
        let (tag, kind, count, value) = (short(at)?, short(at + 2)?, long(at + 4)?, short(at + 8)?);
        if (tag, kind, count) == (ORIENTATION, SHORT, 1) {
            return Some(value);
        }
    }
    None
}

impl Picture {
    /// Turns the picture upright.
    pub(crate) fn turned(self, orientation: Orientation) -> Self {
        let (width, height) = self.size;
        let is_on_its_side = orientation.0 > 4;
        let mut turned = Self::new(if is_on_its_side { (height, width) } else { (width, height) });
        let (last_x, last_y) = (width.saturating_sub(1), height.saturating_sub(1));
        let (columns, rows) = turned.size;
        let places = (0..rows).flat_map(|y| (0..columns).map(move |x| (x, y)));
        for (pixel, (x, y)) in turned.pixels_mut().iter_mut().zip(places) {
            let (from_x, from_y) = match orientation.0 {
                2 => (last_x - x, y),
                3 => (last_x - x, last_y - y),
                4 => (x, last_y - y),
                5 => (y, x),
                6 => (y, last_y - x),
                7 => (last_x - y, last_y - x),
                8 => (last_x - y, x),
                _ => (x, y),
            };
            if let Some(source) = self.row(from_y).get(length(from_x)) {
                *pixel = *source;
            }
        }
        turned
    }
}
