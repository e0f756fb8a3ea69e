//! A picture in memory, read from a PNG or JPEG and written as a PNG.

mod jpeg;
mod orientation;
mod packed;
pub(crate) mod png;
mod resize;

pub(crate) use orientation::Orientation;
pub(crate) use packed::{Packed, Unreadable};
pub(crate) use resize::Kernel;

/// Width and height in pixels.
pub(crate) type Size = (u32, u32);

/// Rows of pixels, each with red, green, blue and opacity.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Picture {
    size: Size,
    bytes: Vec<u8>,
}

impl Picture {
    /// A transparent picture.
    pub(crate) fn new(size: Size) -> Self {
        Self { size, bytes: vec![0; area(size) * 4] }
    }

    /// The picture with these bytes; `None` if their number does not match `size`.
    pub(crate) fn of(size: Size, bytes: Vec<u8>) -> Option<Self> {
        (bytes.len() == area(size) * 4).then_some(Self { size, bytes })
    }

    pub(crate) fn size(&self) -> Size {
        self.size
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    pub(crate) fn pixels(&self) -> &[[u8; 4]] {
        self.bytes.as_chunks().0
    }

    pub(crate) fn pixels_mut(&mut self) -> &mut [[u8; 4]] {
        self.bytes.as_chunks_mut().0
    }

    /// The pixels of one row; empty after the last row.
    pub(crate) fn row(&self, y: u32) -> &[[u8; 4]] {
        let width = length(self.size.0);
        let start = width * length(y);
        self.pixels().get(start..start + width).unwrap_or_default()
    }

    /// Copies `other` into the middle of this picture. `other` must not be larger.
    pub(crate) fn put_into_middle(&mut self, other: &Self) {
        let (width, height) = self.size;
        let left = length(width.saturating_sub(other.size.0) / 2);
        let top = height.saturating_sub(other.size.1) / 2;
        for y in 0..other.size.1 {
            let start = length(width) * length(y + top) + left;
            let row = other.row(y);
            if let Some(room) = self.pixels_mut().get_mut(start..start + row.len()) {
                room.copy_from_slice(row);
            }
        }
    }
}

/// The number of pixels in a picture of this size.
fn area((width, height): Size) -> usize {
    length(width) * length(height)
}

/// A `u32` as an index. It fits on every supported platform.
fn length(side: u32) -> usize {
    usize::try_from(side).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
