//! A picture's file, of which only the head was read: it says what unpacking it would take.

use super::{Orientation, Picture, Size, jpeg, png};

/// The file of a picture.
pub(crate) struct Packed<'a> {
    file: File<'a>,
    size: Size,
    pixel_bytes: u64,
    orientation: Orientation,
}

enum File<'a> {
    Png(Box<png::Reader<'a>>),
    Jpeg(jpeg::File<'a>),
}

impl<'a> Packed<'a> {
    /// Reads the head of a PNG or JPEG. Unpacking a PNG may take `memory` bytes beside the pixels.
    ///
    /// # Errors
    /// It is neither, or it is damaged.
    pub(crate) fn open(bytes: &'a [u8], memory: u64) -> Result<Self, Unreadable> {
        if bytes.starts_with(png::SIGNATURE) {
            let reader = png::open(bytes, memory)?;
            let (size, pixel_bytes) = (reader.info().size(), png::pixel_bytes(&reader));
            let exif = reader.info().exif_metadata.as_deref();
            let orientation = exif.map_or(Orientation::UPRIGHT, Orientation::of_exif);
            Ok(Self { file: File::Png(Box::new(reader)), size, pixel_bytes, orientation })
        } else if bytes.starts_with(jpeg::SIGNATURE) {
            let (file, size, orientation) = jpeg::open(bytes)?;
            Ok(Self { pixel_bytes: file.pixel_bytes(size), file: File::Jpeg(file), size, orientation })
        } else {
            Err(Unreadable::Unsupported)
        }
    }

    pub(crate) fn size(&self) -> Size {
        self.size
    }

    /// How many bytes its pixels take as they are stored.
    pub(crate) fn pixel_bytes(&self) -> u64 {
        self.pixel_bytes
    }

    /// How it was held. What [`unpack`](Self::unpack) gives is not turned.
    pub(crate) fn orientation(&self) -> Orientation {
        self.orientation
    }

    /// Reads the pixels.
    ///
    /// # Errors
    /// It is damaged.
    pub(crate) fn unpack(self) -> Result<Picture, Unreadable> {
        match self.file {
            File::Png(reader) => png::unpack(*reader),
            File::Jpeg(file) => file.unpack(self.size),
        }
    }
}

/// Why a picture cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreadable {
    /// It is something else, or a kind of JPEG that hardly anyone makes.
    #[error("The image format is not supported")]
    Unsupported,
    /// It does not end as it should.
    #[error("{0}")]
    Io(#[source] std::io::Error),
    /// It is no correct PNG.
    #[error("Format error decoding Png: {0}")]
    Png(#[source] ::png::DecodingError),
    /// It is no correct JPEG.
    #[error("Format error decoding Jpeg: {0}")]
    Jpeg(#[source] zune_jpeg::errors::DecodeErrors),
    /// It takes more memory than it may.
    #[error("Memory limit exceeded")]
    Memory,
    /// It says to have more pixels than a picture can have.
    #[error("Image size exceeds limit")]
    Dimensions,
}

impl Unreadable {
    /// The pixels do not have the size that the head says.
    pub(super) fn incomplete() -> Self {
        Self::Io(std::io::ErrorKind::UnexpectedEof.into())
    }
}

impl From<::png::DecodingError> for Unreadable {
    fn from(error: ::png::DecodingError) -> Self {
        match error {
            ::png::DecodingError::IoError(error) => Self::Io(error),
            ::png::DecodingError::LimitsExceeded => Self::Memory,
            error => Self::Png(error),
        }
    }
}

impl From<zune_jpeg::errors::DecodeErrors> for Unreadable {
    fn from(error: zune_jpeg::errors::DecodeErrors) -> Self {
        match error {
            zune_jpeg::errors::DecodeErrors::Unsupported(_) => Self::Unsupported,
            zune_jpeg::errors::DecodeErrors::LargeDimensions(_) => Self::Dimensions,
            error => Self::Jpeg(error),
        }
    }
}
